//! Findings of an image, filtered, sorted, in pages.

use advisories::Severity;
use axum::Json;
use axum::extract::{Path, State};

use super::PortalState;
use super::convert::finding_row;
use super::error::{ApiError, Kind};
use super::images::find;
use super::request::{Params, Reader, Window, text};
use super::sort::Order;
use super::types::{FindingsPage, FindingsQuery};
use crate::inspections::EnrichedFinding;

pub(super) async fn list_findings(
    State(state): State<PortalState>,
    _: Reader,
    Path((registry, repository, digest)): Path<(String, String, String)>,
    Params(query): Params<FindingsQuery>,
) -> Result<Json<FindingsPage>, ApiError> {
    let (_, image) = find(&state, &registry, &repository, &digest).await?;
    let severities = severities(query.severity.as_deref())?;
    let q = text(query.q.as_deref())?;
    let order = Order::parse(query.sort.as_deref())?;
    let set = state.inspections.findings(&image.leaves()).await?;
    let category = query.category.as_deref();
    let mut found: Vec<&EnrichedFinding> = set
        .open()
        .filter(|f| severities.as_ref().is_none_or(|wanted| wanted.contains(&f.finding.severity)))
        .filter(|f| query.patchable.is_none_or(|wanted| wanted == f.finding.patchable))
        .filter(|f| query.kev.is_none_or(|wanted| wanted == f.kev.is_some()))
        .filter(|f| category.is_none_or(|wanted| wanted.eq_ignore_ascii_case(&f.finding.category)))
        .filter(|f| q.as_deref().is_none_or(|q| f.search.contains(q)))
        .collect();
    let since = image.manifest.pushed_at;
    order.apply(&mut found, since);
    let page = Window::new(query.offset, query.limit).of(found);
    Ok(Json(FindingsPage {
        total: page.total,
        offset: page.offset,
        scan_id: set.scan_id.clone(),
        items: page.items.into_iter().map(|finding| finding_row(finding, since)).collect(),
    }))
}

/// Reads `critical,high`; `None` where nothing is asked for.
pub(super) fn severities(list: Option<&str>) -> Result<Option<Vec<Severity>>, ApiError> {
    let Some(list) = list.filter(|list| !list.trim().is_empty()) else { return Ok(None) };
    let read = |word: &str| word.trim().parse::<Severity>();
    let all: Result<Vec<_>, _> = list.split(',').map(read).collect();
    all.map(Some).map_err(|error| ApiError::new(Kind::BadRequest, error.to_string()))
}
