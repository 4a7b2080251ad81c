//! Writing what inspection found, inside a transaction that the caller holds.

use std::borrow::Cow;
use std::collections::BTreeMap;

use matching::{Status, Tally, status_of};
use oci::Digest;
use packages::Namespace;
use serde_json::json;

use store::StoreError;
use store::scan::{
    CauseOf, FindingChange, ImagePackage, ImageRecord, Millis, PackageId, PackageMatch,
    StoredFinding, StoredPackage,
};

use super::super::row::{list, number, signed, text, value};
use super::super::{Db, DbRow, Tx, dialect};
use super::rows::{FINDING_COLUMNS, json_or_default, stored_finding, to_json};

/// Rows of a write batch that one JSON parameter carries; keeps parameters
/// well below SQLite's limit on the length of a string.
pub(super) const BATCH_ROWS: usize = 2_000;

/// What a package is interned by; the name that its feed keys on follows from it.
pub(super) const PACKAGE_KEY: [&str; 7] =
    ["namespace", "type", "name", "version", "arch", "source_name", "source_version"];

/// Rows of [`package_keys`]: [`PACKAGE_KEY`] and `match_name`.
pub(super) fn package_rows() -> String {
    let columns: Vec<_> =
        PACKAGE_KEY.into_iter().chain(["match_name"]).map(|column| (column, "TEXT")).collect();
    dialect::rows("$1", &columns)
}

/// Packages as a parameter for [`package_rows`].
pub(super) fn package_keys(packages: &[ImagePackage]) -> String {
    list(packages.iter().map(|p| {
        let package = &p.item.package;
        let source = package.source.as_ref();
        json!([
            p.namespace.as_ref().map_or("", Namespace::as_str),
            package.kind.as_str(),
            package.name,
            package.version,
            package.arch.as_deref().unwrap_or(""),
            source.map_or("", |s| &s.name),
            source.map_or("", |s| &s.version),
            p.match_name,
        ])
    }))
}

/// Rows of packages that are there already, by position.
pub(super) async fn known_packages<'e>(
    executor: impl sqlx::Executor<'e, Database = Db>,
    keys: &str,
    packages: &[ImagePackage],
) -> Result<Vec<Option<StoredPackage>>, StoreError> {
    let (rows, join) = (package_rows(), dialect::FORCED_JOIN);
    let query = format!(
        "SELECT j.position, p.id, p.generation FROM {rows} j {join} packages p ON {}",
        dialect::same("p", "j", &PACKAGE_KEY)
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(query))
        .bind(keys)
        .fetch_all(executor)
        .await
        .map_err(StoreError::database("look up packages"))?;
    let mut known = vec![None; packages.len()];
    for row in rows {
        let position: usize = number(&row, "position")?;
        if let Some(asked) = packages.get(position) {
            known[position] = Some(StoredPackage {
                id: value(&row, "id")?,
                namespace: asked.namespace.clone(),
                package: asked.item.package.clone(),
                generation: value(&row, "generation")?,
            });
        }
    }
    Ok(known)
}

/// Digests as a parameter of [`dialect::rows`] with [`DIGEST`].
pub(super) fn digests(digests: &[Digest]) -> String {
    list(digests.iter().map(|digest| json!([digest])))
}

/// The columns of [`digests`].
pub(super) const DIGEST: [(&str, &str); 1] = [("digest", "TEXT")];

pub(super) async fn insert_layers(tx: &mut Tx<'_>, layers: &[Digest]) -> Result<(), StoreError> {
    let rows = dialect::rows("$1", &DIGEST);
    // In one order, so that two who write the same layers do not wait for each other.
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "INSERT INTO layers (digest) SELECT DISTINCT j.digest FROM {rows} j WHERE true \
         ORDER BY j.digest ON CONFLICT DO NOTHING"
    )))
    .bind(digests(layers))
    .execute(&mut **tx)
    .await
    .map_err(StoreError::database("store the layers of an image"))?;
    Ok(())
}

pub(super) async fn write_image(tx: &mut Tx<'_>, image: &ImageRecord) -> Result<i64, StoreError> {
    const ATTEMPTED: &str = "store an inspected image";
    insert_layers(tx, &image.layers).await?;
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO images (digest, analyser_version, scan_state, scan_trigger, started_at, finished_at, platform, os, \
         problems, inapplicable, status, failure, attempts, retry_at) VALUES ($1, $2, \
         CASE WHEN $10 IS NULL THEN 'done' ELSE 'failed' END, $3, $4, $5, $6, $7, $8, $9, 'not_applicable', $10, $11, $12) \
         ON CONFLICT (digest) DO UPDATE SET analyser_version = excluded.analyser_version, \
         scan_state = excluded.scan_state, scan_trigger = excluded.scan_trigger, failure = excluded.failure, \
         attempts = excluded.attempts, retry_at = excluded.retry_at, started_at = excluded.started_at, \
         finished_at = excluded.finished_at, platform = excluded.platform, os = excluded.os, \
         problems = excluded.problems, inapplicable = excluded.inapplicable RETURNING id",
    )
    .bind(image.digest.to_string())
    .bind(i64::from(image.analyser_version))
    .bind(&image.trigger)
    .bind(image.started_at)
    .bind(image.finished_at)
    .bind(to_json(&image.platform))
    .bind(image.os.as_ref().map(to_json))
    .bind(to_json(&image.problems))
    .bind(image.inapplicable.as_deref().map(text))
    .bind(image.failure.as_ref().map(|f| text(&f.message)))
    .bind(image.failure.as_ref().map_or(0, |f| i64::from(f.attempts)))
    .bind(image.failure.as_ref().and_then(|f| f.retry_at))
    .fetch_one(&mut **tx)
    .await
    .map_err(StoreError::database(ATTEMPTED))?;
    for forgotten in [
        "DELETE FROM image_layers WHERE image_id = $1",
        "DELETE FROM image_packages WHERE image_id = $1",
    ] {
        sqlx::query(forgotten)
            .bind(id)
            .execute(&mut **tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
    }
    let rows = dialect::rows("$2", &DIGEST);
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "INSERT INTO image_layers (image_id, ordinal, layer_id) \
         SELECT $1, j.position, l.id FROM {rows} j JOIN layers l ON l.digest = j.digest"
    )))
    .bind(id)
    .bind(digests(&image.layers))
    .execute(&mut **tx)
    .await
    .map_err(StoreError::database(ATTEMPTED))?;
    let rows = dialect::rows(
        "$2",
        &[
            ("package_id", "BIGINT"),
            ("ordinal", "BIGINT"),
            ("path", "TEXT"),
            ("owner", "TEXT"),
            ("judged", "BOOLEAN"),
        ],
    );
    let query = format!(
        "INSERT INTO image_packages (image_id, package_id, ordinal, path, owner, judged) \
         SELECT $1, j.package_id, j.ordinal, j.path, j.owner, j.judged FROM {rows} j WHERE true ON CONFLICT DO NOTHING"
    );
    for batch in image.packages.chunks(BATCH_ROWS) {
        let rows = batch
            .iter()
            .map(|(id, p)| json!([id, p.item.layer, p.item.path, p.item.owner, p.judged]));
        sqlx::query(sqlx::AssertSqlSafe(query.as_str()))
            .bind(id)
            .bind(list(rows))
            .execute(&mut **tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
    }
    Ok(id)
}

/// Writes what matching said of one package; says whether anything changed.
pub(super) async fn write_match(
    tx: &mut Tx<'_>,
    one: &PackageMatch,
    generation: i64,
    cause_of: CauseOf<'_>,
    now: Millis,
) -> Result<bool, StoreError> {
    const ATTEMPTED: &str = "store what matching said of a package";
    let unassessed = one.unassessed.as_deref().map(text);
    let undetermined = (!one.undetermined.is_empty()).then(|| to_json(&one.undetermined));
    let query = format!(
        "SELECT unassessed, undetermined FROM packages WHERE id = $1 AND generation <= $2{}",
        dialect::LOCK_ROWS
    );
    let Some(before) = sqlx::query(sqlx::AssertSqlSafe(query))
        .bind(one.package_id)
        .bind(generation)
        .fetch_optional(&mut **tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?
    else {
        return Ok(false);
    };
    let mut changed = value::<Option<&str>>(&before, "unassessed")? != unassessed.as_deref()
        || value::<Option<&str>>(&before, "undetermined")? != undetermined.as_deref();
    sqlx::query(
        "UPDATE packages SET generation = $2, unassessed = $3, undetermined = $4 WHERE id = $1",
    )
    .bind(one.package_id)
    .bind(generation)
    .bind(unassessed)
    .bind(undetermined)
    .execute(&mut **tx)
    .await
    .map_err(StoreError::database(ATTEMPTED))?;

    let open = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {FINDING_COLUMNS} FROM package_findings f WHERE f.package_id = $1"
    )))
    .bind(one.package_id)
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::database(ATTEMPTED))?;
    let open = open.iter().map(stored_finding).collect::<Result<Vec<_>, _>>()?;
    for old in &open {
        if !one.findings.iter().any(|f| f.finding_id == old.finding_id) {
            changed = true;
            sqlx::query("DELETE FROM package_findings WHERE package_id = $1 AND finding_id = $2")
                .bind(one.package_id)
                .bind(signed(old.finding_id))
                .execute(&mut **tx)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
            write_event(tx, one.package_id, old, FindingChange::Closed, cause_of, now).await?;
        }
    }
    for new in &one.findings {
        let new = &as_stored(new);
        let old = open.iter().find(|f| f.finding_id == new.finding_id);
        if old == Some(new.as_ref()) {
            continue;
        }
        changed = true;
        sqlx::query(
            "INSERT INTO package_findings (package_id, finding_id, severity, patchable, suppressed, title, category, \
             detail, opened_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (package_id, finding_id) DO UPDATE SET severity = excluded.severity, \
             patchable = excluded.patchable, suppressed = excluded.suppressed, title = excluded.title, \
             category = excluded.category, detail = excluded.detail",
        )
        .bind(one.package_id)
        .bind(signed(new.finding_id))
        .bind(i64::from(new.severity))
        .bind(new.patchable)
        .bind(&new.suppressed)
        .bind(&new.title)
        .bind(&new.category)
        .bind(&new.detail)
        .bind(now)
        .execute(&mut **tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let change = if old.is_some() { FindingChange::Changed } else { FindingChange::Opened };
        write_event(tx, one.package_id, new, change, cause_of, now).await?;
    }
    Ok(changed)
}

/// A finding as it will be read again, to be compared with one that was.
fn as_stored(finding: &StoredFinding) -> Cow<'_, StoredFinding> {
    let texts = [&finding.title, &finding.category, &finding.detail];
    if texts.into_iter().chain(&finding.suppressed).all(|t| !t.contains('\0')) {
        return Cow::Borrowed(finding);
    }
    Cow::Owned(StoredFinding {
        suppressed: finding.suppressed.as_deref().map(|s| text(s).into_owned()),
        title: text(&finding.title).into_owned(),
        category: text(&finding.category).into_owned(),
        detail: text(&finding.detail).into_owned(),
        ..finding.clone()
    })
}

pub(super) async fn write_event(
    tx: &mut Tx<'_>,
    package_id: PackageId,
    finding: &StoredFinding,
    change: FindingChange,
    cause_of: CauseOf<'_>,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO finding_events (package_id, finding_id, at, event, title, severity, cause) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(package_id)
    .bind(signed(finding.finding_id))
    .bind(now)
    .bind(change.as_str())
    .bind(text(&finding.title))
    .bind(i64::from(finding.severity))
    .bind(text(&cause_of(change, finding)))
    .execute(&mut **tx)
    .await
    .map_err(StoreError::database("write the history of a finding"))?;
    Ok(())
}

/// Recomputes what an image's row says of its packages and findings.
pub(super) async fn refresh_image(tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
    const ATTEMPTED: &str = "sum up the findings of an image";
    // Each security check counts once, with its worst severity.
    let counts = sqlx::query(
        "WITH worst AS (SELECT f.finding_id, MAX(f.severity) AS severity, \
         MIN(CASE WHEN f.patchable THEN 1 ELSE 0 END) AS patchable \
         FROM image_packages ip JOIN package_findings f ON f.package_id = ip.package_id \
         WHERE ip.image_id = $1 AND ip.judged AND f.suppressed IS NULL GROUP BY f.finding_id) \
         SELECT COUNT(*) FILTER (WHERE severity = 4) AS critical, COUNT(*) FILTER (WHERE severity = 3) AS high, \
         COUNT(*) FILTER (WHERE severity = 2) AS medium, COUNT(*) FILTER (WHERE severity = 1) AS low, \
         COUNT(*) FILTER (WHERE severity = 0) AS unscored, COUNT(*) FILTER (WHERE patchable = 1) AS patchable, \
         (SELECT COUNT(DISTINCT package_id) FROM image_packages WHERE image_id = $1) AS packages FROM worst",
    )
    .bind(id)
    .fetch_one(&mut **tx)
    .await
    .map_err(StoreError::database(ATTEMPTED))?;
    let n = |column: &str| value::<i64>(&counts, column);
    let unassessed = sqlx::query(
        "SELECT p.unassessed AS reason, COUNT(DISTINCT p.id) AS packages FROM image_packages ip \
         JOIN packages p ON p.id = ip.package_id \
         WHERE ip.image_id = $1 AND ip.judged AND p.unassessed IS NOT NULL GROUP BY p.unassessed",
    )
    .bind(id)
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::database(ATTEMPTED))?;
    let undetermined = sqlx::query(
        "SELECT p.undetermined AS reasons, COUNT(DISTINCT p.id) AS packages FROM image_packages ip \
         JOIN packages p ON p.id = ip.package_id \
         WHERE ip.image_id = $1 AND ip.judged AND p.undetermined IS NOT NULL GROUP BY p.undetermined",
    )
    .bind(id)
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::database(ATTEMPTED))?;
    let row = sqlx::query("SELECT problems, inapplicable FROM images WHERE id = $1")
        .bind(id)
        .fetch_one(&mut **tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
    let problems: Vec<packages::Problem> = json_or_default(&row, "problems")?;
    let mut hidden_by = BTreeMap::new();
    for problem in problems {
        *hidden_by.entry(problem.message).or_insert(0) += 1;
    }
    let findings = n("critical")? + n("high")? + n("medium")? + n("low")? + n("unscored")?;
    let tally = Tally {
        packages: number(&counts, "packages")?,
        findings: findings.unsigned_abs(),
        unassessed: by_reason(&unassessed, |row| value(row, "reason"))?,
        undetermined: by_reason(&undetermined, |row| {
            let reasons: Vec<String> = json_or_default(row, "reasons")?;
            Ok(reasons.into_iter().next().unwrap_or_default())
        })?,
        problems: hidden_by,
    };
    let (status, cause) = match value::<Option<String>>(&row, "inapplicable")? {
        Some(inapplicable) => (Status::NotApplicable, Some(inapplicable)),
        None => status_of(&tally),
    };
    sqlx::query(
        "UPDATE images SET status = $2, cause = $3, packages = $4, critical = $5, high = $6, medium = $7, low = $8, \
         unscored = $9, patchable = $10, revision = revision + 1 WHERE id = $1",
    )
    .bind(id)
    .bind(status.as_str())
    .bind(cause.as_deref().map(text))
    .bind(n("packages")?)
    .bind(n("critical")?)
    .bind(n("high")?)
    .bind(n("medium")?)
    .bind(n("low")?)
    .bind(n("unscored")?)
    .bind(n("patchable")?)
    .execute(&mut **tx)
    .await
    .map_err(StoreError::database(ATTEMPTED))?;
    Ok(())
}

/// Packages by what kept them from being judged.
fn by_reason(
    rows: &[DbRow],
    reason: impl Fn(&DbRow) -> Result<String, StoreError>,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut packages = BTreeMap::new();
    for row in rows {
        *packages.entry(reason(row)?).or_default() += number::<u64>(row, "packages")?;
    }
    Ok(packages)
}
