//! The rule from findings and gaps to one word, the same for server and
//! command line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The state of an image under the recommendation to have findings resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything was looked at and nothing was found.
    Healthy,
    /// Something was found.
    Unhealthy,
    /// Nothing was found, but not everything could be looked at.
    NotApplicable,
}

impl Status {
    /// As in JSON: `healthy`, `unhealthy`, `not_applicable`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::NotApplicable => "not_applicable",
        }
    }
}

/// The counts that decide the status; can be gathered from stored rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Packages in the inventory.
    pub packages: u64,
    /// Findings that are not suppressed.
    pub findings: u64,
    /// Packages that no feed judges, counted by reason.
    pub unassessed: BTreeMap<String, u64>,
    /// Packages with at least one advisory that could not be compared, by
    /// reason.
    pub undetermined: BTreeMap<String, u64>,
    /// Messages of the inventory's problems, counted.
    pub problems: BTreeMap<String, u64>,
}

/// Most different reasons that a cause spells out.
const CAUSES_SPELLED_MAX: usize = 3;

/// Never [`Status::Healthy`] for what nobody looked at. The cause is present
/// whenever something could not be looked at, whatever the status.
pub fn status_of(tally: &Tally) -> (Status, Option<String>) {
    let mut causes = Vec::new();
    spell(&mut causes, &tally.problems, |message, _| message.to_owned());
    if tally.packages == 0 {
        causes.push("no packages were found in the image".to_owned());
    }
    spell(&mut causes, &tally.unassessed, |reason, n| {
        format!("{reason}; {} not assessed", packages(n))
    });
    spell(&mut causes, &tally.undetermined, |reason, n| {
        format!("{reason}; {} not fully assessed", packages(n))
    });
    let status = match (tally.findings, causes.is_empty()) {
        (0, true) => Status::Healthy,
        (0, false) => Status::NotApplicable,
        _ => Status::Unhealthy,
    };
    (status, (!causes.is_empty()).then(|| causes.join(". ")))
}

fn packages(count: u64) -> String {
    if count == 1 { "1 package".to_owned() } else { format!("{count} packages") }
}

fn spell(
    causes: &mut Vec<String>,
    reasons: &BTreeMap<String, u64>,
    say: impl Fn(&str, u64) -> String,
) {
    let mut by_count: Vec<_> = reasons.iter().collect();
    by_count.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    for (reason, count) in by_count.iter().take(CAUSES_SPELLED_MAX) {
        causes.push(say(reason, **count));
    }
    if by_count.len() > CAUSES_SPELLED_MAX {
        causes.push(format!("and {} more reasons", by_count.len() - CAUSES_SPELLED_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tally: Tally, status: Status, cause: Option<&str>) {
        assert_eq!(status_of(&tally), (status, cause.map(str::to_owned)));
    }

    fn reasons(reason: &str, count: u64) -> BTreeMap<String, u64> {
        BTreeMap::from([(reason.to_owned(), count)])
    }

    #[test]
    fn clean_means_that_everything_was_looked_at() {
        check(Tally { packages: 3, ..Tally::default() }, Status::Healthy, None);
        check(Tally::default(), Status::NotApplicable, Some("no packages were found in the image"));
        check(
            Tally {
                packages: 15,
                unassessed: reasons("no advisory feed for alpine 3.99 is imported", 15),
                ..Tally::default()
            },
            Status::NotApplicable,
            Some("no advisory feed for alpine 3.99 is imported; 15 packages not assessed"),
        );
        check(
            Tally { packages: 2, problems: reasons("layer 1 breaks off", 1), ..Tally::default() },
            Status::NotApplicable,
            Some("layer 1 breaks off"),
        );
    }

    #[test]
    fn findings_outweigh_gaps_but_do_not_hide_them() {
        check(
            Tally {
                packages: 2,
                findings: 1,
                undetermined: reasons("x is no version", 1),
                ..Tally::default()
            },
            Status::Unhealthy,
            Some("x is no version; 1 package not fully assessed"),
        );
    }
}
