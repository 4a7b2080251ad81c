//! From what matching says to what the store keeps.

use advisories::Index;
use matching::{PackageFinding, match_package};
use store::scan::{FindingChange, PackageMatch, StoredFinding, StoredPackage};

/// Matches packages with the advisories of an index.
pub fn match_stored(index: &Index, packages: &[StoredPackage]) -> Vec<PackageMatch> {
    packages
        .iter()
        .map(|stored| {
            let verdict = match_package(index, stored.namespace.as_ref(), &stored.package);
            let mut reasons: Vec<String> =
                verdict.undetermined.into_iter().map(|u| u.reason).collect();
            let unassessed =
                if verdict.assessed || reasons.is_empty() { None } else { Some(reasons.remove(0)) };
            PackageMatch {
                package_id: stored.id,
                unassessed,
                undetermined: reasons,
                findings: verdict
                    .findings
                    .iter()
                    .map(|finding| stored_finding(index, finding))
                    .collect(),
            }
        })
        .collect()
}

fn stored_finding(index: &Index, finding: &PackageFinding) -> StoredFinding {
    let check = index.check(finding.id);
    let (title, category) = match check {
        Some(check) => (check.title, check.category),
        None => (finding.advisories.first().cloned().unwrap_or_default(), String::new()),
    };
    StoredFinding {
        finding_id: finding.id.0,
        severity: finding.severity as u8,
        patchable: finding.patchable,
        suppressed: finding.suppressed.clone(),
        title,
        category,
        // Strings and numbers only: this cannot fail.
        detail: serde_json::to_string(finding).unwrap_or_default(),
    }
}

/// Says why a finding opened, changed or closed when other advisories came
/// into force.
pub fn cause_of_change(index: &Index, change: FindingChange, finding: &StoredFinding) -> String {
    let Ok(detail) = serde_json::from_str::<PackageFinding>(&finding.detail) else {
        return "other advisories are in force".to_owned();
    };
    let advisory = &detail.evidence.advisory;
    let feed = &detail.evidence.feed;
    match change {
        FindingChange::Opened => format!("advisory {advisory} of {feed} now says so"),
        FindingChange::Changed => format!("advisory {advisory} of {feed} was changed"),
        FindingChange::Closed => {
            let records = index.records_of(advisory);
            if records.is_empty() {
                format!("advisory {advisory} is no longer in {feed}")
            } else if records.iter().all(|(_, record)| record.withdrawn.is_some()) {
                format!("advisory {advisory} of {feed} was withdrawn")
            } else {
                format!("advisory {advisory} of {feed} no longer speaks of this version")
            }
        }
    }
}
