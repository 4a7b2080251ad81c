//! The Debian security tracker's JSON: `{source: {CVE: {releases: {codename:
//! {status, fixed_version, urgency, nodsa, nodsa_reason, repositories}}}}}`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use packages::Namespace;
use packages::namespace::debian_release;
use packages::version::VersionScheme;
use serde::Deserialize;

use super::{ImportReport, Parsed};
use crate::record::{
    Affected, DETAILS_BYTES_MAX, Event, FixPlan, ID_BYTES_MAX, NAME_BYTES_MAX, Record, Stance,
    Statement, TITLE_BYTES_MAX, cut,
};
use crate::segment::Content;

const SOURCE: &str = "debian/tracker";

#[derive(Deserialize)]
struct Issue {
    description: Option<String>,
    releases: Option<BTreeMap<String, Release>>,
}

#[derive(Deserialize)]
struct Release {
    status: Option<String>,
    fixed_version: Option<String>,
    urgency: Option<String>,
    nodsa: Option<String>,
    nodsa_reason: Option<String>,
    repositories: Option<BTreeMap<String, String>>,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let sources: BTreeMap<String, BTreeMap<String, Issue>> =
        serde_json::from_slice(bytes).map_err(|e| format!("not the tracker's JSON: {e}"))?;
    let mut report = ImportReport::new(SOURCE);
    let mut records: BTreeMap<String, Record> = BTreeMap::new();
    for (source, issues) in sources {
        if source.len() > NAME_BYTES_MAX || source.contains('\0') {
            report.skip("source package whose name is too long or not printable");
            continue;
        }
        for (id, issue) in issues {
            if id.is_empty() || id.len() > ID_BYTES_MAX {
                report.skip("issue without a usable id");
                continue;
            }
            let record =
                records.entry(id.clone()).or_insert_with(|| Record { id, ..Record::default() });
            if let Some(text) = issue.description.filter(|_| record.details.is_empty()) {
                record.details = cut(text.trim(), DETAILS_BYTES_MAX).to_owned();
            }
            for (codename, release) in issue.releases.unwrap_or_default() {
                let Some(number) = debian_release(&codename) else {
                    report.skip(&format!("release {} of no known number", cut(&codename, 40)));
                    continue;
                };
                match state(release) {
                    Some(statement) => record.affected.push(Affected {
                        namespace: Namespace::new(&format!("Debian:{number}")),
                        name: source.clone(),
                        statement,
                    }),
                    None => report.skip("state of an unknown kind"),
                }
            }
        }
    }
    let records = records.into_values().collect();
    // The JSON carries no date of its own.
    Ok(Parsed {
        source: SOURCE.into(),
        data_date: None,
        content: Content::Records(records),
        report,
    })
}

fn state(release: Release) -> Option<Statement> {
    let urgency = release.urgency.unwrap_or_default();
    let mut statement = Statement {
        rating: (!urgency.is_empty() && urgency != "not yet assigned" && urgency != "end-of-life")
            .then(|| cut(&urgency, ID_BYTES_MAX).to_owned()),
        note: release.nodsa.filter(|n| !n.is_empty()).map(|n| cut(&n, TITLE_BYTES_MAX).to_owned()),
        ..Statement::default()
    };
    match release.status.as_deref()? {
        "resolved" => match release.fixed_version.filter(|v| v != "0" && v.len() <= NAME_BYTES_MAX)
        {
            Some(fixed) => {
                if newer_than_all(&fixed, release.repositories.unwrap_or_default().values()) {
                    statement.plan = FixPlan::NotYetAvailable;
                }
                statement.ranges = vec![vec![Event::Introduced("0".into()), Event::Fixed(fixed)]];
            }
            // "0": the release never had the vulnerable code.
            None => statement.stance = Stance::NotAffected,
        },
        "open" => {
            statement.ranges = vec![vec![Event::Introduced("0".into())]];
            statement.plan = match release.nodsa_reason.as_deref() {
                _ if urgency == "end-of-life" => FixPlan::EndOfLife,
                Some("ignored") => FixPlan::WillNotFix,
                Some("postponed") => FixPlan::Deferred,
                Some(_) => FixPlan::NoAdvisory,
                None if statement.note.is_some() => FixPlan::NoAdvisory,
                None => FixPlan::Open,
            };
        }
        "undetermined" => statement.stance = Stance::Undecided,
        _ => return None,
    }
    Some(statement)
}

/// Whether the archive does not carry a version yet. An archive that is not
/// listed proves nothing.
fn newer_than_all<'a>(fixed: &str, repositories: impl Iterator<Item = &'a String>) -> bool {
    let Some(scheme) = VersionScheme::for_ecosystem("Debian") else { return false };
    let mut any = false;
    for version in repositories {
        any = true;
        if scheme.compare(fixed, version) != Some(Ordering::Greater) {
            return false;
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(release: &str, stance: Stance, plan: FixPlan, fixed: Option<&str>) {
        let json =
            format!(r#"{{"openssl":{{"CVE-2023-5363":{{"releases":{{"bookworm":{release}}}}}}}}}"#);
        let parsed = parse(json.as_bytes()).unwrap();
        let Content::Records(records) = parsed.content else { panic!() };
        let affected = &records[0].affected[0];
        assert_eq!(affected.namespace.as_str(), "Debian:12");
        let found = affected.statement.ranges.iter().flatten().find_map(|e| match e {
            Event::Fixed(v) => Some(v.as_str()),
            _ => None,
        });
        assert_eq!(
            (affected.statement.stance, affected.statement.plan, found),
            (stance, plan, fixed),
            "{release}"
        );
    }

    #[test]
    fn states_keep_their_meaning() {
        use FixPlan::*;
        use Stance::*;
        check(
            r#"{"status":"resolved","fixed_version":"3.0.11-1~deb12u2","urgency":"high"}"#,
            Ranges,
            Open,
            Some("3.0.11-1~deb12u2"),
        );
        check(
            r#"{"status":"resolved","fixed_version":"0","urgency":"unimportant"}"#,
            NotAffected,
            Open,
            None,
        );
        check(r#"{"status":"open","urgency":"low"}"#, Ranges, Open, None);
        check(
            r#"{"status":"open","urgency":"low","nodsa":"Minor issue","nodsa_reason":""}"#,
            Ranges,
            NoAdvisory,
            None,
        );
        check(
            r#"{"status":"open","urgency":"low","nodsa":"Minor issue","nodsa_reason":"ignored"}"#,
            Ranges,
            WillNotFix,
            None,
        );
        check(
            r#"{"status":"open","urgency":"low","nodsa":"Minor","nodsa_reason":"postponed"}"#,
            Ranges,
            Deferred,
            None,
        );
        check(r#"{"status":"open","urgency":"end-of-life"}"#, Ranges, EndOfLife, None);
        check(r#"{"status":"undetermined","urgency":"not yet assigned"}"#, Undecided, Open, None);
    }

    #[test]
    fn unknown_releases_are_counted() {
        let parsed = parse(
            br#"{"a":{"CVE-2023-5363":{"releases":{"etch":{"status":"open","urgency":"low"}}}}}"#,
        )
        .unwrap();
        assert_eq!(parsed.report.skipped.values().sum::<u64>(), 1);
    }
}
