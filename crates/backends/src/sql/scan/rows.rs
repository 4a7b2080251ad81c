//! Rows of inspection as values.

use matching::Status;
use oci::Digest;
use packages::{InventoryItem, Namespace, Package, PackageType, SourcePackage};

use sqlx::Row;
use store::scan::{ImageFindingRow, SeverityCounts, StoredFinding, StoredImage, StoredPackage};

use super::super::{DbConnection, DbRow};

pub(super) const PACKAGE_COLUMNS: &str = "p.id, p.namespace, p.type, p.name, p.version, p.arch, p.source_name, \
     p.source_version, p.generation, p.unassessed, p.undetermined";

pub(super) const IMAGE_COLUMNS: &str = "digest, analyser_version, failure, attempts, scan_trigger, started_at, finished_at, \
     platform, os, problems, status, cause, packages, critical, high, medium, low, unscored, patchable, revision";

pub(super) const FINDING_COLUMNS: &str = "f.finding_id, f.severity, f.patchable, f.suppressed, f.title, f.category, f.detail, f.opened_at";

pub(super) async fn fetch_image(
    connection: &mut DbConnection,
    digest: &Digest,
) -> Result<Option<StoredImage>, sqlx::Error> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {IMAGE_COLUMNS} FROM images WHERE digest = $1"
    )))
    .bind(digest.to_string())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(stored_image).transpose()
}

pub(super) fn stored_image(row: &DbRow) -> Result<StoredImage, sqlx::Error> {
    let n = |name: &str| unsigned(row.get(name));
    Ok(StoredImage {
        digest: digest_of(row, "digest")?,
        analyser_version: row.get("analyser_version"),
        failure: row.get("failure"),
        attempts: row.get("attempts"),
        trigger: row.get("scan_trigger"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        platform: from_json(row.get("platform")),
        os: from_json(row.get("os")),
        problems: from_json(row.get("problems")),
        status: status_from(row.get("status")),
        cause: row.get("cause"),
        packages: n("packages"),
        severities: SeverityCounts {
            critical: n("critical"),
            high: n("high"),
            medium: n("medium"),
            low: n("low"),
            unscored: n("unscored"),
        },
        patchable: n("patchable"),
        revision: row.get("revision"),
    })
}

/// An unknown word cannot be written (a CHECK forbids it) and is never clean.
pub(super) fn status_from(word: &str) -> Status {
    [Status::Healthy, Status::Unhealthy]
        .into_iter()
        .find(|s| s.as_str() == word)
        .unwrap_or(Status::NotApplicable)
}

pub(super) fn stored_package(row: &DbRow) -> StoredPackage {
    StoredPackage {
        id: row.get("id"),
        namespace: namespace_of(row),
        package: package_of(row),
        generation: row.get("generation"),
    }
}

pub(super) fn namespace_of(row: &DbRow) -> Option<Namespace> {
    let name: &str = row.get("namespace");
    (!name.is_empty()).then(|| Namespace::new(name))
}

pub(super) fn package_of(row: &DbRow) -> Package {
    let text = |name: &str| -> String { row.get(name) };
    let present = |s: String| (!s.is_empty()).then_some(s);
    Package {
        // Only types that exist are ever written.
        kind: PackageType::parse(row.get("type")).unwrap_or(PackageType::Deb),
        name: text("name"),
        version: text("version"),
        arch: present(text("arch")),
        source: present(text("source_name"))
            .map(|name| SourcePackage { name, version: text("source_version") }),
    }
}

pub(super) fn item_of(row: &DbRow) -> InventoryItem {
    InventoryItem {
        package: package_of(row),
        layer: row.get("ordinal"),
        path: row.get("path"),
        owner: row.get("owner"),
    }
}

pub(super) fn stored_finding(row: &DbRow) -> StoredFinding {
    StoredFinding {
        finding_id: unsigned(row.get("finding_id")),
        severity: row.get("severity"),
        patchable: row.get("patchable"),
        suppressed: row.get("suppressed"),
        title: row.get("title"),
        category: row.get("category"),
        detail: row.get("detail"),
    }
}

pub(super) fn finding_row(row: &DbRow) -> ImageFindingRow {
    ImageFindingRow {
        package_id: row.get("id"),
        item: item_of(row),
        finding: stored_finding(row),
        opened_at: row.get("opened_at"),
    }
}

pub(super) fn digest_of(row: &DbRow, column: &str) -> Result<Digest, sqlx::Error> {
    let text: &str = row.get(column);
    text.parse().map_err(|source| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(source),
    })
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    // Plain structs of strings and numbers: serialising them cannot fail.
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// Reads a JSON column; what cannot be read counts as empty.
pub(super) fn from_json<T: serde::de::DeserializeOwned + Default>(text: Option<&str>) -> T {
    text.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default()
}

pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
