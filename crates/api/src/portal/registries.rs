//! Registries and their repositories.

use axum::Json;
use axum::extract::{Path, State};

use super::PortalState;
use super::convert::{self, counts, image_counts, time_text};
use super::error::ApiError;
use super::request::{Params, Reader, Window, registry, text};
use super::types::{Page, PageQuery, Registry, Repository};

pub(super) async fn list_registries(
    State(state): State<PortalState>,
    reader: Reader,
) -> Result<Json<Vec<Registry>>, ApiError> {
    Ok(Json(vec![read(&state, &reader).await?]))
}

pub(super) async fn read_registry(
    State(state): State<PortalState>,
    reader: Reader,
    Path(name): Path<String>,
) -> Result<Json<Registry>, ApiError> {
    registry(&state, &name)?;
    Ok(Json(read(&state, &reader).await?))
}

async fn read(state: &PortalState, reader: &Reader) -> Result<Registry, ApiError> {
    let inspections = &state.inspections;
    let totals = inspections.scans.image_totals(None).await?;
    let summary = inspections.catalog.registry_summary().await?;
    Ok(Registry {
        name: state.registry_name.to_string(),
        login_server: reader.host.clone(),
        repositories: summary.repositories,
        images: image_counts(&totals),
        severities: counts(&totals.severities),
        last_push_at: summary.last_push_at.and_then(time_text),
        last_scan_at: inspections.catalog.last_scan(None).await?.and_then(time_text),
    })
}

pub(super) async fn list_repositories(
    State(state): State<PortalState>,
    _: Reader,
    Path(name): Path<String>,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<Repository>>, ApiError> {
    registry(&state, &name)?;
    let window = Window::new(query.offset, query.limit);
    let q = text(query.q.as_deref())?;
    let inspections = &state.inspections;
    let page =
        inspections.catalog.repository_page(q.as_deref(), window.offset, window.limit).await?;
    let mut items = Vec::with_capacity(page.entries.len());
    for summary in &page.entries {
        let totals = inspections.scans.image_totals(Some(summary.name.as_str())).await?;
        let last_scan = inspections.catalog.last_scan(Some(&summary.name)).await?;
        items.push(convert::repository(summary, &totals, last_scan));
    }
    Ok(Json(Page { total: page.total, offset: window.offset, items }))
}
