//! Releases of Debian and Ubuntu with their ends, as distro-info-data has them.

use super::{ImportReport, Parsed};
use crate::record::{ID_BYTES_MAX, cut};
use crate::segment::{Content, EndOfLife};

/// Series by which the two tables, whose columns start alike, are told apart.
const SERIES: [(&str, &str); 2] = [("warty", "ubuntu"), ("buzz", "debian")];

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let heading = reader.headers().map_err(|e| e.to_string())?.clone();
    let column = |name: &str| heading.iter().position(|h| h == name);
    let (Some(version), Some(series), Some(eol)) =
        (column("version"), column("series"), column("eol"))
    else {
        return Err("the columns version, series and eol are not all there".to_owned());
    };
    // Debian's LTS is free, Ubuntu's ESM is not.
    let lts = column("eol-lts");
    let rows: Vec<csv::StringRecord> =
        reader.into_records().collect::<Result<_, _>>().map_err(|e: csv::Error| e.to_string())?;
    let id = SERIES
        .iter()
        .find(|(first, _)| rows.iter().any(|row| row.get(series) == Some(first)))
        .map(|(_, id)| *id)
        .ok_or("neither Debian's nor Ubuntu's releases")?;
    let mut report = ImportReport::default();
    let mut ends = Vec::new();
    for row in &rows {
        let release = row.get(version).unwrap_or("").trim_end_matches(" LTS");
        let date = lts
            .and_then(|at| row.get(at))
            .filter(|d| !d.is_empty())
            .or_else(|| row.get(eol))
            .unwrap_or("");
        if release.is_empty() || date.is_empty() || release.len() > ID_BYTES_MAX {
            report.skip("release without a number or an end");
        } else {
            ends.push(EndOfLife {
                id: id.to_owned(),
                release: release.to_owned(),
                date: cut(date, ID_BYTES_MAX).to_owned(),
            });
        }
    }
    Ok(Parsed {
        source: format!("eol/{id}"),
        data_date: None,
        content: Content::EndOfLife(ends),
        report,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_support_counts() {
        let table = "version,codename,series,created,release,eol,eol-lts,eol-elts\n\
            1.1,Buzz,buzz,1993-08-16,1996-06-17,1997-06-05\n\
            11,Bullseye,bullseye,2019-07-06,2021-08-14,2024-08-14,2026-08-31,2031-06-30\n\
            ,Sid,sid,1993-08-16\n";
        let parsed = parse(table.as_bytes()).unwrap();
        let Content::EndOfLife(ends) = parsed.content else { panic!() };
        assert_eq!(
            ends.iter().map(|e| e.date.as_str()).collect::<Vec<_>>(),
            ["1997-06-05", "2026-08-31"]
        );
        assert_eq!(parsed.source, "eol/debian");
        assert_eq!(parsed.report.skipped.values().sum::<u64>(), 1);
    }
}
