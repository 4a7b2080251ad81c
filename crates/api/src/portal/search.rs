//! Where am I affected: findings of all images.

use std::collections::HashMap;

use advisories::{FindingId, Severity};
use axum::Json;
use axum::extract::State;
use oci::Digest;
use store::catalog::Place;

use super::PortalState;
use super::convert::{fixed_text, installed_text, package_refs, severity, time_text};
use super::error::ApiError;
use super::findings::severities;
use super::request::{Params, Reader, Window, text};
use super::sort::urgency;
use super::types::{FindingRef, FindingSearch, Page};
use crate::inspections::EnrichedFinding;

/// Security checks that a text can name.
const CHECKS_MAX: u32 = 2_000;
/// Images that have one of them, each.
const IMAGES_OF_CHECK_MAX: u32 = 5_000;
/// Images read at once where no text narrows them.
const IMAGES_PAGE: u32 = 500;

/// An image with a finding, where it stands.
pub(super) struct Affected {
    pub digest: Digest,
    pub place: Place,
}

pub(super) async fn search_findings(
    State(state): State<PortalState>,
    _: Reader,
    Params(query): Params<FindingSearch>,
) -> Result<Json<Page<FindingRef>>, ApiError> {
    let wanted = severities(query.severity.as_deref())?;
    let q = text(query.q.as_deref())?;
    let window = Window::new(query.offset, query.limit);
    let registry = query.registry.as_deref().filter(|registry| !registry.is_empty());
    if registry.is_some_and(|registry| *registry != *state.registry_name) {
        return Ok(Json(window.of(Vec::new())));
    }
    let repository = query.repository.as_deref().filter(|repository| !repository.is_empty());
    let is_wanted = |finding: &EnrichedFinding| {
        wanted
            .as_ref()
            .is_none_or(|wanted: &Vec<Severity>| wanted.contains(&finding.finding.severity))
            && q.as_deref().is_none_or(|q| finding.search.contains(q))
    };
    let mut found = Vec::new();
    for (digest, places) in candidates(&state, q.as_deref()).await? {
        let places: Vec<Place> = places
            .into_iter()
            .filter(|p| repository.is_none_or(|r| r == p.repository.as_str()))
            .collect();
        if places.is_empty() {
            continue;
        }
        let Some(image) = state.inspections.scans.image(&digest).await? else { continue };
        let set = state.inspections.findings_of_image(&image).await?;
        for finding in set.open().filter(|finding| is_wanted(finding)) {
            for place in &places {
                found.push((finding.clone(), Affected { digest, place: place.clone() }));
            }
        }
    }
    found.sort_by(|(a, x), (b, y)| {
        let place = |at: &Affected| (at.place.repository.clone(), at.digest);
        urgency(a, b).then_with(|| place(x).cmp(&place(y)))
    });
    let page = window.of(found);
    let items = page.items.iter().map(|(finding, at)| finding_ref(&state, finding, at)).collect();
    Ok(Json(Page { total: page.total, offset: page.offset, items }))
}

/// Images that may have what is looked for, each with where it stands.
async fn candidates(
    state: &PortalState,
    q: Option<&str>,
) -> Result<HashMap<Digest, Vec<Place>>, ApiError> {
    let inspections = &state.inspections;
    let mut images = HashMap::new();
    if let Some(q) = q {
        let mut checks: Vec<u64> = q.parse::<FindingId>().map(|id| id.0).into_iter().collect();
        let named = inspections.scans.search_findings(q, CHECKS_MAX).await?;
        checks.extend(named.into_iter().map(|finding| finding.finding_id));
        checks.sort_unstable();
        checks.dedup();
        for check in checks {
            for digest in inspections.scans.images_with_finding(check, IMAGES_OF_CHECK_MAX).await? {
                images.insert(digest, Vec::new());
            }
        }
    } else {
        let mut after: Option<(String, String)> = None;
        loop {
            let from =
                after.as_ref().map(|(repository, digest)| (repository.as_str(), digest.as_str()));
            let page = inspections.catalog.inspected_images(from, IMAGES_PAGE).await?;
            let Some((repository, digest)) = page.last() else { break };
            after = Some((repository.to_string(), digest.to_string()));
            images.extend(page.into_iter().map(|(_, digest)| (digest, Vec::new())));
        }
    }
    for (digest, places) in &mut images {
        *places = inspections.catalog.places(digest).await?;
    }
    Ok(images)
}

pub(super) fn finding_ref(
    state: &PortalState,
    enriched: &EnrichedFinding,
    at: &Affected,
) -> FindingRef {
    let finding = &enriched.finding;
    FindingRef {
        id: finding.id.to_string(),
        title: finding.title.clone(),
        severity: severity(finding.severity),
        kev: enriched.kev.is_some(),
        cves: finding.cves.clone(),
        packages: package_refs(finding),
        installed: installed_text(finding),
        fixed: fixed_text(finding),
        registry: state.registry_name.to_string(),
        repository: at.place.repository.to_string(),
        digest: at.digest.to_string(),
        tags: at.place.tags.iter().map(ToString::to_string).collect(),
        first_seen_at: time_text(finding.opened_at),
    }
}
