//! One package against every feed.

use std::cmp::Ordering;

use advisories::names::{category, lookup_name, lookup_version};
use advisories::record::{FixPlan, canonical, is_cve};
use advisories::{CvssVector, FindingId, Index, Severity};
use packages::version::VersionScheme;
use packages::{Namespace, Package, PackageType};

use crate::claim::{Claim, Group, RANK_PAID, Said, claims, group};
use crate::finding::{Evidence, FixState, PackageFinding, PackageVerdict, Undetermined};

/// Binary packages that hold a kernel's headers or tools to build for it.
const KERNEL_HEADERS: [&str; 6] = [
    "linux-libc-dev",
    "linux-headers",
    "linux-kbuild-",
    "linux-compiler-",
    "kernel-headers",
    "linux-source",
];

/// Judges one package. `namespace` is `Namespace::of(package.kind, os)`.
pub fn match_package(
    index: &Index,
    namespace: Option<&Namespace>,
    package: &Package,
) -> PackageVerdict {
    let Some(namespace) = namespace else { return unassessed(unknown_namespace(package.kind)) };
    let judged = judge(index, namespace, package);
    let mut verdict = PackageVerdict::default();
    match gap(index, namespace) {
        Some(reason) => verdict.undetermined.push(Undetermined { reason, advisory: None }),
        None => verdict.assessed = true,
    }
    for (_, decision) in judged {
        match decision {
            Decision::Affected(finding) => verdict.findings.push(*finding),
            Decision::Undetermined(undetermined) => verdict.undetermined.push(undetermined),
            Decision::NotAffected | Decision::Undecided | Decision::Withdrawn => {}
        }
    }
    verdict.findings.sort_by_key(|finding| finding.id);
    verdict
}

fn unassessed(reason: String) -> PackageVerdict {
    let undetermined = vec![Undetermined { reason, advisory: None }];
    PackageVerdict { assessed: false, findings: Vec::new(), undetermined }
}

fn unknown_namespace(kind: PackageType) -> String {
    if kind.is_distribution() {
        format!(
            "the image does not say which distribution its {} packages belong to",
            kind.as_str()
        )
    } else {
        format!("no advisory feed is known for {} packages", kind.as_str())
    }
}

/// Why finding nothing in a namespace would say nothing; `None`: it would.
fn gap(index: &Index, namespace: &Namespace) -> Option<String> {
    let name = match namespace.release() {
        Some(release) => format!("{} {release}", namespace.family()),
        None => namespace.family().to_owned(),
    };
    if index.covers(namespace) {
        return index.lapsed(namespace).map(|end| {
            format!("support for {name} ended on {end}, its feed tells of no newer defects")
        });
    }
    let loose = index.feeds().iter().any(|f| f.family == namespace.family() && f.delta_records > 0);
    Some(if loose {
        format!("only single advisories for {name} are imported, no complete feed")
    } else {
        format!("no advisory feed for {name} is imported")
    })
}

/// What was decided about one defect.
#[derive(Debug, Clone)]
pub(crate) enum Decision {
    Affected(Box<PackageFinding>),
    NotAffected,
    Undetermined(Undetermined),
    /// The feed itself has not decided: not ours to show.
    Undecided,
    Withdrawn,
}

/// Every defect that any record states for the package's name, decided.
pub(crate) fn judge(
    index: &Index,
    namespace: &Namespace,
    package: &Package,
) -> Vec<(Group, Decision)> {
    let name = lookup_name(namespace, package);
    let version = lookup_version(package);
    let scheme = VersionScheme::for_ecosystem(namespace.as_str());
    let mut all: Vec<Claim> = Vec::new();
    for hit in index.statements(namespace, &name) {
        all.extend(claims(hit, scheme, version, false));
    }
    if let Some(release) = namespace.as_str().strip_prefix("Ubuntu:") {
        for hit in index.statements(&Namespace::new(&format!("Ubuntu:Pro:{release}")), &name) {
            all.extend(claims(hit, scheme, version, true));
        }
    }
    let asked = Asked { family: namespace.family(), scheme, package, name: &name, version };
    group(all).into_iter().map(|group| (group.clone(), asked.decide(&group))).collect()
}

/// The package as it is compared.
struct Asked<'a> {
    family: &'a str,
    scheme: Option<VersionScheme>,
    package: &'a Package,
    name: &'a str,
    version: &'a str,
}

impl Asked<'_> {
    fn decide(&self, group: &Group) -> Decision {
        let standing: Vec<&Claim> =
            group.claims.iter().filter(|c| c.said != Said::Withdrawn).collect();
        if standing.is_empty() {
            return Decision::Withdrawn;
        }
        let deciding = standing.iter().filter(|c| c.said != Said::Undecided);
        let Some(rank) = deciding.map(|c| c.rank).max() else { return Decision::Undecided };
        let heard: Vec<&Claim> = standing.iter().copied().filter(|c| c.rank == rank).collect();
        let affected: Vec<&Claim> =
            heard.iter().copied().filter(|c| matches!(c.said, Said::Affected { .. })).collect();
        if affected.is_empty() {
            let cannot =
                heard.iter().find(|c| matches!(c.said, Said::Incomparable { .. } | Said::NoOrder));
            return match cannot {
                Some(claim) => Decision::Undetermined(Undetermined {
                    reason: claim.rule(self.version),
                    advisory: Some(claim.hit.record.id.clone()),
                }),
                None => Decision::NotAffected,
            };
        }
        let (mut best, mut fix) = self.fix(&affected);
        let mut paid = rank == RANK_PAID;
        if fix.is_none() && !paid {
            // Ubuntu: what the free channel leaves open, the paid one may fix.
            let offers: Vec<&Claim> =
                standing.iter().copied().filter(|c| c.rank == RANK_PAID).collect();
            if offers.iter().any(|c| matches!(c.said, Said::NotAffected { .. }))
                && self.version.contains("esm")
            {
                return Decision::NotAffected;
            }
            let open: Vec<&Claim> = offers
                .iter()
                .copied()
                .filter(|c| matches!(c.said, Said::Affected { .. }))
                .collect();
            if let (claim, Some(offered)) = self.fix(&open) {
                (best, fix, paid) = (claim.or(best), Some(offered), true);
            }
        }
        let Some(best) = best else { return Decision::NotAffected };
        Decision::Affected(Box::new(self.finding(group, &standing, &affected, best, fix, paid)))
    }

    /// The version that closes every claim: the highest of what each names.
    fn fix<'c>(&self, affected: &[&'c Claim]) -> (Option<&'c Claim>, Option<String>) {
        let mut best: Option<(&Claim, &String)> = None;
        for claim in affected {
            let Said::Affected { fix: Some(fix), .. } = &claim.said else { continue };
            let higher = best.is_none_or(|(_, known)| {
                self.scheme
                    .and_then(|s| s.compare(fix, known))
                    .is_some_and(|o| o == Ordering::Greater)
            });
            if higher {
                best = Some((claim, fix));
            }
        }
        match best {
            Some((claim, fix)) => (Some(claim), Some(fix.clone())),
            None => (affected.first().copied(), None),
        }
    }

    fn finding(
        &self,
        group: &Group,
        standing: &[&Claim],
        affected: &[&Claim],
        best: &Claim,
        fix: Option<String>,
        paid: bool,
    ) -> PackageFinding {
        let plan = best.hit.statement.plan;
        let state = match (&fix, plan) {
            (Some(_), _) if paid => FixState::PaidChannel,
            (Some(_), FixPlan::NotYetAvailable) => FixState::NoFix,
            (Some(_), _) => FixState::Fixed,
            (None, FixPlan::Deferred) => FixState::Deferred,
            (None, FixPlan::WillNotFix) => FixState::WillNotFix,
            (None, FixPlan::EndOfLife) => FixState::EndOfLife,
            (None, _) => FixState::NoFix,
        };
        // The deciding record first, then the others that agree.
        let mut advisories = vec![best.hit.record.id.clone()];
        let mut others: Vec<&Claim> = vec![best];
        for claim in affected.iter().chain(standing).copied() {
            if matches!(claim.said, Said::Affected { .. })
                && !advisories.contains(&claim.hit.record.id)
            {
                advisories.push(claim.hit.record.id.clone());
                others.push(claim);
            }
        }
        let (severity, severity_reason) = self.severity(&others);
        let canonical_id =
            canonical(group.ids.iter().map(String::as_str)).unwrap_or(&best.hit.record.id);
        let date = best.hit.record.modified.or(best.hit.record.published);
        let mut consulted: Vec<String> = group
            .claims
            .iter()
            .map(|c| format!("{}: {}: {}", c.hit.source, c.hit.record.id, c.rule(self.version)))
            .collect();
        consulted.sort();
        consulted.dedup();
        PackageFinding {
            id: FindingId::of(self.family, canonical_id),
            severity,
            severity_reason,
            state,
            patchable: state == FixState::Fixed,
            fixed_version: fix,
            cves: group.ids.iter().filter(|id| is_cve(id)).cloned().collect(),
            advisories,
            evidence: Evidence {
                feed: best.hit.source.clone(),
                advisory: best.hit.record.id.clone(),
                advisory_date: date
                    .and_then(advisories::index::rfc3339)
                    .map(|d| d.chars().take(10).collect()),
                rule: best.rule(self.version),
                installed: self.version.to_owned(),
                compared_with: best.compared_with(),
                matched_name: self.name.to_owned(),
                scheme: self.family.to_owned(),
                consulted,
            },
            suppressed: self.suppressed(),
        }
    }

    /// The word of the feed that matched, else its best vector, else a derived
    /// word; then the same of the records that agree.
    fn severity(&self, claims: &[&Claim]) -> (Severity, String) {
        let malicious = |c: &&&Claim| c.hit.record.id.starts_with("MAL-");
        if let Some(claim) = claims.iter().find(malicious) {
            return (
                Severity::Critical,
                format!("{} calls the package malicious", claim.hit.record.id),
            );
        }
        let word = category(self.family);
        for claim in claims {
            let (record, statement) = (&claim.hit.record, &claim.hit.statement);
            let rating = statement.rating.as_ref().or(record.rating.as_ref());
            if let Some((rating, severity)) = rating.and_then(|r| Some((r, Severity::of_word(r)?)))
            {
                return (severity, format!("{word} rating {rating:?}"));
            }
            // An erratum's vectors are the worst of several defects.
            let own = if record.covers.len() > 1 { &[][..] } else { &record.cvss[..] };
            let vectors: Vec<CvssVector> = statement
                .cvss
                .iter()
                .chain(own)
                .filter_map(|v| CvssVector::parse(v, &record.id))
                .collect();
            if let Some(best) = CvssVector::best(&vectors) {
                return (
                    best.severity(),
                    format!("CVSS {} {:.1} of {}", best.version, best.score, record.id),
                );
            }
            let fallback = record.fallback_rating.as_ref();
            if let Some((rating, severity)) =
                fallback.and_then(|r| Some((r, Severity::of_word(r)?)))
            {
                return (severity, format!("rating {rating:?} of {}", record.id));
            }
        }
        (Severity::Unscored, format!("no imported {word} advisory rates it"))
    }

    fn suppressed(&self) -> Option<String> {
        let binary = self.package.name.as_str();
        let headers = self.package.kind.is_distribution()
            && KERNEL_HEADERS.iter().any(|p| binary.starts_with(p));
        headers.then(|| {
            "kernel headers hold no code that a container runs: the host's kernel decides"
                .to_owned()
        })
    }
}
