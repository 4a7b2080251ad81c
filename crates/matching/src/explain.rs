//! Why a CVE or an advisory is or is not reported for an image.

use std::collections::BTreeSet;

use advisories::names::lookup_name;
use advisories::{FindingId, Index};
use packages::{Inventory, InventoryItem, Namespace};
use serde::{Deserialize, Serialize};

use crate::assess::Owners;
use crate::package::{Decision, judge};

/// The answer to "why is this id (not) reported here".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What was asked for.
    pub id: String,
    /// Whether any imported feed knows the id.
    pub known: bool,
    /// The records that speak of it, as `feed: advisory (packages)`.
    pub records: Vec<String>,
    /// One answer per package of the image that a record names.
    pub answers: Vec<Answer>,
    /// The whole answer in a sentence.
    pub summary: String,
}

/// What was decided about one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Index into the inventory's packages.
    pub item: u32,
    /// Name of the package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The rules and compared versions, or why there were none.
    pub reasons: Vec<String>,
}

/// What came of asking about one package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Reported.
    Affected,
    /// Found, but kept out of the lists.
    Suppressed,
    /// Compared, and not affected.
    NotAffected,
    /// The advisory was withdrawn.
    Withdrawn,
    /// Could not be decided.
    Undetermined,
    /// Judged by the distribution under the owning package's name.
    Delegated,
}

/// Most package names that a sentence spells out.
const NAMES_SPELLED_MAX: usize = 8;

/// Explains one id for one image. Takes a CVE or any advisory's id, in any
/// case, or a finding id.
pub fn explain(index: &Index, inventory: &Inventory, id: &str) -> Explanation {
    let asked = id.trim();
    let finding = asked.parse::<FindingId>().ok().and_then(|id| index.check(id));
    let wanted = finding
        .map_or_else(|| asked.to_ascii_uppercase(), |check| check.canonical.to_ascii_uppercase());
    let records = index.records_of(&wanted);
    let mut out = Explanation {
        id: asked.to_owned(),
        known: !records.is_empty(),
        records: Vec::new(),
        answers: Vec::new(),
        summary: String::new(),
    };
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (source, record) in &records {
        let withdrawn = if record.withdrawn.is_some() { ", withdrawn" } else { "" };
        out.records.push(format!(
            "{source}: {} ({}{withdrawn})",
            record.id,
            spelled(record.names.iter())
        ));
        names.extend(record.names.iter().cloned());
    }
    if !out.known {
        out.summary = format!("{asked} is not in any imported feed");
        return out;
    }
    let owners = Owners::of(index, inventory);
    let mut judgeless: BTreeSet<String> = BTreeSet::new();
    for (number, item) in inventory.packages.iter().enumerate() {
        let Some(namespace) = Namespace::of(item.package.kind, inventory.os.as_ref()) else {
            continue;
        };
        let name = lookup_name(&namespace, &item.package);
        if !names.contains(&name) {
            continue;
        }
        match answer(index, &namespace, item, &wanted) {
            Some((outcome, reasons)) => {
                let (outcome, reasons) = match owners.judge_of(item) {
                    Some(owner) => (
                        Outcome::Delegated,
                        vec![format!(
                            "its file belongs to the distribution's package {owner}, whose feed decides"
                        )],
                    ),
                    None => (outcome, reasons),
                };
                out.answers.push(Answer {
                    item: number as u32,
                    package: item.package.name.clone(),
                    version: item.package.version.clone(),
                    outcome,
                    reasons,
                });
            }
            None => {
                judgeless.insert(format!("no record of it speaks of {name} in {namespace}"));
            }
        }
    }
    out.summary = summary(asked, &out, &names, &judgeless);
    out
}

fn answer(
    index: &Index,
    namespace: &Namespace,
    item: &InventoryItem,
    wanted: &str,
) -> Option<(Outcome, Vec<String>)> {
    let mut found: Option<(Outcome, Vec<String>)> = None;
    for (group, decision) in judge(index, namespace, &item.package) {
        let about = group.ids.iter().any(|id| id.eq_ignore_ascii_case(wanted))
            || group.claims.iter().any(|c| c.hit.record.id.eq_ignore_ascii_case(wanted));
        if !about {
            continue;
        }
        let version = advisories::names::lookup_version(&item.package);
        let mut reasons: Vec<String> = group
            .claims
            .iter()
            .map(|c| format!("{}: {}: {}", c.hit.source, c.hit.record.id, c.rule(version)))
            .collect();
        reasons.sort();
        reasons.dedup();
        let outcome = match decision {
            Decision::Affected(finding) => match finding.suppressed {
                Some(reason) => {
                    reasons.insert(0, format!("suppressed: {reason}"));
                    Outcome::Suppressed
                }
                None => Outcome::Affected,
            },
            Decision::NotAffected => Outcome::NotAffected,
            Decision::Undetermined(_) | Decision::Undecided => Outcome::Undetermined,
            Decision::Withdrawn => Outcome::Withdrawn,
        };
        // An erratum is about several defects: one that applies decides.
        let better = found
            .as_ref()
            .is_none_or(|(known, _)| *known != Outcome::Affected && outcome == Outcome::Affected);
        if better {
            found = Some((outcome, reasons));
        }
    }
    found
}

fn summary(
    asked: &str,
    out: &Explanation,
    names: &BTreeSet<String>,
    judgeless: &BTreeSet<String>,
) -> String {
    let of = |outcome: Outcome| out.answers.iter().filter(move |a| a.outcome == outcome);
    let named = |outcome: Outcome| {
        let all: BTreeSet<String> =
            of(outcome).map(|a| format!("{} {}", a.package, a.version)).collect();
        spelled(all.iter())
    };
    if of(Outcome::Affected).next().is_some() {
        return format!("{asked} is reported for {}", named(Outcome::Affected));
    }
    for (outcome, why) in [
        (Outcome::Undetermined, "cannot be decided for"),
        (Outcome::Suppressed, "is found but suppressed for"),
        (Outcome::Delegated, "is not reported: the distribution's feed judges"),
        (Outcome::NotAffected, "is not reported: not affected are"),
        (Outcome::Withdrawn, "is not reported: withdrawn for"),
    ] {
        if of(outcome).next().is_some() {
            return format!("{asked} {why} {}", named(outcome));
        }
    }
    match judgeless.iter().next() {
        Some(reason) => format!("{asked} is not reported: {reason}"),
        None => format!(
            "{asked} is not reported: the image holds no package of the name {}",
            spelled(names.iter())
        ),
    }
}

fn spelled<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let count = names.len();
    let shown: Vec<&str> = names.take(NAMES_SPELLED_MAX).map(String::as_str).collect();
    match count - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
