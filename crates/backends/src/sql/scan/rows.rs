//! Rows of inspection as values.

use matching::Status;
use oci::Digest;
use packages::{InventoryItem, Namespace, Package, PackageType, SourcePackage};

use store::StoreError;
use store::scan::{ImageFindingRow, SeverityCounts, StoredFinding, StoredImage, StoredPackage};

use super::super::row::{number, parsed, value};
use super::super::{DbConnection, DbRow};

pub(super) const PACKAGE_COLUMNS: &str = "p.id, p.namespace, p.type, p.name, p.version, p.arch, p.source_name, \
     p.source_version, p.generation, p.unassessed, p.undetermined";

pub(super) const IMAGE_COLUMNS: &str = "digest, analyser_version, failure, attempts, scan_trigger, started_at, finished_at, \
     platform, os, problems, status, cause, packages, critical, high, medium, low, unscored, patchable, revision";

pub(super) const FINDING_COLUMNS: &str = "f.finding_id, f.severity, f.patchable, f.suppressed, f.title, f.category, f.detail, f.opened_at";

pub(super) async fn fetch_image(
    connection: &mut DbConnection,
    digest: &Digest,
) -> Result<Option<StoredImage>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {IMAGE_COLUMNS} FROM images WHERE digest = $1"
    )))
    .bind(digest.to_string())
    .fetch_optional(connection)
    .await
    .map_err(StoreError::database("read an image"))?;
    row.as_ref().map(stored_image).transpose()
}

pub(super) fn stored_image(row: &DbRow) -> Result<StoredImage, StoreError> {
    Ok(StoredImage {
        digest: parsed(row, "digest")?,
        analyser_version: number(row, "analyser_version")?,
        failure: value(row, "failure")?,
        attempts: number(row, "attempts")?,
        trigger: value(row, "scan_trigger")?,
        started_at: value(row, "started_at")?,
        finished_at: value(row, "finished_at")?,
        platform: json_or_default(row, "platform")?,
        os: json_or_default(row, "os")?,
        problems: json_or_default(row, "problems")?,
        status: status_from(value(row, "status")?),
        cause: value(row, "cause")?,
        packages: number(row, "packages")?,
        severities: SeverityCounts {
            critical: number(row, "critical")?,
            high: number(row, "high")?,
            medium: number(row, "medium")?,
            low: number(row, "low")?,
            unscored: number(row, "unscored")?,
        },
        patchable: number(row, "patchable")?,
        revision: value(row, "revision")?,
    })
}

fn status_from(word: &str) -> Status {
    [Status::Healthy, Status::Unhealthy]
        .into_iter()
        .find(|s| s.as_str() == word)
        .unwrap_or(Status::NotApplicable)
}

pub(super) fn stored_package(row: &DbRow) -> Result<StoredPackage, StoreError> {
    Ok(StoredPackage {
        id: value(row, "id")?,
        namespace: namespace_of(row)?,
        package: package_of(row)?,
        generation: value(row, "generation")?,
    })
}

pub(super) fn namespace_of(row: &DbRow) -> Result<Option<Namespace>, StoreError> {
    let name: &str = value(row, "namespace")?;
    Ok((!name.is_empty()).then(|| Namespace::new(name)))
}

pub(super) fn package_of(row: &DbRow) -> Result<Package, StoreError> {
    let present = |s: String| (!s.is_empty()).then_some(s);
    let source_version: String = value(row, "source_version")?;
    Ok(Package {
        // Only types that exist are ever written.
        kind: PackageType::parse(value(row, "type")?).unwrap_or(PackageType::Deb),
        name: value(row, "name")?,
        version: value(row, "version")?,
        arch: present(value(row, "arch")?),
        source: present(value(row, "source_name")?)
            .map(|name| SourcePackage { name, version: source_version }),
    })
}

pub(super) fn item_of(row: &DbRow) -> Result<InventoryItem, StoreError> {
    Ok(InventoryItem {
        package: package_of(row)?,
        layer: number(row, "ordinal")?,
        path: value(row, "path")?,
        owner: value(row, "owner")?,
    })
}

pub(super) fn stored_finding(row: &DbRow) -> Result<StoredFinding, StoreError> {
    Ok(StoredFinding {
        finding_id: number(row, "finding_id")?,
        severity: number(row, "severity")?,
        patchable: value(row, "patchable")?,
        suppressed: value(row, "suppressed")?,
        title: value(row, "title")?,
        category: value(row, "category")?,
        detail: value(row, "detail")?,
    })
}

pub(super) fn finding_row(row: &DbRow) -> Result<ImageFindingRow, StoreError> {
    Ok(ImageFindingRow {
        package_id: value(row, "id")?,
        item: item_of(row)?,
        finding: stored_finding(row)?,
        opened_at: value(row, "opened_at")?,
    })
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    // Plain structs of strings and numbers: serialising them cannot fail.
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// Reads a JSON column; what cannot be read counts as empty.
pub(super) fn json_or_default<T: serde::de::DeserializeOwned + Default>(
    row: &DbRow,
    column: &str,
) -> Result<T, StoreError> {
    let text: Option<&str> = value(row, column)?;
    Ok(text.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default())
}
