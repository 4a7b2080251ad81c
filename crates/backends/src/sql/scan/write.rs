//! Writing what inspection found, inside a transaction that the caller holds.

use std::collections::BTreeMap;

use matching::{Status, Tally, status_of};
use oci::Digest;
use packages::Namespace;
use serde_json::json;

use sqlx::Row;
use store::StoreError;
use store::scan::{
    CauseOf, FindingChange, ImagePackage, ImageRecord, Millis, PackageId, PackageMatch,
    StoredFinding, StoredPackage,
};

use super::super::row::signed;
use super::super::{Db, DbRow, Tx};
use super::rows::{FINDING_COLUMNS, from_json, stored_finding, to_json, unsigned};

/// Rows of a write batch that one JSON parameter carries; keeps parameters
/// well below SQLite's limit on the length of a string.
pub(super) const BATCH_ROWS: usize = 2_000;

/// Turns a database error into one that says what was attempted.
pub(super) fn failed(what: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::database(what)(source)
}

/// The interning keys of packages as a JSON array of arrays. SQLite text ends
/// at a NUL, so one in a hostile name is replaced.
pub(super) fn package_keys(packages: &[ImagePackage]) -> String {
    let clean = |s: &str| s.replace('\0', "\u{fffd}");
    let rows: Vec<_> = packages
        .iter()
        .map(|p| {
            let package = &p.item.package;
            let source = package.source.as_ref();
            json!([
                p.namespace.as_ref().map_or("", Namespace::as_str),
                package.kind.as_str(),
                clean(&package.name),
                clean(&package.version),
                clean(package.arch.as_deref().unwrap_or("")),
                clean(source.map_or("", |s| &s.name)),
                clean(source.map_or("", |s| &s.version)),
                clean(&p.match_name),
            ])
        })
        .collect();
    json!(rows).to_string()
}

/// Rows of packages that are there already, by position.
pub(super) async fn known_packages<'e>(
    executor: impl sqlx::Executor<'e, Database = Db>,
    keys: &str,
    packages: &[ImagePackage],
) -> Result<Vec<Option<StoredPackage>>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT j.key, p.id, p.generation FROM json_each($1) j CROSS JOIN packages p ON p.namespace = j.value->>0 \
         AND p.type = j.value->>1 AND p.name = j.value->>2 AND p.version = j.value->>3 AND p.arch = j.value->>4 \
         AND p.source_name = j.value->>5 AND p.source_version = j.value->>6",
    )
    .bind(keys)
    .fetch_all(executor)
    .await?;
    let mut known = vec![None; packages.len()];
    for row in rows {
        let position: i64 = row.get(0);
        if let Some(asked) =
            usize::try_from(position).ok().and_then(|i| packages.get(i).map(|p| (i, p)))
        {
            let (i, asked) = asked;
            known[i] = Some(StoredPackage {
                id: row.get(1),
                namespace: asked.namespace.clone(),
                package: asked.item.package.clone(),
                generation: row.get(2),
            });
        }
    }
    Ok(known)
}

pub(super) async fn insert_layers(tx: &mut Tx<'_>, layers: &[Digest]) -> Result<(), sqlx::Error> {
    let digests = json!(layers.iter().map(Digest::to_string).collect::<Vec<_>>()).to_string();
    sqlx::query("INSERT INTO layers (digest) SELECT DISTINCT value FROM json_each($1) WHERE true ON CONFLICT DO NOTHING")
        .bind(digests)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(super) async fn write_image(tx: &mut Tx<'_>, image: &ImageRecord) -> Result<(), sqlx::Error> {
    insert_layers(tx, &image.layers).await?;
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO images (digest, analyser_version, scan_state, scan_trigger, started_at, finished_at, platform, os, \
         problems, inapplicable, status, failure, attempts, retry_at) VALUES ($1, $2, \
         CASE WHEN $10 IS NULL THEN 'done' ELSE 'failed' END, $3, $4, $5, $6, $7, $8, $9, 'not_applicable', $10, $11, $12) \
         ON CONFLICT (digest) DO UPDATE SET analyser_version = $2, scan_state = excluded.scan_state, \
         scan_trigger = $3, failure = $10, attempts = $11, retry_at = $12, started_at = $4, finished_at = $5, platform = $6, os = $7, \
         problems = $8, inapplicable = $9 RETURNING id",
    )
    .bind(image.digest.to_string())
    .bind(image.analyser_version)
    .bind(&image.trigger)
    .bind(image.started_at)
    .bind(image.finished_at)
    .bind(to_json(&image.platform))
    .bind(image.os.as_ref().map(to_json))
    .bind(to_json(&image.problems))
    .bind(&image.inapplicable)
    .bind(image.failure.as_ref().map(|f| &f.message))
    .bind(image.failure.as_ref().map_or(0, |f| f.attempts))
    .bind(image.failure.as_ref().and_then(|f| f.retry_at))
    .fetch_one(&mut **tx)
    .await?;
    sqlx::query("DELETE FROM image_layers WHERE image_id = $1").bind(id).execute(&mut **tx).await?;
    sqlx::query("DELETE FROM image_packages WHERE image_id = $1")
        .bind(id)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "INSERT INTO image_layers (image_id, ordinal, layer_id) \
         SELECT $1, j.key, l.id FROM json_each($2) j JOIN layers l ON l.digest = j.value",
    )
    .bind(id)
    .bind(json!(image.layers.iter().map(Digest::to_string).collect::<Vec<_>>()).to_string())
    .execute(&mut **tx)
    .await?;
    for batch in image.packages.chunks(BATCH_ROWS) {
        let rows: Vec<_> = batch
            .iter()
            .map(|(pid, p)| json!([pid, p.item.layer, p.item.path, p.item.owner, p.judged]))
            .collect();
        sqlx::query(
            "INSERT INTO image_packages (image_id, package_id, ordinal, path, owner, judged) \
             SELECT $1, value->>0, value->>1, value->>2, value->>3, value->>4 FROM json_each($2) WHERE true \
             ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(json!(rows).to_string())
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Writes what matching said of one package; says whether anything changed.
pub(super) async fn write_match(
    tx: &mut Tx<'_>,
    one: &PackageMatch,
    generation: i64,
    cause_of: CauseOf<'_>,
    now: Millis,
) -> Result<bool, sqlx::Error> {
    let undetermined = (!one.undetermined.is_empty()).then(|| to_json(&one.undetermined));
    let Some(before) = sqlx::query(
        "SELECT unassessed, undetermined FROM packages WHERE id = $1 AND generation <= $2",
    )
    .bind(one.package_id)
    .bind(generation)
    .fetch_optional(&mut **tx)
    .await?
    else {
        return Ok(false);
    };
    let mut changed = before.get::<Option<String>, _>(0) != one.unassessed
        || before.get::<Option<String>, _>(1) != undetermined;
    sqlx::query(
        "UPDATE packages SET generation = $2, unassessed = $3, undetermined = $4 WHERE id = $1",
    )
    .bind(one.package_id)
    .bind(generation)
    .bind(&one.unassessed)
    .bind(&undetermined)
    .execute(&mut **tx)
    .await?;

    let open: Vec<StoredFinding> = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {FINDING_COLUMNS} FROM package_findings f WHERE f.package_id = $1"
    )))
    .bind(one.package_id)
    .fetch_all(&mut **tx)
    .await?
    .iter()
    .map(stored_finding)
    .collect();
    for old in &open {
        if !one.findings.iter().any(|f| f.finding_id == old.finding_id) {
            changed = true;
            sqlx::query("DELETE FROM package_findings WHERE package_id = $1 AND finding_id = $2")
                .bind(one.package_id)
                .bind(signed(old.finding_id))
                .execute(&mut **tx)
                .await?;
            write_event(tx, one.package_id, old, FindingChange::Closed, cause_of, now).await?;
        }
    }
    for new in &one.findings {
        let old = open.iter().find(|f| f.finding_id == new.finding_id);
        if old == Some(new) {
            continue;
        }
        changed = true;
        sqlx::query(
            "INSERT INTO package_findings (package_id, finding_id, severity, patchable, suppressed, title, category, \
             detail, opened_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (package_id, finding_id) DO UPDATE SET severity = $3, patchable = $4, suppressed = $5, \
             title = $6, category = $7, detail = $8",
        )
        .bind(one.package_id)
        .bind(signed(new.finding_id))
        .bind(new.severity)
        .bind(new.patchable)
        .bind(&new.suppressed)
        .bind(&new.title)
        .bind(&new.category)
        .bind(&new.detail)
        .bind(now)
        .execute(&mut **tx)
        .await?;
        let change = if old.is_some() { FindingChange::Changed } else { FindingChange::Opened };
        write_event(tx, one.package_id, new, change, cause_of, now).await?;
    }
    Ok(changed)
}

pub(super) async fn write_event(
    tx: &mut Tx<'_>,
    package_id: PackageId,
    finding: &StoredFinding,
    change: FindingChange,
    cause_of: CauseOf<'_>,
    now: Millis,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO finding_events (package_id, finding_id, at, event, title, severity, cause) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(package_id)
    .bind(signed(finding.finding_id))
    .bind(now)
    .bind(change.as_str())
    .bind(&finding.title)
    .bind(finding.severity)
    .bind(cause_of(change, finding))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Recomputes what an image's row says of its packages and findings.
pub(super) async fn refresh_image(tx: &mut Tx<'_>, id: i64) -> Result<(), sqlx::Error> {
    let counts = sqlx::query(
        "WITH worst AS (SELECT f.finding_id, MAX(f.severity) AS severity, MIN(f.patchable) AS patchable \
         FROM image_packages ip JOIN package_findings f ON f.package_id = ip.package_id \
         WHERE ip.image_id = $1 AND ip.judged = 1 AND f.suppressed IS NULL GROUP BY f.finding_id) \
         SELECT COALESCE(SUM(severity = 4), 0), COALESCE(SUM(severity = 3), 0), COALESCE(SUM(severity = 2), 0), \
         COALESCE(SUM(severity = 1), 0), COALESCE(SUM(severity = 0), 0), COALESCE(SUM(patchable), 0), \
         (SELECT COUNT(DISTINCT package_id) FROM image_packages WHERE image_id = $1) FROM worst",
    )
    .bind(id)
    .fetch_one(&mut **tx)
    .await?;
    let n = |i: usize| counts.get::<i64, _>(i);
    let unassessed = sqlx::query(
        "SELECT p.unassessed, COUNT(DISTINCT p.id) FROM image_packages ip JOIN packages p ON p.id = ip.package_id \
         WHERE ip.image_id = $1 AND ip.judged = 1 AND p.unassessed IS NOT NULL GROUP BY 1",
    )
    .bind(id)
    .fetch_all(&mut **tx)
    .await?;
    let undetermined = sqlx::query(
        "SELECT p.undetermined->>0, COUNT(DISTINCT p.id) FROM image_packages ip JOIN packages p ON p.id = ip.package_id \
         WHERE ip.image_id = $1 AND ip.judged = 1 AND p.undetermined IS NOT NULL GROUP BY 1",
    )
    .bind(id)
    .fetch_all(&mut **tx)
    .await?;
    let row = sqlx::query("SELECT problems, inapplicable FROM images WHERE id = $1")
        .bind(id)
        .fetch_one(&mut **tx)
        .await?;
    let problems: Vec<packages::Problem> = from_json(row.get(0));
    let mut hidden_by = BTreeMap::new();
    for problem in problems {
        *hidden_by.entry(problem.message).or_insert(0) += 1;
    }
    let tally = Tally {
        packages: unsigned(n(6)),
        findings: unsigned(n(0) + n(1) + n(2) + n(3) + n(4)),
        unassessed: by_reason(&unassessed),
        undetermined: by_reason(&undetermined),
        problems: hidden_by,
    };
    let (status, cause) = match row.get::<Option<String>, _>(1) {
        Some(inapplicable) => (Status::NotApplicable, Some(inapplicable)),
        None => status_of(&tally),
    };
    sqlx::query(
        "UPDATE images SET status = $2, cause = $3, packages = $4, critical = $5, high = $6, medium = $7, low = $8, \
         unscored = $9, patchable = $10, revision = revision + 1 WHERE id = $1",
    )
    .bind(id)
    .bind(status.as_str())
    .bind(cause)
    .bind(n(6))
    .bind(n(0))
    .bind(n(1))
    .bind(n(2))
    .bind(n(3))
    .bind(n(4))
    .bind(n(5))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn by_reason(rows: &[DbRow]) -> BTreeMap<String, u64> {
    rows.iter().map(|row| (row.get(0), unsigned(row.get(1)))).collect()
}
