//! What one record says about one package, and which claims speak of the same
//! defect.

use std::collections::{BTreeSet, HashMap};

use advisories::index::Hit;
use advisories::range::{Bound, Placed, place};
use advisories::record::{Event, Stance};
use packages::version::VersionScheme;

/// One record's word on one defect of one package.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) hit: Hit,
    /// Names of the defect: one CVE for an erratum, else the record's group.
    pub(crate) ids: Vec<String>,
    pub(crate) said: Said,
    /// How specific the source is: where feeds disagree, the highest counts.
    pub(crate) rank: u8,
}

/// What a claim comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Affected {
        bound: Bound,
        fix: Option<String>,
    },
    NotAffected {
        bound: Option<Bound>,
    },
    /// A version that is none by the ecosystem's rules.
    Incomparable {
        version: String,
    },
    /// No rules are known for the ecosystem.
    NoOrder,
    /// The feed has not decided.
    Undecided,
    Withdrawn,
}

/// Rank of a paid channel: it only speaks where the free one does not.
pub(crate) const RANK_PAID: u8 = 0;

/// The distribution's own state per package and release outranks its errata,
/// which outrank what others made of them.
fn rank(source: &str) -> u8 {
    match source {
        "debian/tracker" | "alpine/secdb" => 3,
        "debian/dsa" | "debian/dla" | "debian/dtsa" => 2,
        _ => 1,
    }
}

/// The claims of a hit: an erratum makes one per CVE that it covers.
pub(crate) fn claims(
    hit: Hit,
    scheme: Option<VersionScheme>,
    version: &str,
    paid: bool,
) -> Vec<Claim> {
    let said = said(&hit, scheme, version);
    let rank = if paid { RANK_PAID } else { rank(&hit.source) };
    let record = &hit.record;
    let groups: Vec<Vec<String>> = if record.covers.is_empty() {
        vec![std::iter::once(&record.id).chain(&record.aliases).cloned().collect()]
    } else {
        record.covers.iter().map(|cve| vec![cve.clone()]).collect()
    };
    groups
        .into_iter()
        .map(|ids| Claim { hit: hit.clone(), ids, said: said.clone(), rank })
        .collect()
}

fn said(hit: &Hit, scheme: Option<VersionScheme>, version: &str) -> Said {
    if hit.record.withdrawn.is_some() {
        return Said::Withdrawn;
    }
    match (hit.statement.stance, scheme) {
        (Stance::NotAffected, _) => Said::NotAffected { bound: None },
        (Stance::Undecided, _) => Said::Undecided,
        (Stance::Ranges, Some(scheme)) => match place(scheme, &hit.statement, version) {
            Placed::Inside { bound, fix } => Said::Affected { bound, fix },
            Placed::Outside { bound } => Said::NotAffected { bound },
            Placed::Incomparable { version } => Said::Incomparable { version },
        },
        (Stance::Ranges, None) => match hit.statement.versions.iter().find(|v| *v == version) {
            Some(listed) => Said::Affected { bound: Bound::Version(listed.clone()), fix: None },
            None => Said::NoOrder,
        },
    }
}

impl Claim {
    /// The rule in words.
    pub(crate) fn rule(&self, installed: &str) -> String {
        let mut rule = match &self.said {
            Said::Affected { bound: Bound::Version(_), .. } => {
                format!("{installed} is listed as affected")
            }
            Said::Affected { bound: Bound::Event(event), .. } => match event {
                Event::Fixed(v) => format!("fixed in {v}; {installed} is lower"),
                Event::LastAffected(v) => {
                    format!("affected up to {v}; {installed} is not above it")
                }
                Event::Limit(v) => format!("affected below {v}; {installed} is lower"),
                Event::Introduced(v) if v == "0" => {
                    "every version is affected; no fixed version is known".to_owned()
                }
                Event::Introduced(v) => {
                    format!(
                        "affected from {v} on, no fixed version is known; {installed} is not lower"
                    )
                }
            },
            Said::NotAffected { bound: None }
                if self.hit.statement.stance == Stance::NotAffected =>
            {
                "the feed says that this release never had the defect".to_owned()
            }
            Said::NotAffected { bound: None } => {
                format!("{installed} is not among the affected versions")
            }
            Said::NotAffected { bound: Some(Bound::Version(v)) } => {
                format!("{installed} is not {v}")
            }
            Said::NotAffected { bound: Some(Bound::Event(event)) } => match event {
                Event::Fixed(v) => format!("fixed in {v}; {installed} is not lower"),
                Event::LastAffected(v) => format!("affected up to {v}; {installed} is above it"),
                Event::Introduced(v) => {
                    format!("affected from {v} on; {installed} is lower or beyond a limit")
                }
                Event::Limit(v) => format!("the record ends at {v}; {installed} is not lower"),
            },
            Said::Incomparable { version } => {
                format!(
                    "cannot compare: {version:?} is no version by the rules of {}",
                    self.hit.namespace.family()
                )
            }
            Said::NoOrder => {
                format!(
                    "cannot compare: no version order is known for {}",
                    self.hit.namespace.family()
                )
            }
            Said::Undecided => "the feed has not decided".to_owned(),
            Said::Withdrawn => "the advisory was withdrawn".to_owned(),
        };
        if let Some(note) = &self.hit.statement.note {
            rule.push_str(&format!(" ({note})"));
        }
        rule
    }

    /// The version of the bound that decided.
    pub(crate) fn compared_with(&self) -> Option<String> {
        let (Said::Affected { bound, .. } | Said::NotAffected { bound: Some(bound) }) = &self.said
        else {
            return None;
        };
        Some(match bound {
            Bound::Version(v) => v.clone(),
            Bound::Event(event) => advisories::range::event_version(event).to_owned(),
        })
    }
}

/// Claims that speak of the same defect.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub(crate) ids: BTreeSet<String>,
    pub(crate) claims: Vec<Claim>,
}

/// Joins claims by common ids. Errata never join the defects they cover, since
/// each of their claims carries a single one.
pub(crate) fn group(claims: Vec<Claim>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut of_id: HashMap<String, usize> = HashMap::new();
    for claim in claims {
        let mut known: Vec<usize> =
            claim.ids.iter().filter_map(|id| of_id.get(id).copied()).collect();
        known.sort_unstable();
        known.dedup();
        let target = known.first().copied().unwrap_or_else(|| {
            groups.push(Group::default());
            groups.len() - 1
        });
        for other in known.into_iter().skip(1) {
            let merged = std::mem::take(&mut groups[other]);
            for id in &merged.ids {
                of_id.insert(id.clone(), target);
            }
            groups[target].ids.extend(merged.ids);
            groups[target].claims.extend(merged.claims);
        }
        for id in &claim.ids {
            of_id.insert(id.clone(), target);
            groups[target].ids.insert(id.clone());
        }
        groups[target].claims.push(claim);
    }
    groups.retain(|group| !group.claims.is_empty());
    groups
}
