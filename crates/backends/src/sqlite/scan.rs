//! `store::ScanStore` on SQLite.

use std::collections::BTreeMap;

use async_trait::async_trait;
use matching::{Status, Tally, status_of};
use oci::Digest;
use packages::{InventoryItem, Namespace, Package, PackageType, SourcePackage};
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, SqliteConnection, Transaction};
use store::StoreError;
use store::scan::{
    CauseOf, DueImage, FailedScan, FindingChange, FindingEvent, ImageFindingRow, ImagePackage,
    ImagePlatform, ImageRecord, ImageTotals, Millis, PackageId, PackageMatch, ScanStore,
    SeverityCounts, StoredFinding, StoredImage, StoredImagePackage, StoredPackage,
};

use super::{SqliteStore, commit};

/// Rows of a write batch that one JSON parameter carries; keeps parameters
/// well below SQLite's limit on the length of a string.
const BATCH_ROWS: usize = 2_000;

const PACKAGE_COLUMNS: &str = "p.id, p.namespace, p.type, p.name, p.version, p.arch, p.source_name, \
     p.source_version, p.generation, p.unassessed, p.undetermined";

const IMAGE_COLUMNS: &str = "digest, analyser_version, failure, attempts, scan_trigger, started_at, finished_at, \
     platform, os, problems, status, cause, packages, critical, high, medium, low, unscored, patchable, revision";

const FINDING_COLUMNS: &str = "f.finding_id, f.severity, f.patchable, f.suppressed, f.title, f.category, f.detail, f.opened_at";

#[async_trait]
impl ScanStore for SqliteStore {
    async fn layer_analysis(
        &self,
        layer: &Digest,
        analyser_version: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query(
            "SELECT a.analysis FROM layers l JOIN layer_analyses a ON a.layer_id = l.id \
             WHERE l.digest = ?1 AND a.analyser_version = ?2",
        )
        .bind(layer.to_string())
        .bind(analyser_version)
        .fetch_optional(self.read())
        .await
        .map_err(failed("read the analysis of a layer"))?;
        Ok(row.map(|r| r.get(0)))
    }

    async fn save_layer_analysis(
        &self,
        layer: &Digest,
        analyser_version: u32,
        analysis: &[u8],
        now: Millis,
    ) -> Result<(), StoreError> {
        let what = "store the analysis of a layer";
        let mut tx = self.write().await?;
        insert_layers(&mut tx, std::slice::from_ref(layer)).await.map_err(failed(what))?;
        sqlx::query(
            "INSERT INTO layer_analyses (layer_id, analyser_version, analysis, analysed_at) \
             SELECT id, ?2, ?3, ?4 FROM layers WHERE digest = ?1 ON CONFLICT DO NOTHING",
        )
        .bind(layer.to_string())
        .bind(analyser_version)
        .bind(analysis)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(failed(what))?;
        commit(tx).await
    }

    async fn intern_packages(
        &self,
        packages: &[ImagePackage],
    ) -> Result<Vec<StoredPackage>, StoreError> {
        let what = "intern packages";
        let mut out = Vec::with_capacity(packages.len());
        for batch in packages.chunks(BATCH_ROWS) {
            let keys = package_keys(batch);
            let known = known_packages(self.read(), &keys, batch).await.map_err(failed(what))?;
            if known.iter().all(Option::is_some) {
                out.extend(known.into_iter().flatten());
                continue;
            }
            let mut tx = self.write().await?;
            sqlx::query(
                "INSERT INTO packages (namespace, type, name, version, arch, source_name, source_version, match_name) \
                 SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7 \
                 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING",
            )
            .bind(&keys)
            .execute(&mut *tx)
            .await
            .map_err(failed(what))?;
            let rows = known_packages(&mut *tx, &keys, batch).await.map_err(failed(what))?;
            commit(tx).await?;
            for row in rows {
                out.push(row.ok_or_else(|| {
                    StoreError::corrupt("package", "it has no row after it was interned")
                })?);
            }
        }
        Ok(out)
    }

    async fn save_image(
        &self,
        image: &ImageRecord,
        matches: &[PackageMatch],
        generation: i64,
        cause_of: CauseOf<'_>,
    ) -> Result<StoredImage, StoreError> {
        let what = "store an inspected image";
        let mut tx = self.write().await?;
        for one in matches {
            write_match(&mut tx, one, generation, cause_of, image.finished_at)
                .await
                .map_err(failed(what))?;
        }
        write_image(&mut tx, image).await.map_err(failed(what))?;
        let id: i64 = sqlx::query_scalar("SELECT id FROM images WHERE digest = ?1")
            .bind(image.digest.to_string())
            .fetch_one(&mut *tx)
            .await
            .map_err(failed(what))?;
        refresh_image(&mut tx, id).await.map_err(failed(what))?;
        let stored = fetch_image(&mut tx, &image.digest).await.map_err(failed(what))?;
        commit(tx).await?;
        stored.ok_or_else(|| StoreError::corrupt("image", "it has no row after it was stored"))
    }

    async fn save_failed_scan(&self, scan: &FailedScan) -> Result<(), StoreError> {
        let what = "store a failed scan";
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO images (digest, analyser_version, scan_state, scan_trigger, failure, attempts, retry_at, \
             started_at, finished_at, platform, problems, status, cause) \
             VALUES (?1, ?2, 'failed', ?3, ?4, ?9, ?5, ?6, ?7, ?8, '[]', 'not_applicable', 'the scan failed: ' || ?4) \
             ON CONFLICT (digest) DO UPDATE SET failure = ?4, attempts = ?9, retry_at = ?5, \
             scan_trigger = ?3, started_at = ?6, finished_at = ?7, scan_state = 'failed', revision = revision + 1, \
             cause = CASE WHEN status = 'not_applicable' THEN 'the scan failed: ' || ?4 ELSE cause END",
        )
        .bind(scan.digest.to_string())
        .bind(scan.analyser_version)
        .bind(&scan.trigger)
        .bind(&scan.failure.message)
        .bind(scan.failure.retry_at)
        .bind(scan.started_at)
        .bind(scan.finished_at)
        .bind(to_json(&ImagePlatform::default()))
        .bind(scan.failure.attempts)
        .execute(&mut *tx)
        .await
        .map_err(failed(what))?;
        commit(tx).await
    }

    async fn packages_named(
        &self,
        names: &[(Namespace, String)],
    ) -> Result<Vec<StoredPackage>, StoreError> {
        let mut out = Vec::new();
        for batch in names.chunks(BATCH_ROWS) {
            let keys = json!(
                batch.iter().map(|(ns, name)| json!([ns.as_str(), name])).collect::<Vec<_>>()
            )
            .to_string();
            let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
                "SELECT {PACKAGE_COLUMNS} FROM json_each(?1) j \
                 CROSS JOIN packages p ON p.namespace = j.value->>0 AND p.match_name = j.value->>1"
            )))
            .bind(keys)
            .fetch_all(self.read())
            .await
            .map_err(failed("look up packages by name"))?;
            out.extend(rows.iter().map(stored_package));
        }
        Ok(out)
    }

    async fn packages_behind(
        &self,
        generation: i64,
        after: PackageId,
        limit: u32,
    ) -> Result<Vec<StoredPackage>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {PACKAGE_COLUMNS} FROM packages p WHERE p.id > ?1 AND p.generation < ?2 ORDER BY p.id LIMIT ?3"
        )))
        .bind(after)
        .bind(generation)
        .bind(limit)
        .fetch_all(self.read())
        .await
        .map_err(failed("list packages to match again"))?;
        Ok(rows.iter().map(stored_package).collect())
    }

    async fn mark_for_rescan(&self, namespace: &Namespace) -> Result<u64, StoreError> {
        let what = "mark images to be inspected again";
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE images SET analyser_version = 0 WHERE id IN (SELECT ip.image_id FROM packages p \
             JOIN image_packages ip ON ip.package_id = p.id WHERE p.namespace = ?1)",
        )
        .bind(namespace.as_str())
        .execute(&mut *tx)
        .await
        .map_err(failed(what))?;
        commit(tx).await?;
        Ok(done.rows_affected())
    }

    async fn packages_of(
        &self,
        namespace: &Namespace,
        after: PackageId,
        limit: u32,
    ) -> Result<Vec<StoredPackage>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {PACKAGE_COLUMNS} FROM packages p WHERE p.namespace = ?1 AND p.id > ?2 ORDER BY p.id LIMIT ?3"
        )))
        .bind(namespace.as_str())
        .bind(after)
        .bind(limit)
        .fetch_all(self.read())
        .await
        .map_err(failed("list packages of a namespace"))?;
        Ok(rows.iter().map(stored_package).collect())
    }

    async fn apply_matches(
        &self,
        matches: &[PackageMatch],
        generation: i64,
        cause_of: CauseOf<'_>,
        now: Millis,
    ) -> Result<Vec<Digest>, StoreError> {
        let what = "apply matches";
        let mut tx = self.write().await?;
        let mut changed = Vec::new();
        for one in matches {
            if write_match(&mut tx, one, generation, cause_of, now).await.map_err(failed(what))? {
                changed.push(one.package_id);
            }
        }
        let rows = sqlx::query(
            "SELECT DISTINCT i.id, i.digest FROM json_each(?1) j \
             CROSS JOIN image_packages ip ON ip.package_id = j.value JOIN images i ON i.id = ip.image_id",
        )
        .bind(json!(changed).to_string())
        .fetch_all(&mut *tx)
        .await
        .map_err(failed(what))?;
        let mut images = Vec::with_capacity(rows.len());
        for row in rows {
            refresh_image(&mut tx, row.get(0)).await.map_err(failed(what))?;
            images.push(digest_of(&row, "digest").map_err(failed(what))?);
        }
        commit(tx).await?;
        Ok(images)
    }

    async fn image(&self, digest: &Digest) -> Result<Option<StoredImage>, StoreError> {
        let mut reader = self.read().acquire().await.map_err(failed("read an image"))?;
        fetch_image(&mut reader, digest).await.map_err(failed("read an image"))
    }

    async fn images(&self, digests: &[Digest]) -> Result<Vec<StoredImage>, StoreError> {
        let keys = json!(digests.iter().map(Digest::to_string).collect::<Vec<_>>()).to_string();
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {IMAGE_COLUMNS} FROM images WHERE digest IN (SELECT value FROM json_each(?1))"
        )))
        .bind(keys)
        .fetch_all(self.read())
        .await
        .map_err(failed("read images"))?;
        rows.iter().map(stored_image).collect::<Result<_, _>>().map_err(failed("read images"))
    }

    async fn image_findings(&self, digest: &Digest) -> Result<Vec<ImageFindingRow>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {FINDING_COLUMNS}, ip.ordinal, ip.path, ip.owner, {PACKAGE_COLUMNS} FROM images i \
             JOIN image_packages ip ON ip.image_id = i.id AND ip.judged = 1 \
             JOIN package_findings f ON f.package_id = ip.package_id \
             JOIN packages p ON p.id = ip.package_id WHERE i.digest = ?1"
        )))
        .bind(digest.to_string())
        .fetch_all(self.read())
        .await
        .map_err(failed("read an image's findings"))?;
        Ok(rows.iter().map(finding_row).collect())
    }

    async fn image_packages(&self, digest: &Digest) -> Result<Vec<StoredImagePackage>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {PACKAGE_COLUMNS}, ip.ordinal, ip.path, ip.owner, ip.judged, \
             (SELECT COUNT(*) FROM package_findings f WHERE f.package_id = p.id AND f.suppressed IS NULL) AS findings \
             FROM images i JOIN image_packages ip ON ip.image_id = i.id JOIN packages p ON p.id = ip.package_id \
             WHERE i.digest = ?1 ORDER BY p.type, p.name, p.version, ip.ordinal, ip.path"
        )))
        .bind(digest.to_string())
        .fetch_all(self.read())
        .await
        .map_err(failed("read an image's packages"))?;
        Ok(rows
            .iter()
            .map(|row| {
                let judged: bool = row.get("judged");
                StoredImagePackage {
                    id: row.get("id"),
                    namespace: namespace_of(row),
                    item: item_of(row),
                    judged,
                    unassessed: row.get("unassessed"),
                    undetermined: from_json(row.get("undetermined")),
                    findings: if judged { unsigned(row.get("findings")) } else { 0 },
                }
            })
            .collect())
    }

    async fn image_history(
        &self,
        digest: &Digest,
        limit: u32,
    ) -> Result<Vec<FindingEvent>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.at, e.event, e.finding_id, e.title, e.severity, p.name, p.version, e.cause FROM finding_events e \
             JOIN packages p ON p.id = e.package_id WHERE e.package_id IN (SELECT ip.package_id FROM images i \
             JOIN image_packages ip ON ip.image_id = i.id AND ip.judged = 1 WHERE i.digest = ?1) \
             ORDER BY e.at DESC, e.id DESC LIMIT ?2",
        )
        .bind(digest.to_string())
        .bind(limit)
        .fetch_all(self.read())
        .await
        .map_err(failed("read an image's history"))?;
        Ok(rows
            .iter()
            .map(|row| FindingEvent {
                at: row.get(0),
                event: row.get(1),
                finding_id: unsigned(row.get(2)),
                title: row.get(3),
                severity: row.get(4),
                package: (row.get(5), row.get(6)),
                cause: row.get(7),
            })
            .collect())
    }

    async fn images_with_finding(
        &self,
        finding_id: u64,
        limit: u32,
    ) -> Result<Vec<Digest>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT i.digest FROM package_findings f \
             JOIN image_packages ip ON ip.package_id = f.package_id AND ip.judged = 1 \
             JOIN images i ON i.id = ip.image_id WHERE f.finding_id = ?1 AND f.suppressed IS NULL LIMIT ?2",
        )
        .bind(signed(finding_id))
        .bind(limit)
        .fetch_all(self.read())
        .await
        .map_err(failed("find the images with a finding"))?;
        rows.iter()
            .map(|row| digest_of(row, "digest"))
            .collect::<Result<_, _>>()
            .map_err(failed("find the images with a finding"))
    }

    async fn search_findings(
        &self,
        text: &str,
        limit: u32,
    ) -> Result<Vec<StoredFinding>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {FINDING_COLUMNS} FROM package_findings f \
             WHERE instr(lower(f.title), lower(?1)) > 0 OR instr(lower(f.detail), lower(?1)) > 0 \
             GROUP BY f.finding_id ORDER BY f.severity DESC, f.finding_id LIMIT ?2"
        )))
        .bind(text)
        .bind(limit)
        .fetch_all(self.read())
        .await
        .map_err(failed("search findings"))?;
        Ok(rows.iter().map(stored_finding).collect())
    }

    async fn newest_findings(
        &self,
        severity_min: u8,
        limit: u32,
    ) -> Result<Vec<(Digest, ImageFindingRow)>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {FINDING_COLUMNS}, ip.ordinal, ip.path, ip.owner, {PACKAGE_COLUMNS}, i.digest FROM package_findings f \
             JOIN image_packages ip ON ip.package_id = f.package_id AND ip.judged = 1 \
             JOIN images i ON i.id = ip.image_id JOIN packages p ON p.id = ip.package_id \
             WHERE f.severity >= ?1 AND f.suppressed IS NULL \
             AND EXISTS (SELECT 1 FROM manifests m WHERE m.digest = i.digest) \
             GROUP BY f.finding_id, i.id ORDER BY f.opened_at DESC, f.severity DESC LIMIT ?2"
        )))
        .bind(severity_min)
        .bind(limit)
        .fetch_all(self.read())
        .await
        .map_err(failed("list the newest findings"))?;
        rows.iter()
            .map(|row| Ok((digest_of(row, "digest")?, finding_row(row))))
            .collect::<Result<_, _>>()
            .map_err(failed("list the newest findings"))
    }

    async fn due_images(
        &self,
        analyser_version: u32,
        now: Millis,
        attempts_max: u32,
        limit: u32,
    ) -> Result<Vec<DueImage>, StoreError> {
        let rows = sqlx::query(
            "SELECT m.digest, MIN(r.name), COALESCE(MAX(i.attempts), 0) FROM manifests m \
             JOIN repositories r ON r.id = m.repository_id LEFT JOIN images i ON i.digest = m.digest \
             WHERE m.media_type NOT IN (SELECT value FROM json_each(?1)) AND (i.id IS NULL \
             OR (i.scan_state = 'done' AND i.analyser_version < ?2) \
             OR (i.scan_state = 'failed' AND i.attempts < ?4 AND i.retry_at <= ?3)) \
             GROUP BY m.digest ORDER BY MIN(m.pushed_at) LIMIT ?5",
        )
        .bind(json!([oci::media_type::OCI_INDEX, oci::media_type::DOCKER_LIST]).to_string())
        .bind(analyser_version)
        .bind(now)
        .bind(attempts_max)
        .bind(limit)
        .fetch_all(self.read())
        .await
        .map_err(failed("list images to inspect"))?;
        rows.iter()
            .map(|row| {
                Ok(DueImage {
                    digest: digest_of(row, "digest")?,
                    repository: row.get(1),
                    attempts: row.get(2),
                })
            })
            .collect::<Result<_, _>>()
            .map_err(failed("list images to inspect"))
    }

    async fn image_totals(&self, repository: Option<&str>) -> Result<ImageTotals, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*), COALESCE(SUM(i.status = 'healthy'), 0), COALESCE(SUM(i.status = 'unhealthy'), 0), \
             COALESCE(SUM(i.critical), 0), COALESCE(SUM(i.high), 0), COALESCE(SUM(i.medium), 0), \
             COALESCE(SUM(i.low), 0), COALESCE(SUM(i.unscored), 0), COALESCE(SUM(i.scan_state = 'failed'), 0) \
             FROM (SELECT DISTINCT m.digest FROM manifests m JOIN repositories r ON r.id = m.repository_id \
             WHERE (?1 IS NULL OR r.name = ?1) AND m.media_type NOT IN (SELECT value FROM json_each(?2))) d \
             LEFT JOIN images i ON i.digest = d.digest",
        )
        .bind(repository)
        .bind(json!([oci::media_type::OCI_INDEX, oci::media_type::DOCKER_LIST]).to_string())
        .fetch_one(self.read())
        .await
        .map_err(failed("sum up images"))?;
        let n = |i: usize| unsigned(row.get(i));
        Ok(ImageTotals {
            total: n(0),
            healthy: n(1),
            unhealthy: n(2),
            not_applicable: n(0) - n(1) - n(2),
            severities: SeverityCounts {
                critical: n(3),
                high: n(4),
                medium: n(5),
                low: n(6),
                unscored: n(7),
            },
            failed: n(8),
        })
    }

    async fn scan_fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar("SELECT value FROM scan_facts WHERE name = ?1")
            .bind(name)
            .fetch_optional(self.read())
            .await
            .map_err(failed("read a fact"))
    }

    async fn set_scan_fact(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let what = "write a fact";
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO scan_facts VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
        )
        .bind(name)
        .bind(value)
        .execute(&mut *tx)
        .await
        .map_err(failed(what))?;
        commit(tx).await
    }
}

/// Turns a database error into one that says what was attempted.
fn failed(what: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::database(what)(source)
}

/// The interning keys of packages as a JSON array of arrays. SQLite text ends
/// at a NUL, so one in a hostile name is replaced.
fn package_keys(packages: &[ImagePackage]) -> String {
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
async fn known_packages<'e>(
    executor: impl sqlx::Executor<'e, Database = Sqlite>,
    keys: &str,
    packages: &[ImagePackage],
) -> Result<Vec<Option<StoredPackage>>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT j.key, p.id, p.generation FROM json_each(?1) j CROSS JOIN packages p ON p.namespace = j.value->>0 \
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

async fn insert_layers(
    tx: &mut Transaction<'_, Sqlite>,
    layers: &[Digest],
) -> Result<(), sqlx::Error> {
    let digests = json!(layers.iter().map(Digest::to_string).collect::<Vec<_>>()).to_string();
    sqlx::query("INSERT INTO layers (digest) SELECT DISTINCT value FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING")
        .bind(digests)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn write_image(
    tx: &mut Transaction<'_, Sqlite>,
    image: &ImageRecord,
) -> Result<(), sqlx::Error> {
    insert_layers(tx, &image.layers).await?;
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO images (digest, analyser_version, scan_state, scan_trigger, started_at, finished_at, platform, os, \
         problems, inapplicable, status, failure, attempts, retry_at) VALUES (?1, ?2, \
         CASE WHEN ?10 IS NULL THEN 'done' ELSE 'failed' END, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'not_applicable', ?10, ?11, ?12) \
         ON CONFLICT (digest) DO UPDATE SET analyser_version = ?2, scan_state = excluded.scan_state, \
         scan_trigger = ?3, failure = ?10, attempts = ?11, retry_at = ?12, started_at = ?4, finished_at = ?5, platform = ?6, os = ?7, \
         problems = ?8, inapplicable = ?9 RETURNING id",
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
    sqlx::query("DELETE FROM image_layers WHERE image_id = ?1").bind(id).execute(&mut **tx).await?;
    sqlx::query("DELETE FROM image_packages WHERE image_id = ?1")
        .bind(id)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "INSERT INTO image_layers (image_id, ordinal, layer_id) \
         SELECT ?1, j.key, l.id FROM json_each(?2) j JOIN layers l ON l.digest = j.value",
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
             SELECT ?1, value->>0, value->>1, value->>2, value->>3, value->>4 FROM json_each(?2) WHERE true \
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
async fn write_match(
    tx: &mut Transaction<'_, Sqlite>,
    one: &PackageMatch,
    generation: i64,
    cause_of: CauseOf<'_>,
    now: Millis,
) -> Result<bool, sqlx::Error> {
    let undetermined = (!one.undetermined.is_empty()).then(|| to_json(&one.undetermined));
    let Some(before) = sqlx::query(
        "SELECT unassessed, undetermined FROM packages WHERE id = ?1 AND generation <= ?2",
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
        "UPDATE packages SET generation = ?2, unassessed = ?3, undetermined = ?4 WHERE id = ?1",
    )
    .bind(one.package_id)
    .bind(generation)
    .bind(&one.unassessed)
    .bind(&undetermined)
    .execute(&mut **tx)
    .await?;

    let open: Vec<StoredFinding> = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {FINDING_COLUMNS} FROM package_findings f WHERE f.package_id = ?1"
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
            sqlx::query("DELETE FROM package_findings WHERE package_id = ?1 AND finding_id = ?2")
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
             detail, opened_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
             ON CONFLICT (package_id, finding_id) DO UPDATE SET severity = ?3, patchable = ?4, suppressed = ?5, \
             title = ?6, category = ?7, detail = ?8",
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

async fn write_event(
    tx: &mut Transaction<'_, Sqlite>,
    package_id: PackageId,
    finding: &StoredFinding,
    change: FindingChange,
    cause_of: CauseOf<'_>,
    now: Millis,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO finding_events (package_id, finding_id, at, event, title, severity, cause) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
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
async fn refresh_image(tx: &mut Transaction<'_, Sqlite>, id: i64) -> Result<(), sqlx::Error> {
    let counts = sqlx::query(
        "WITH worst AS (SELECT f.finding_id, MAX(f.severity) AS severity, MAX(f.patchable) AS patchable \
         FROM image_packages ip JOIN package_findings f ON f.package_id = ip.package_id \
         WHERE ip.image_id = ?1 AND ip.judged = 1 AND f.suppressed IS NULL GROUP BY f.finding_id) \
         SELECT COALESCE(SUM(severity = 4), 0), COALESCE(SUM(severity = 3), 0), COALESCE(SUM(severity = 2), 0), \
         COALESCE(SUM(severity = 1), 0), COALESCE(SUM(severity = 0), 0), COALESCE(SUM(patchable), 0), \
         (SELECT COUNT(DISTINCT package_id) FROM image_packages WHERE image_id = ?1) FROM worst",
    )
    .bind(id)
    .fetch_one(&mut **tx)
    .await?;
    let n = |i: usize| counts.get::<i64, _>(i);
    let unassessed = sqlx::query(
        "SELECT p.unassessed, COUNT(DISTINCT p.id) FROM image_packages ip JOIN packages p ON p.id = ip.package_id \
         WHERE ip.image_id = ?1 AND ip.judged = 1 AND p.unassessed IS NOT NULL GROUP BY 1",
    )
    .bind(id)
    .fetch_all(&mut **tx)
    .await?;
    let undetermined = sqlx::query(
        "SELECT p.undetermined->>0, COUNT(DISTINCT p.id) FROM image_packages ip JOIN packages p ON p.id = ip.package_id \
         WHERE ip.image_id = ?1 AND ip.judged = 1 AND p.undetermined IS NOT NULL GROUP BY 1",
    )
    .bind(id)
    .fetch_all(&mut **tx)
    .await?;
    let row = sqlx::query("SELECT problems, inapplicable FROM images WHERE id = ?1")
        .bind(id)
        .fetch_one(&mut **tx)
        .await?;
    let problems: Vec<packages::Problem> = from_json(row.get(0));
    let mut hidden_by = BTreeMap::new();
    for problem in problems.into_iter().filter(|p| p.kind.hides_packages()) {
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
        "UPDATE images SET status = ?2, cause = ?3, packages = ?4, critical = ?5, high = ?6, medium = ?7, low = ?8, \
         unscored = ?9, patchable = ?10, revision = revision + 1 WHERE id = ?1",
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

async fn fetch_image(
    connection: &mut SqliteConnection,
    digest: &Digest,
) -> Result<Option<StoredImage>, sqlx::Error> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {IMAGE_COLUMNS} FROM images WHERE digest = ?1"
    )))
    .bind(digest.to_string())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(stored_image).transpose()
}

fn stored_image(row: &SqliteRow) -> Result<StoredImage, sqlx::Error> {
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
fn status_from(word: &str) -> Status {
    [Status::Healthy, Status::Unhealthy]
        .into_iter()
        .find(|s| s.as_str() == word)
        .unwrap_or(Status::NotApplicable)
}

fn by_reason(rows: &[SqliteRow]) -> BTreeMap<String, u64> {
    rows.iter().map(|row| (row.get(0), unsigned(row.get(1)))).collect()
}

fn stored_package(row: &SqliteRow) -> StoredPackage {
    StoredPackage {
        id: row.get("id"),
        namespace: namespace_of(row),
        package: package_of(row),
        generation: row.get("generation"),
    }
}

fn namespace_of(row: &SqliteRow) -> Option<Namespace> {
    let name: &str = row.get("namespace");
    (!name.is_empty()).then(|| Namespace::new(name))
}

fn package_of(row: &SqliteRow) -> Package {
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

fn item_of(row: &SqliteRow) -> InventoryItem {
    InventoryItem {
        package: package_of(row),
        layer: row.get("ordinal"),
        path: row.get("path"),
        owner: row.get("owner"),
    }
}

fn stored_finding(row: &SqliteRow) -> StoredFinding {
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

fn finding_row(row: &SqliteRow) -> ImageFindingRow {
    ImageFindingRow {
        package_id: row.get("id"),
        item: item_of(row),
        finding: stored_finding(row),
        opened_at: row.get("opened_at"),
    }
}

fn digest_of(row: &SqliteRow, column: &str) -> Result<Digest, sqlx::Error> {
    let text: &str = row.get(column);
    text.parse().map_err(|source| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(source),
    })
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    // Plain structs of strings and numbers: serialising them cannot fail.
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// Reads a JSON column; what cannot be read counts as empty.
fn from_json<T: serde::de::DeserializeOwned + Default>(text: Option<&str>) -> T {
    text.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default()
}

/// SQLite integers are signed; finding ids are below 2^53.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
