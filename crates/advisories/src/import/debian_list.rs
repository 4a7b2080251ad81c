//! Debian's lists of advisories, `data/DSA/list` and `data/DLA/list`:
//!
//! ```text
//! [30 Jun 2026] DSA-6374-1 nginx - security update
//!         {CVE-2026-42055 CVE-2026-48142}
//!         [trixie] - nginx 1.26.3-3+deb13u7
//! ```

use packages::Namespace;
use packages::namespace::debian_release;

use super::{ImportReport, Parsed};
use crate::record::{
    Affected, Event, FixPlan, ID_BYTES_MAX, IDS_MAX, NAME_BYTES_MAX, Record, Reference, Stance,
    Statement, TITLE_BYTES_MAX, cut, is_cve,
};
use crate::segment::Content;

/// Where each advisory can be read.
const TRACKER: &str = "https://security-tracker.debian.org/tracker/";

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let text = String::from_utf8_lossy(bytes);
    let mut report = ImportReport::default();
    let mut records: Vec<Record> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let body = line.trim();
        if line.starts_with('[') {
            match heading(line) {
                Some(record) => records.push(record),
                None => {
                    report.problem(&format!("line {}", number + 1), "not an advisory's heading")
                }
            }
            continue;
        }
        let Some(record) = records.last_mut() else { continue };
        if let Some(ids) = body.strip_prefix('{').and_then(|b| b.strip_suffix('}')) {
            let cves = ids.split_whitespace().filter(|id| is_cve(id)).take(IDS_MAX);
            record.covers.extend(cves.map(str::to_owned));
            record.covers.sort();
            record.covers.dedup();
        } else if body.starts_with('[') {
            match release(body) {
                Ok(affected) => record.affected.push(affected),
                Err(Some(reason)) => report.skip(&reason),
                Err(None) => {
                    report.problem(&format!("line {}", number + 1), "not a release's fixed version")
                }
            }
        }
        // NOTE lines and others are remarks for Debian's own people.
    }
    let source = match records.first() {
        Some(record) if record.id.starts_with("DLA-") => "debian/dla",
        Some(record) if record.id.starts_with("DSA-") => "debian/dsa",
        Some(_) => "debian/dtsa",
        None => return Err("no advisory in the list".to_owned()),
    };
    let data_date = records.iter().filter_map(|r| r.published).max();
    Ok(Parsed { source: source.into(), data_date, content: Content::Records(records), report })
}

/// `[30 Jun 2026] DSA-6374-1 nginx - security update`
fn heading(line: &str) -> Option<Record> {
    let (date, rest) = line.strip_prefix('[')?.split_once(']')?;
    let (id, title) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.contains('-') {
        return None;
    }
    let published = day(date);
    Some(Record {
        id: id.to_owned(),
        title: cut(title.trim(), TITLE_BYTES_MAX).to_owned(),
        references: vec![Reference { kind: "ADVISORY".into(), link: format!("{TRACKER}{id}") }],
        published,
        modified: published,
        ..Record::default()
    })
}

/// `[trixie] - nginx 1.26.3-3+deb13u7`, or a state in angle brackets in the
/// version's place. `Err(Some)`: left out for that reason.
fn release(body: &str) -> Result<Affected, Option<String>> {
    let (codename, rest) = body.strip_prefix('[').and_then(|b| b.split_once(']')).ok_or(None)?;
    let mut words = rest.trim().strip_prefix('-').ok_or(None)?.split_whitespace();
    let (name, version) = words.next().zip(words.next()).ok_or(None)?;
    if name.len() > NAME_BYTES_MAX || version.len() > NAME_BYTES_MAX {
        return Err(None);
    }
    let number = debian_release(codename)
        .ok_or_else(|| Some(format!("release {} of no known number", cut(codename, 40))))?;
    let mut statement = Statement::default();
    let all = vec![vec![Event::Introduced("0".into())]];
    match version {
        "<not-affected>" => statement.stance = Stance::NotAffected,
        "<undetermined>" => statement.stance = Stance::Undecided,
        "<unfixed>" => statement.ranges = all,
        "<end-of-life>" => (statement.ranges, statement.plan) = (all, FixPlan::EndOfLife),
        "<ignored>" => (statement.ranges, statement.plan) = (all, FixPlan::WillNotFix),
        "<no-dsa>" => (statement.ranges, statement.plan) = (all, FixPlan::NoAdvisory),
        "<postponed>" => (statement.ranges, statement.plan) = (all, FixPlan::Deferred),
        state if state.starts_with('<') => return Err(Some(format!("state {}", cut(state, 40)))),
        fixed => {
            statement.ranges =
                vec![vec![Event::Introduced("0".into()), Event::Fixed(fixed.to_owned())]]
        }
    }
    Ok(Affected {
        namespace: Namespace::new(&format!("Debian:{number}")),
        name: name.to_owned(),
        statement,
    })
}

/// `30 Jun 2026` in seconds since 1970.
fn day(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_whitespace();
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|m| month.starts_with(m))? + 1;
    super::seconds(&format!("{year}-{month:02}-{:02}", day.parse::<u8>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "[24 Oct 2023] DSA-5532-1 openssl - security update\n\
        \t{CVE-2023-5363}\n\
        \t[bookworm] - openssl 3.0.11-1~deb12u2\n\
        [1 May 2006] DSA-1-2 x - regression update\n\
        \t[bullseye] - x <not-affected> (never there)\n\
        \t[potato] - x 1\n\
        \tNOTE: hello\n";

    #[test]
    fn an_advisory_names_cves_and_releases() {
        let parsed = parse(LIST.as_bytes()).unwrap();
        let Content::Records(records) = parsed.content else { panic!() };
        assert_eq!(parsed.source, "debian/dsa");
        assert_eq!(parsed.data_date, super::super::seconds("2023-10-24"));
        assert_eq!(records[0].covers, ["CVE-2023-5363"]);
        assert_eq!(records[0].title, "openssl - security update");
        assert_eq!(records[0].affected[0].namespace.as_str(), "Debian:12");
        assert_eq!(records[1].defects(), ["DSA-1-2"]);
        assert_eq!(records[1].affected.len(), 1);
        assert_eq!(records[1].affected[0].statement.stance, Stance::NotAffected);
        assert_eq!(parsed.report.skipped.len(), 1);
    }

    #[test]
    fn an_empty_list_is_refused() {
        assert!(parse(b"hello").is_err());
    }
}
