//! Packages of an image.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use packages::purl::Purl;
use packages::{InventoryItem, OsRelease};
use store::scan::{SeverityCounts, StoredImagePackage};

use super::PortalState;
use super::convert::counts;
use super::error::ApiError;
use super::images::{find, undetermined_reason};
use super::request::{Params, Reader, Window, text};
use super::types::{PackageRow, Page, PageQuery, SourceRef};
use crate::inspections::FindingSet;

pub(super) async fn list_packages(
    State(state): State<PortalState>,
    _: Reader,
    Path((registry, repository, digest)): Path<(String, String, String)>,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<PackageRow>>, ApiError> {
    let (_, image) = find(&state, &registry, &repository, &digest).await?;
    let q = text(query.q.as_deref())?;
    let mut found: Vec<(StoredImagePackage, Option<OsRelease>)> = Vec::new();
    for leaf in image.leaves() {
        let Some(stored) = &leaf.state.stored else { continue };
        let all = state.inspections.scans.image_packages(&stored.digest).await?;
        let meant = all.into_iter().filter(|p| q.as_deref().is_none_or(|q| is_meant(p, q)));
        found.extend(meant.map(|package| (package, stored.os.clone())));
    }
    found.sort_by(|(a, _), (b, _)| {
        let key = |p: &StoredImagePackage| {
            (p.item.package.kind.as_str(), p.item.package.name.to_lowercase())
        };
        key(a).cmp(&key(b)).then_with(|| a.item.cmp(&b.item))
    });
    // The platforms of an index share packages.
    found.dedup_by(|(a, _), (b, _)| a.item == b.item);
    let set = state.inspections.findings(&image.leaves()).await?;
    let by_item = counts_by_item(&set);
    let page = Window::new(query.offset, query.limit).of(found);
    let items =
        page.items.into_iter().map(|(package, os)| row(package, os.as_ref(), &by_item)).collect();
    Ok(Json(Page { total: page.total, offset: page.offset, items }))
}

fn is_meant(package: &StoredImagePackage, q: &str) -> bool {
    let package = &package.item.package;
    let source = package.source.as_ref().map(|source| source.name.to_lowercase());
    package.name.to_lowercase().contains(q)
        || package.version.to_lowercase().contains(q)
        || source.is_some_and(|name| name.contains(q))
}

fn counts_by_item(set: &FindingSet) -> BTreeMap<&InventoryItem, SeverityCounts> {
    let mut by_item: BTreeMap<&InventoryItem, SeverityCounts> = BTreeMap::new();
    for finding in set.open() {
        for occurrence in
            finding.finding.occurrences.iter().filter(|o| o.verdict.suppressed.is_none())
        {
            posture::finding::add(
                by_item.entry(&occurrence.item).or_default(),
                occurrence.verdict.severity,
            );
        }
    }
    by_item
}

fn row(
    stored: StoredImagePackage,
    os: Option<&OsRelease>,
    by_item: &BTreeMap<&InventoryItem, SeverityCounts>,
) -> PackageRow {
    let undetermined = undetermined_reason(&stored);
    let findings = by_item.get(&stored.item).map(counts).unwrap_or_default();
    let purl = Purl::of(&stored.item.package, os).to_string();
    let (package, item) = (stored.item.package, (stored.item.layer, stored.item.path));
    PackageRow {
        kind: package.kind.as_str().to_owned(),
        name: package.name,
        version: package.version,
        arch: package.arch,
        source: package.source.map(|source| SourceRef {
            name: source.name,
            version: Some(source.version).filter(|version| !version.is_empty()),
        }),
        purl,
        layer: item.0,
        path: item.1,
        findings,
        undetermined,
    }
}
