//! From rows of packages to findings of an image: one security check with all
//! the packages it applies to.

use std::collections::BTreeMap;

use advisories::{FindingId, Severity};
use matching::PackageFinding;
use packages::InventoryItem;
use store::scan::{ImageFindingRow, Millis, SeverityCounts};

/// A security check that applies to an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The security check.
    pub id: FindingId,
    /// The worst among its packages.
    pub severity: Severity,
    /// The check's title when it was matched.
    pub title: String,
    /// `Debian`, `Python` ...
    pub category: String,
    /// Whether every package it applies to can be patched.
    pub patchable: bool,
    /// CVEs, sorted.
    pub cves: Vec<String>,
    /// Why it is kept out of lists and counts, where it is for every package.
    pub suppressed: Option<String>,
    /// When it opened on the first of its packages.
    pub opened_at: Millis,
    /// Never empty; by layer, then by name.
    pub occurrences: Vec<Occurrence>,
}

/// One package that a finding applies to, where it stands in the image.
#[derive(Debug, Clone, PartialEq)]
pub struct Occurrence {
    /// The package, its layer and file.
    pub item: InventoryItem,
    /// What matching said of it.
    pub verdict: PackageFinding,
}

/// Why stored findings cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the stored finding {finding_id} of package row {package_id} cannot be read: {source}")]
pub struct FindingError {
    /// The check.
    pub finding_id: u64,
    /// The package's row.
    pub package_id: i64,
    /// What is wrong.
    pub source: serde_json::Error,
}

/// A step of severity as the store writes it: 4 critical to 0 unscored.
pub fn severity_of_rank(rank: u8) -> Severity {
    match rank {
        0 => Severity::Unscored,
        1 => Severity::Low,
        2 => Severity::Medium,
        3 => Severity::High,
        _ => Severity::Critical,
    }
}

/// Findings of one image, by id. Rows of several images (the platforms of an
/// index) join where they name the same check.
pub fn group(rows: Vec<ImageFindingRow>) -> Result<Vec<Finding>, FindingError> {
    let mut findings: BTreeMap<u64, Finding> = BTreeMap::new();
    for row in rows {
        let stored = row.finding;
        let verdict: PackageFinding = serde_json::from_str(&stored.detail).map_err(|source| {
            FindingError { finding_id: stored.finding_id, package_id: row.package_id, source }
        })?;
        let severity = severity_of_rank(stored.severity);
        let occurrence = Occurrence { item: row.item, verdict };
        let one = Finding {
            id: FindingId(stored.finding_id),
            severity,
            title: stored.title,
            category: stored.category,
            patchable: stored.patchable,
            cves: occurrence.verdict.cves.clone(),
            suppressed: stored.suppressed,
            opened_at: row.opened_at,
            occurrences: vec![occurrence],
        };
        match findings.get_mut(&stored.finding_id) {
            Some(finding) => finding.join(one),
            None => drop(findings.insert(stored.finding_id, one)),
        }
    }
    let mut findings: Vec<_> = findings.into_values().collect();
    for finding in &mut findings {
        finding.occurrences.sort_by(|a, b| {
            let key = |o: &Occurrence| (o.item.layer, o.item.package.name.clone());
            key(a).cmp(&key(b)).then_with(|| a.item.cmp(&b.item))
        });
    }
    Ok(findings)
}

/// Findings that count, by severity.
pub fn count<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> SeverityCounts {
    let mut counts = SeverityCounts::default();
    for finding in findings.into_iter().filter(|finding| finding.suppressed.is_none()) {
        add(&mut counts, finding.severity);
    }
    counts
}

/// Counts one more finding.
pub fn add(counts: &mut SeverityCounts, severity: Severity) {
    *match severity {
        Severity::Critical => &mut counts.critical,
        Severity::High => &mut counts.high,
        Severity::Medium => &mut counts.medium,
        Severity::Low => &mut counts.low,
        Severity::Unscored => &mut counts.unscored,
    } += 1;
}

impl Finding {
    /// Takes in what another package, or another platform, says of the same check.
    pub fn join(&mut self, other: Self) {
        // What counts decides: a suppressed occurrence neither worsens nor
        // softens a finding that stands by another package.
        match (&self.suppressed, &other.suppressed) {
            (None, Some(_)) => {}
            (Some(_), None) => {
                self.severity = other.severity;
                self.patchable = other.patchable;
                self.suppressed = None;
            }
            _ => {
                self.severity = self.severity.max(other.severity);
                self.patchable &= other.patchable;
            }
        }
        self.cves.extend(other.cves);
        self.cves.sort();
        self.cves.dedup();
        self.opened_at = self.opened_at.min(other.opened_at);
        for occurrence in other.occurrences {
            if !self.occurrences.contains(&occurrence) {
                self.occurrences.push(occurrence);
            }
        }
    }

    /// The occurrence that its severity comes from.
    pub fn deciding(&self) -> Option<&Occurrence> {
        self.occurrences.iter().max_by_key(|o| (o.verdict.suppressed.is_none(), o.verdict.severity))
    }

    /// Versions that fix it, each once, in the order of its packages.
    pub fn fixed_versions(&self) -> Vec<String> {
        distinct(self.occurrences.iter().filter_map(|o| o.verdict.fixed_version.as_deref()))
    }

    /// Versions installed, each once, in the order of its packages.
    pub fn installed_versions(&self) -> Vec<String> {
        distinct(self.occurrences.iter().map(|o| o.item.package.version.as_str()))
    }
}

fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for text in texts {
        if !seen.iter().any(|s| s == text) {
            seen.push(text.to_owned());
        }
    }
    seen
}

#[cfg(test)]
pub(crate) mod tests {
    use matching::{Evidence, FixState};
    use packages::{Package, PackageType};
    use store::scan::StoredFinding;

    use super::*;

    /// A row as the scanner writes it.
    pub(crate) fn row(
        id: u64,
        severity: u8,
        package: &str,
        fixed: Option<&str>,
        suppressed: Option<&str>,
    ) -> ImageFindingRow {
        let verdict = PackageFinding {
            id: FindingId(id),
            severity: severity_of_rank(severity),
            severity_reason: "test".into(),
            state: if fixed.is_some() { FixState::Fixed } else { FixState::NoFix },
            patchable: fixed.is_some(),
            fixed_version: fixed.map(str::to_owned),
            cves: vec![format!("CVE-2024-{id:04}")],
            advisories: vec![format!("DSA-{id}-1")],
            evidence: Evidence {
                feed: "debian/dsa".into(),
                advisory: format!("DSA-{id}-1"),
                advisory_date: None,
                rule: "fixed in 2; 1 is lower".into(),
                installed: "1".into(),
                compared_with: fixed.map(str::to_owned),
                matched_name: package.into(),
                scheme: "Debian".into(),
                consulted: vec![],
            },
            suppressed: suppressed.map(str::to_owned),
        };
        ImageFindingRow {
            package_id: 1,
            item: InventoryItem {
                package: Package::language(PackageType::Deb, package, "1"),
                layer: 0,
                path: "var/lib/dpkg/status".into(),
                owner: None,
            },
            finding: StoredFinding {
                finding_id: id,
                severity,
                patchable: fixed.is_some(),
                suppressed: suppressed.map(str::to_owned),
                title: format!("Debian Security Update for {package} (DSA-{id}-1)"),
                category: "Debian".into(),
                detail: serde_json::to_string(&verdict).unwrap(),
            },
            opened_at: 1_000,
        }
    }

    fn check(rows: Vec<ImageFindingRow>, severity: Severity, patchable: bool, suppressed: bool) {
        let findings = group(rows).unwrap();
        assert_eq!(findings.len(), 1);
        let finding = &findings[0];
        assert_eq!(
            (finding.severity, finding.patchable, finding.suppressed.is_some()),
            (severity, patchable, suppressed)
        );
    }

    #[test]
    fn the_worst_package_that_counts_decides() {
        let fixed = Some("2");
        check(
            vec![row(1, 2, "a", fixed, None), row(1, 4, "b", fixed, None)],
            Severity::Critical,
            true,
            false,
        );
        check(
            vec![row(1, 2, "a", fixed, None), row(1, 2, "b", None, None)],
            Severity::Medium,
            false,
            false,
        );
        let hidden = Some("minor");
        check(
            vec![row(1, 4, "a", None, hidden), row(1, 2, "b", fixed, None)],
            Severity::Medium,
            true,
            false,
        );
        check(vec![row(1, 4, "a", None, hidden)], Severity::Critical, false, true);
    }

    #[test]
    fn suppressed_findings_do_not_count() {
        let findings = group(vec![
            row(1, 4, "a", None, Some("minor")),
            row(2, 1, "a", None, None),
            row(2, 1, "b", None, None),
        ]);
        let counts = count(&findings.unwrap());
        assert_eq!((counts.total(), counts.low), (1, 1));
    }

    #[test]
    fn damaged_rows_are_an_error_and_not_a_clean_image() {
        let mut broken = row(1, 4, "a", None, None);
        broken.finding.detail = "{}".into();
        assert!(group(vec![broken]).unwrap_err().to_string().contains("finding 1"));
    }
}
