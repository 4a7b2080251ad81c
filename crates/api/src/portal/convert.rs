//! From what is known of images to wire types: the only file that converts.

use matching::Status;
use posture::{Cause, CauseKind, Finding};
use store::catalog::RepositorySummary;
use store::scan::{ImageTotals, Millis, SeverityCounts, StoredImage};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::types;
use super::view::ScanProgress;
use crate::inspections::{ChildView, EnrichedFinding, FindingSet, ImageView};

/// Unix milliseconds as RFC 3339; `None` outside the years that it can write.
pub(super) fn time_text(millis: Millis) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()?;
    time.format(&Rfc3339).ok()
}

pub(super) fn severity(severity: advisories::Severity) -> types::Severity {
    match severity {
        advisories::Severity::Unscored => types::Severity::Unscored,
        advisories::Severity::Low => types::Severity::Low,
        advisories::Severity::Medium => types::Severity::Medium,
        advisories::Severity::High => types::Severity::High,
        advisories::Severity::Critical => types::Severity::Critical,
    }
}

pub(super) fn counts(counts: &SeverityCounts) -> types::SeverityCounts {
    types::SeverityCounts {
        critical: counts.critical,
        high: counts.high,
        medium: counts.medium,
        low: counts.low,
        unscored: counts.unscored,
    }
}

pub(super) fn image_counts(totals: &ImageTotals) -> types::ImageCounts {
    types::ImageCounts {
        total: totals.total,
        healthy: totals.healthy,
        unhealthy: totals.unhealthy,
        not_applicable: totals.not_applicable,
    }
}

pub(super) fn status(status: Status) -> types::ImageStatus {
    match status {
        Status::Healthy => types::ImageStatus::Healthy,
        Status::Unhealthy => types::ImageStatus::Unhealthy,
        Status::NotApplicable => types::ImageStatus::NotApplicable,
    }
}

pub(super) fn cause(cause: &Cause) -> types::Cause {
    let kind = match cause.kind {
        CauseKind::NotScannedYet => types::CauseKind::NotScannedYet,
        CauseKind::ScanFailed => types::CauseKind::ScanFailed,
        CauseKind::UnsupportedContent => types::CauseKind::UnsupportedContent,
        CauseKind::Unreadable => types::CauseKind::Unreadable,
        CauseKind::NoFeed => types::CauseKind::NoFeed,
        CauseKind::EndOfLife => types::CauseKind::EndOfLife,
        CauseKind::NoAdvisories => types::CauseKind::NoAdvisories,
        CauseKind::NoPackages => types::CauseKind::NoPackages,
    };
    types::Cause { kind, detail: cause.detail.clone() }
}

pub(super) fn repository(
    summary: &RepositorySummary,
    totals: &ImageTotals,
    last_scan: Option<Millis>,
) -> types::Repository {
    types::Repository {
        name: summary.name.to_string(),
        tags: summary.tags,
        images: image_counts(totals),
        severities: counts(&totals.severities),
        last_push_at: summary.last_push_at.and_then(time_text),
        last_scan_at: last_scan.and_then(time_text),
        size_bytes: summary.size,
    }
}

/// Where the scan of an image or index stands.
pub(super) fn scan(image: &ImageView) -> types::Scan {
    if let Some(progress) = image.state.progress {
        return running(progress);
    }
    let leaves = image.leaves();
    // An index inside an index is not looked into, so it waits for nothing.
    let scanned = leaves.iter().filter(|leaf| leaf.kind != types::ManifestKind::Index);
    let states: Vec<types::Scan> = scanned.map(|leaf| ended(leaf.state.stored.as_ref())).collect();
    // The one that needs attention most speaks for an index.
    let rank = |scan: &types::Scan| match scan.state {
        types::ScanState::Failed => 3,
        types::ScanState::Queued | types::ScanState::Running => 2,
        types::ScanState::Stale => 1,
        types::ScanState::Done => 0,
    };
    let worst = states.into_iter().max_by_key(rank);
    let nothing_to_scan = types::Scan {
        state: types::ScanState::Done,
        stage: None,
        started_at: None,
        finished_at: None,
        failure: None,
    };
    worst.unwrap_or(nothing_to_scan)
}

pub(super) fn running(progress: ScanProgress) -> types::Scan {
    let state =
        if progress.stage.is_some() { types::ScanState::Running } else { types::ScanState::Queued };
    types::Scan {
        state,
        stage: progress.stage,
        started_at: progress.started_at.and_then(time_text),
        finished_at: None,
        failure: None,
    }
}

fn ended(stored: Option<&StoredImage>) -> types::Scan {
    let Some(image) = stored else {
        return types::Scan {
            state: types::ScanState::Queued,
            stage: None,
            started_at: None,
            finished_at: None,
            failure: None,
        };
    };
    let state = if image.failure.is_some() {
        types::ScanState::Failed
    } else if image.analyser_version < analysis::ANALYSER_VERSION {
        types::ScanState::Stale
    } else {
        types::ScanState::Done
    };
    types::Scan {
        state,
        stage: None,
        started_at: time_text(image.started_at),
        finished_at: time_text(image.finished_at),
        failure: image.failure.clone(),
    }
}

/// `None` where neither part is known.
fn platform(os: &str, architecture: &str, variant: Option<&String>) -> Option<types::Platform> {
    (!os.is_empty() || !architecture.is_empty()).then(|| types::Platform {
        os: os.to_owned(),
        architecture: architecture.to_owned(),
        variant: variant.cloned(),
    })
}

fn stored_platform(stored: Option<&StoredImage>) -> Option<types::Platform> {
    let found = &stored?.platform;
    platform(&found.os, &found.architecture, found.variant.as_ref())
}

/// An image in a list. `findings` is needed for an index alone, whose platforms
/// share findings; of an image the store has the counts.
pub(super) fn summary(image: &ImageView, findings: Option<&FindingSet>) -> types::ImageSummary {
    let stored = image.state.stored.as_ref();
    let (severities, patchable) = match findings {
        Some(set) => (
            counts(&posture::finding::count(set.open().map(|f| &f.finding))),
            set.open().filter(|f| f.finding.patchable).count() as u64,
        ),
        None => stored.map_or_else(Default::default, |s| (counts(&s.severities), s.patchable)),
    };
    let leaves = image.leaves();
    let own = image.manifest.content_size;
    types::ImageSummary {
        digest: image.manifest.digest.to_string(),
        tags: image.manifest.tags.iter().map(ToString::to_string).collect(),
        media_type: image.manifest.media_type.clone(),
        kind: image.kind,
        platform: stored_platform(stored),
        size_bytes: match image.kind {
            types::ManifestKind::Index => {
                leaves.iter().map(|leaf| leaf.manifest.content_size).sum()
            }
            _ => own,
        },
        pushed_at: time_text(image.manifest.pushed_at),
        pushed_by: Some(image.manifest.pushed_by.clone()).filter(|by| !by.is_empty()),
        // Pulls are not recorded yet.
        last_pulled_at: None,
        status: status(image.state.verdict.status),
        cause: image.state.verdict.cause.as_ref().map(cause),
        scan: scan(image),
        severities,
        patchable,
        packages: leaves.iter().filter_map(|leaf| Some(leaf.state.stored.as_ref()?.packages)).sum(),
        children: image.children.iter().map(child).collect(),
    }
}

fn child(child: &ChildView) -> types::ImageSummary {
    let listed = child.entry.platform.as_ref();
    let listed = listed.and_then(|p| platform(&p.os, &p.architecture, p.variant.as_ref()));
    match &child.image {
        Some(image) => {
            let own = summary(image, None);
            types::ImageSummary { platform: own.platform.clone().or(listed), ..own }
        }
        None => types::ImageSummary {
            digest: child.entry.digest.to_string(),
            tags: Vec::new(),
            media_type: child.entry.media_type.clone(),
            kind: match oci::media_type::is_index(&child.entry.media_type) {
                true => types::ManifestKind::Index,
                false => types::ManifestKind::Image,
            },
            platform: listed,
            size_bytes: 0,
            pushed_at: None,
            pushed_by: None,
            last_pulled_at: None,
            status: status(child.verdict.status),
            cause: child.verdict.cause.as_ref().map(cause),
            // It cannot be queued before it is pushed.
            scan: types::Scan {
                state: types::ScanState::Failed,
                stage: None,
                started_at: None,
                finished_at: None,
                failure: Some("the manifest was never pushed here".to_owned()),
            },
            severities: types::SeverityCounts::default(),
            patchable: 0,
            packages: 0,
            children: Vec::new(),
        },
    }
}

/// Packages of a finding by name, each once.
pub(super) fn package_refs(finding: &Finding) -> Vec<types::PackageRef> {
    let mut refs: Vec<types::PackageRef> = Vec::new();
    for occurrence in &finding.occurrences {
        let package = &occurrence.item.package;
        let one = types::PackageRef {
            name: package.name.clone(),
            kind: package.kind.as_str().to_owned(),
        };
        if !refs.contains(&one) {
            refs.push(one);
        }
    }
    refs
}

pub(super) fn installed_text(finding: &Finding) -> String {
    finding.installed_versions().join(", ")
}

pub(super) fn fixed_text(finding: &Finding) -> Option<String> {
    Some(finding.fixed_versions().join(", ")).filter(|text| !text.is_empty())
}

pub(super) fn epss(epss: &advisories::Epss) -> types::Epss {
    types::Epss { score: epss.score, percentile: epss.percentile, date: epss.date.clone() }
}

/// The newest version of CVSS that is given.
pub(super) fn cvss(finding: &EnrichedFinding) -> Option<types::CvssScore> {
    let check = finding.check.as_ref()?;
    let best = advisories::CvssVector::best(&check.cvss)?;
    Some(types::CvssScore { version: best.version.clone(), score: best.score })
}

pub(super) fn finding_status(finding: &Finding) -> types::FindingStatus {
    match finding.suppressed {
        None => types::FindingStatus::Open,
        Some(_) => types::FindingStatus::Disabled,
    }
}

/// A row of the findings table. `since` is when the image came here: nothing
/// was seen in it before.
pub(super) fn finding_row(enriched: &EnrichedFinding, since: Millis) -> types::FindingRow {
    let finding = &enriched.finding;
    types::FindingRow {
        id: finding.id.to_string(),
        severity: severity(finding.severity),
        title: finding.title.clone(),
        cvss: cvss(enriched),
        patchable: finding.patchable,
        packages: package_refs(finding),
        installed: installed_text(finding),
        fixed: fixed_text(finding),
        epss: enriched.epss.as_ref().map(epss),
        kev: enriched.kev.is_some(),
        category: finding.category.clone(),
        cves: finding.cves.clone(),
        published_at: enriched.check.as_ref().and_then(|check| check.published.clone()),
        layer: finding.occurrences.first().map(|o| o.item.layer),
        first_seen_at: time_text(finding.opened_at.max(since)),
        status: finding_status(finding),
    }
}
