//! Orders of the findings table. Ties go by ID, so pages never overlap; what is
//! not given comes last whichever way the column is sorted.

use std::cmp::Ordering;

use store::scan::Millis;

use super::convert;
use super::error::{ApiError, Kind};
use crate::inspections::EnrichedFinding;

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Id,
    Severity,
    Title,
    Cvss,
    Patchable,
    Package,
    Installed,
    Fixed,
    Epss,
    Kev,
    Category,
    PublishedAt,
    Layer,
    FirstSeenAt,
    Status,
}

const COLUMNS: [(&str, Column); 15] = [
    ("id", Column::Id),
    ("severity", Column::Severity),
    ("title", Column::Title),
    ("cvss", Column::Cvss),
    ("patchable", Column::Patchable),
    ("package", Column::Package),
    ("installed", Column::Installed),
    ("fixed", Column::Fixed),
    ("epss", Column::Epss),
    ("kev", Column::Kev),
    ("category", Column::Category),
    ("publishedAt", Column::PublishedAt),
    ("layer", Column::Layer),
    ("firstSeenAt", Column::FirstSeenAt),
    ("status", Column::Status),
];

/// An order of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order(Option<(Column, bool)>);

/// A value to sort by. Numbers are whole or scores, so they compare totally.
enum Key {
    Number(f64),
    Text(String),
}

impl Order {
    /// Reads `sort`; without one, what is most urgent comes first.
    pub fn parse(sort: Option<&str>) -> Result<Self, ApiError> {
        let Some(sort) = sort.filter(|sort| !sort.is_empty()) else { return Ok(Self(None)) };
        let (name, descending) = sort.strip_prefix('-').map_or((sort, false), |name| (name, true));
        let column = COLUMNS.iter().find(|(known, _)| *known == name).map(|(_, column)| *column);
        let column = column.ok_or_else(|| {
            let known: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
            ApiError::new(
                Kind::BadRequest,
                format!("sort takes one of {}, with a leading - for descending.", known.join(", ")),
            )
        })?;
        Ok(Self(Some((column, descending))))
    }

    /// Sorts findings of an image that came here at `since`.
    pub fn apply(self, findings: &mut [&EnrichedFinding], since: Millis) {
        match self.0 {
            None => findings.sort_by(|a, b| urgency(a, b)),
            // Keys are made once per row, not once per comparison.
            Some((column, descending)) => {
                let mut keyed: Vec<_> = findings
                    .iter()
                    .map(|finding| (key(column, finding, since), *finding))
                    .collect();
                keyed.sort_by(|a, b| {
                    compare(&a.0, &b.0, descending).then(a.1.finding.id.cmp(&b.1.finding.id))
                });
                for (place, (_, finding)) in findings.iter_mut().zip(keyed) {
                    *place = finding;
                }
            }
        }
    }
}

/// Known-exploited, then severity, then EPSS, highest first.
pub(super) fn urgency(a: &EnrichedFinding, b: &EnrichedFinding) -> Ordering {
    let score = |f: &EnrichedFinding| f.epss.as_ref().map_or(-1.0, |epss| epss.score);
    (b.kev.is_some().cmp(&a.kev.is_some()))
        .then(b.finding.severity.cmp(&a.finding.severity))
        .then(score(b).total_cmp(&score(a)))
        .then(a.finding.id.cmp(&b.finding.id))
}

fn compare(a: &Option<Key>, b: &Option<Key>, descending: bool) -> Ordering {
    let order = match (a, b) {
        (None, None) => return Ordering::Equal,
        (None, Some(_)) => return Ordering::Greater,
        (Some(_), None) => return Ordering::Less,
        (Some(Key::Number(a)), Some(Key::Number(b))) => a.total_cmp(b),
        (Some(Key::Text(a)), Some(Key::Text(b))) => a.cmp(b),
        // A column has keys of one kind.
        (Some(Key::Number(_)), Some(Key::Text(_))) => Ordering::Less,
        (Some(Key::Text(_)), Some(Key::Number(_))) => Ordering::Greater,
    };
    if descending { order.reverse() } else { order }
}

fn key(column: Column, enriched: &EnrichedFinding, since: Millis) -> Option<Key> {
    let finding = &enriched.finding;
    let flag = |flag: bool| Key::Number(f64::from(u8::from(flag)));
    let text = |text: &str| Key::Text(text.to_lowercase());
    Some(match column {
        // Below 2^53, so exact.
        Column::Id => Key::Number(finding.id.0 as f64),
        Column::Severity => Key::Number(f64::from(finding.severity as u8)),
        Column::Title => text(&finding.title),
        Column::Cvss => Key::Number(convert::cvss(enriched)?.score),
        Column::Patchable => flag(finding.patchable),
        Column::Package => text(&finding.occurrences.first()?.item.package.name),
        Column::Installed => text(&convert::installed_text(finding)),
        Column::Fixed => text(&convert::fixed_text(finding)?),
        Column::Epss => Key::Number(enriched.epss.as_ref()?.score),
        Column::Kev => flag(enriched.kev.is_some()),
        Column::Category => text(&finding.category),
        Column::PublishedAt => text(enriched.check.as_ref()?.published.as_ref()?),
        Column::Layer => Key::Number(f64::from(finding.occurrences.first()?.item.layer)),
        Column::FirstSeenAt => Key::Number(finding.opened_at.max(since) as f64),
        Column::Status => flag(finding.suppressed.is_some()),
    })
}

#[cfg(test)]
mod tests {
    use advisories::{Epss, FindingId, Kev, Severity};
    use posture::Finding;

    use super::*;

    fn finding(id: u64, severity: Severity, epss: Option<f64>, kev: bool) -> EnrichedFinding {
        EnrichedFinding {
            finding: Finding {
                id: FindingId(id),
                severity,
                title: format!("t{id}"),
                category: "Debian".into(),
                patchable: true,
                cves: vec![],
                suppressed: None,
                opened_at: 0,
                occurrences: vec![],
            },
            check: None,
            epss: epss.map(|score| Epss { score, percentile: score, date: None }),
            kev: kev.then(|| Kev {
                date_added: "2024-01-01".into(),
                due_date: None,
                ransomware: false,
                name: String::new(),
            }),
            search: String::new(),
        }
    }

    fn check(sort: Option<&str>, expected: &[u64]) {
        let all = [
            finding(1, Severity::Low, Some(0.9), false),
            finding(2, Severity::Critical, None, false),
            finding(3, Severity::Critical, Some(0.1), false),
            finding(4, Severity::Low, Some(0.9), true),
            finding(5, Severity::Low, Some(0.9), false),
        ];
        let mut sorted: Vec<_> = all.iter().collect();
        Order::parse(sort).unwrap().apply(&mut sorted, 0);
        assert_eq!(sorted.iter().map(|f| f.finding.id.0).collect::<Vec<_>>(), expected, "{sort:?}");
    }

    #[test]
    fn ties_go_by_id_and_absent_values_come_last() {
        check(None, &[4, 3, 2, 1, 5]);
        check(Some("-severity"), &[2, 3, 1, 4, 5]);
        check(Some("severity"), &[1, 4, 5, 2, 3]);
        check(Some("epss"), &[3, 1, 4, 5, 2]);
        check(Some("-epss"), &[1, 4, 5, 3, 2]);
        check(Some("-id"), &[5, 4, 3, 2, 1]);
        check(Some("-fixed"), &[1, 2, 3, 4, 5]);
        assert!(Order::parse(Some("id; drop table")).is_err());
    }
}
