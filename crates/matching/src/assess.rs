//! From an inventory to an image's assessment.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use advisories::{FindingId, Index, Severity};
use packages::{Inventory, InventoryItem, Namespace, PackageType};
use serde::{Deserialize, Serialize};

use crate::finding::PackageFinding;
use crate::package::match_package;
use crate::status::{Status, Tally, status_of};

/// What the index says about an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// In one word.
    pub status: Status,
    /// What could not be looked at, in words.
    pub cause: Option<String>,
    /// The counts behind the status.
    pub tally: Tally,
    /// The worst first, then by id.
    pub findings: Vec<ImageFinding>,
    /// By item, then by reason.
    pub undetermined: Vec<UndeterminedItem>,
    /// Packages that their distribution's feed judges under another name.
    pub delegated: Vec<Delegated>,
}

/// One security check that applies to an image, with all its packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFinding {
    /// The security check.
    pub id: FindingId,
    /// The worst among its packages.
    pub severity: Severity,
    /// Whether every package it applies to can be patched.
    pub patchable: bool,
    /// CVEs, sorted.
    pub cves: Vec<String>,
    /// Set where it is suppressed for every package it applies to.
    pub suppressed: Option<String>,
    /// Index into the inventory's packages, with what was found there.
    pub packages: Vec<(u32, PackageFinding)>,
}

/// Something that could not be decided about a package of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndeterminedItem {
    /// Index into the inventory's packages.
    pub item: u32,
    /// In words.
    pub reason: String,
    /// The advisory that could not be compared, where it is about one.
    pub advisory: Option<String>,
}

/// A language package whose files a distribution package owns: the
/// distribution's complete feed judges it, since fixes are backported without
/// a change of the upstream version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegated {
    /// Index into the inventory's packages.
    pub item: u32,
    /// Name of the distribution package that owns its file.
    pub owner: String,
}

/// Distributions whose feeds state everything about their packages, unfixed
/// defects among it. Alpine's lists fixes only.
const COMPLETE: [&str; 2] = ["Debian", "Ubuntu"];

/// Judges every package of an image.
pub fn assess(index: &Index, inventory: &Inventory) -> Assessment {
    let mut gathered: BTreeMap<FindingId, Vec<(u32, PackageFinding)>> = BTreeMap::new();
    let mut tally = Tally { packages: inventory.packages.len() as u64, ..Tally::default() };
    let (mut undetermined, mut delegated) = (Vec::new(), Vec::new());
    let owners = Owners::of(index, inventory);
    for (number, item) in inventory.packages.iter().enumerate() {
        let number = number as u32;
        if let Some(owner) = owners.judge_of(item) {
            delegated.push(Delegated { item: number, owner: owner.to_owned() });
            continue;
        }
        let namespace = Namespace::of(item.package.kind, inventory.os.as_ref());
        let verdict = match_package(index, namespace.as_ref(), &item.package);
        if let Some(first) = verdict.undetermined.first() {
            let counts =
                if verdict.assessed { &mut tally.undetermined } else { &mut tally.unassessed };
            *counts.entry(first.reason.clone()).or_default() += 1;
        }
        undetermined.extend(verdict.undetermined.into_iter().map(|u| UndeterminedItem {
            item: number,
            reason: u.reason,
            advisory: u.advisory,
        }));
        for finding in verdict.findings {
            gathered.entry(finding.id).or_default().push((number, finding));
        }
    }
    for problem in &inventory.problems {
        *tally.problems.entry(problem.message.clone()).or_default() += 1;
    }
    let mut findings: Vec<ImageFinding> =
        gathered.into_iter().map(|(id, packages)| join(id, packages)).collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.id.cmp(&b.id)));
    tally.findings = findings.iter().filter(|f| f.suppressed.is_none()).count() as u64;
    let (status, cause) = status_of(&tally);
    Assessment { status, cause, tally, findings, undetermined, delegated }
}

fn join(id: FindingId, packages: Vec<(u32, PackageFinding)>) -> ImageFinding {
    let visible: Vec<&PackageFinding> =
        packages.iter().map(|(_, f)| f).filter(|f| f.suppressed.is_none()).collect();
    let counted = if visible.is_empty() {
        packages.iter().map(|(_, f)| f).collect()
    } else {
        visible.clone()
    };
    let cves: BTreeSet<String> =
        packages.iter().flat_map(|(_, f)| f.cves.iter().cloned()).collect();
    ImageFinding {
        id,
        severity: counted.iter().map(|f| f.severity).max().unwrap_or_default(),
        patchable: counted.iter().all(|f| f.patchable),
        cves: cves.into_iter().collect(),
        suppressed: if visible.is_empty() {
            packages.first().and_then(|(_, f)| f.suppressed.clone())
        } else {
            None
        },
        packages,
    }
}

/// The distribution packages that speak for language packages.
pub(crate) struct Owners<'a> {
    names: HashSet<&'a str>,
}

impl<'a> Owners<'a> {
    pub(crate) fn of(index: &Index, inventory: &'a Inventory) -> Self {
        let namespace = Namespace::of(PackageType::Deb, inventory.os.as_ref());
        let complete =
            namespace.is_some_and(|n| COMPLETE.contains(&n.family()) && index.covers(&n));
        let debs =
            inventory.packages.iter().filter(|i| complete && i.package.kind == PackageType::Deb);
        Self { names: debs.map(|i| i.package.name.as_str()).collect() }
    }

    /// The installed distribution package that judges this item in its stead.
    pub(crate) fn judge_of<'i>(&self, item: &'i InventoryItem) -> Option<&'i str> {
        let owner = item.owner.as_deref().filter(|_| !item.package.kind.is_distribution())?;
        self.names.contains(owner).then_some(owner)
    }
}
