//! FIRST's daily EPSS file: a comment with the model and the day, a heading,
//! then `CVE,score,percentile`.

use super::{ImportReport, Parsed, seconds};
use crate::segment::{Content, Score};

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let mut report = ImportReport::default();
    let (comment, table) = match bytes.strip_prefix(b"#") {
        Some(rest) => {
            rest.split_at(rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1))
        }
        None => (&b""[..], bytes),
    };
    let comment = String::from_utf8_lossy(comment);
    let day = comment.split(',').find_map(|field| field.trim().strip_prefix("score_date:"));
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(table);
    let heading = reader.headers().map_err(|e| e.to_string())?;
    if !heading.iter().take(3).eq(["cve", "epss", "percentile"]) {
        return Err("the columns are not cve, epss, percentile".to_owned());
    }
    let mut scores = Vec::new();
    let mut row = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut row) {
            Ok(false) => break,
            Ok(true) => {
                let number = |at: usize| row.get(at)?.trim().parse::<f64>().ok();
                let score = row
                    .get(0)
                    .zip(number(1))
                    .zip(number(2))
                    .and_then(|((cve, p), q)| Score::new(cve.trim(), p, q));
                match score {
                    Some(score) => scores.push(score),
                    None => report.skip("row that is no score of a CVE"),
                }
            }
            Err(error) if error.is_io_error() => return Err(error.to_string()),
            Err(_) => report.skip("row that is no score of a CVE"),
        }
    }
    if scores.is_empty() {
        return Err("no score in the file".to_owned());
    }
    let data_date = day.and_then(seconds);
    Ok(Parsed { source: "epss".into(), data_date, content: Content::Scores(scores), report })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(usize, Option<&str>, u64), ()>) {
        let found = parse(text.as_bytes()).map_err(|_| ()).map(|parsed| {
            let Content::Scores(scores) = parsed.content else { panic!() };
            (scores.len(), parsed.data_date, parsed.report.skipped.values().sum())
        });
        assert_eq!(
            found,
            expected.map(|(n, day, skipped)| (n, day.and_then(seconds), skipped)),
            "{text}"
        );
    }

    #[test]
    fn the_day_is_in_the_comment() {
        let rows = "cve,epss,percentile\nCVE-1999-0001,0.00383,0.73075\n";
        check(
            &format!("#model_version:v1,score_date:2025-02-20T00:00:00+0000\n{rows}"),
            Ok((1, Some("2025-02-20"), 0)),
        );
        check(&format!("#model_version:v1\n{rows}"), Ok((1, None, 0)));
        check(&format!("{rows}CVE-2000-1234,x,1\nGHSA,0.1\n"), Ok((1, None, 2)));
        check("#a\ninvalid,header,format\nCVE-1999-0001,0.1,0.1\n", Err(()));
        check("#a", Err(()));
    }
}
