//! `store::ScanStore`.

mod rows;
mod write;

use async_trait::async_trait;
use oci::Digest;
use oci::media_type::{DOCKER_LIST, OCI_INDEX};
use packages::Namespace;
use serde_json::json;
use store::StoreError;
use store::scan::{
    CauseOf, DueImage, FailedScan, FindingEvent, ImageFindingRow, ImagePackage, ImagePlatform,
    ImageRecord, ImageTotals, Millis, PackageId, PackageMatch, ScanStore, SeverityCounts,
    StoredFinding, StoredImage, StoredImagePackage, StoredPackage,
};

use super::row::{list, number, parsed, signed, text, value};
use super::{DbRow, Store, commit, dialect, retried};
use rows::{
    FINDING_COLUMNS, IMAGE_COLUMNS, PACKAGE_COLUMNS, fetch_image, finding_row, item_of,
    json_or_default, namespace_of, stored_finding, stored_image, stored_package, to_json,
};
use write::{
    BATCH_ROWS, DIGEST, PACKAGE_KEY, digests, insert_layers, known_packages, package_keys,
    package_rows, refresh_image, write_image, write_match,
};

impl Store {
    /// Gives a batch of packages that are not all known their rows.
    async fn intern_new(
        &self,
        keys: &str,
        batch: &[ImagePackage],
    ) -> Result<Vec<Option<StoredPackage>>, StoreError> {
        const ATTEMPTED: &str = "intern packages";
        let (columns, rows) = (PACKAGE_KEY.join(", "), package_rows());
        let mut tx = self.write().await?;
        // In one order, so that two who intern the same ones do not wait for each other.
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "INSERT INTO packages ({columns}, match_name) SELECT {columns}, match_name FROM {rows} j WHERE true \
             ORDER BY {columns} ON CONFLICT DO NOTHING"
        )))
        .bind(keys)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let known = known_packages(&mut *tx, keys, batch).await?;
        commit(tx).await?;
        Ok(known)
    }

    /// One attempt of `save_image`.
    async fn write_scan(
        &self,
        image: &ImageRecord,
        matches: &[&PackageMatch],
        generation: i64,
        cause_of: CauseOf<'_>,
    ) -> Result<StoredImage, StoreError> {
        let mut tx = self.write_images().await?;
        for one in matches {
            write_match(&mut tx, one, generation, cause_of, image.finished_at).await?;
        }
        let id = write_image(&mut tx, image).await?;
        refresh_image(&mut tx, id).await?;
        let stored = fetch_image(&mut tx, &image.digest).await?;
        commit(tx).await?;
        stored.ok_or_else(|| StoreError::corrupt("image", "it has no row after it was stored"))
    }

    /// One attempt of `apply_matches`.
    async fn write_matches(
        &self,
        matches: &[&PackageMatch],
        generation: i64,
        cause_of: CauseOf<'_>,
        now: Millis,
    ) -> Result<Vec<Digest>, StoreError> {
        let mut tx = self.write_findings().await?;
        let mut changed = Vec::new();
        for one in matches {
            if write_match(&mut tx, one, generation, cause_of, now).await? {
                changed.push(json!([one.package_id]));
            }
        }
        let rows = dialect::rows("$1", &[("package_id", "BIGINT")]);
        let join = dialect::FORCED_JOIN;
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT DISTINCT i.id, i.digest FROM {rows} j {join} image_packages ip ON ip.package_id = j.package_id \
             JOIN images i ON i.id = ip.image_id ORDER BY i.id"
        )))
        .bind(list(changed))
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::database("find the images of packages"))?;
        let mut images = Vec::with_capacity(rows.len());
        for row in rows {
            refresh_image(&mut tx, value(&row, "id")?).await?;
            images.push(parsed(&row, "digest")?);
        }
        commit(tx).await?;
        Ok(images)
    }
}

/// In the order of packages: two who write the same ones then wait for each
/// other once, and never both.
fn in_order(matches: &[PackageMatch]) -> Vec<&PackageMatch> {
    let mut matches: Vec<_> = matches.iter().collect();
    matches.sort_unstable_by_key(|one| one.package_id);
    matches
}

#[async_trait]
impl ScanStore for Store {
    async fn layer_analysis(
        &self,
        layer: &Digest,
        analyser_version: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query_scalar(
            "SELECT a.analysis FROM layers l JOIN layer_analyses a ON a.layer_id = l.id \
             WHERE l.digest = $1 AND a.analyser_version = $2",
        )
        .bind(layer.to_string())
        .bind(i64::from(analyser_version))
        .fetch_optional(self.read())
        .await
        .map_err(StoreError::database("read the analysis of a layer"))
    }

    async fn save_layer_analysis(
        &self,
        layer: &Digest,
        analyser_version: u32,
        analysis: &[u8],
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        insert_layers(&mut tx, std::slice::from_ref(layer)).await?;
        sqlx::query(
            "INSERT INTO layer_analyses (layer_id, analyser_version, analysis, analysed_at) \
             SELECT id, $2, $3, $4 FROM layers WHERE digest = $1 ON CONFLICT DO NOTHING",
        )
        .bind(layer.to_string())
        .bind(i64::from(analyser_version))
        .bind(analysis)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("store the analysis of a layer"))?;
        commit(tx).await
    }

    async fn intern_packages(
        &self,
        packages: &[ImagePackage],
    ) -> Result<Vec<StoredPackage>, StoreError> {
        let mut out = Vec::with_capacity(packages.len());
        for batch in packages.chunks(BATCH_ROWS) {
            let keys = package_keys(batch);
            let mut rows = known_packages(self.read(), &keys, batch).await?;
            if !rows.iter().all(Option::is_some) {
                rows = retried(|| self.intern_new(&keys, batch)).await?;
            }
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
        let matches = in_order(matches);
        retried(|| self.write_scan(image, &matches, generation, cause_of)).await
    }

    async fn save_failed_scan(&self, scan: &FailedScan) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO images (digest, analyser_version, scan_state, scan_trigger, failure, attempts, retry_at, \
             started_at, finished_at, platform, problems, status, cause) \
             VALUES ($1, $2, 'failed', $3, $4, $9, $5, $6, $7, $8, '[]', 'not_applicable', 'the scan failed: ' || $4) \
             ON CONFLICT (digest) DO UPDATE SET failure = excluded.failure, attempts = excluded.attempts, \
             retry_at = excluded.retry_at, scan_trigger = excluded.scan_trigger, started_at = excluded.started_at, \
             finished_at = excluded.finished_at, scan_state = 'failed', revision = images.revision + 1, \
             cause = CASE WHEN images.status = 'not_applicable' THEN excluded.cause ELSE images.cause END",
        )
        .bind(scan.digest.to_string())
        .bind(i64::from(scan.analyser_version))
        .bind(&scan.trigger)
        .bind(text(&scan.failure.message))
        .bind(scan.failure.retry_at)
        .bind(scan.started_at)
        .bind(scan.finished_at)
        .bind(to_json(&ImagePlatform::default()))
        .bind(i64::from(scan.failure.attempts))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("store a failed scan"))?;
        commit(tx).await
    }

    async fn packages_named(
        &self,
        names: &[(Namespace, String)],
    ) -> Result<Vec<StoredPackage>, StoreError> {
        let mut out = Vec::new();
        for batch in names.chunks(BATCH_ROWS) {
            let asked = batch.iter().map(|(namespace, name)| json!([namespace.as_str(), name]));
            let rows = dialect::rows("$1", &[("namespace", "TEXT"), ("match_name", "TEXT")]);
            let join = dialect::FORCED_JOIN;
            let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
                "SELECT {PACKAGE_COLUMNS} FROM {rows} j {join} packages p \
                 ON {}",
                dialect::same("p", "j", &["namespace", "match_name"])
            )))
            .bind(list(asked))
            .fetch_all(self.read())
            .await
            .map_err(StoreError::database("look up packages by name"))?;
            for row in &rows {
                out.push(stored_package(row)?);
            }
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
            "SELECT {PACKAGE_COLUMNS} FROM packages p WHERE p.id > $1 AND p.generation < $2 ORDER BY p.id LIMIT $3"
        )))
        .bind(after)
        .bind(generation)
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("list packages to match again"))?;
        rows.iter().map(stored_package).collect()
    }

    async fn mark_for_rescan(&self, namespace: &Namespace) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let of_namespace = dialect::equal("p.namespace", "$1");
        let done = sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE images SET analyser_version = 0 WHERE id IN (SELECT ip.image_id FROM packages p \
             JOIN image_packages ip ON ip.package_id = p.id WHERE {of_namespace})"
        )))
        .bind(text(namespace.as_str()))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("mark images to be inspected again"))?;
        commit(tx).await?;
        Ok(done.rows_affected())
    }

    async fn packages_of(
        &self,
        namespace: &Namespace,
        after: PackageId,
        limit: u32,
    ) -> Result<Vec<StoredPackage>, StoreError> {
        let of_namespace = dialect::equal("p.namespace", "$1");
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {PACKAGE_COLUMNS} FROM packages p WHERE {of_namespace} AND p.id > $2 ORDER BY p.id LIMIT $3"
        )))
        .bind(text(namespace.as_str()))
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("list packages of a namespace"))?;
        rows.iter().map(stored_package).collect()
    }

    async fn apply_matches(
        &self,
        matches: &[PackageMatch],
        generation: i64,
        cause_of: CauseOf<'_>,
        now: Millis,
    ) -> Result<Vec<Digest>, StoreError> {
        let matches = in_order(matches);
        retried(|| self.write_matches(&matches, generation, cause_of, now)).await
    }

    async fn image(&self, digest: &Digest) -> Result<Option<StoredImage>, StoreError> {
        const ATTEMPTED: &str = "read an image";
        let mut reader = self.read().acquire().await.map_err(StoreError::database(ATTEMPTED))?;
        fetch_image(&mut reader, digest).await
    }

    async fn images(&self, asked: &[Digest]) -> Result<Vec<StoredImage>, StoreError> {
        let rows = dialect::rows("$1", &DIGEST);
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {IMAGE_COLUMNS} FROM images WHERE digest IN (SELECT j.digest FROM {rows} j)"
        )))
        .bind(digests(asked))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("read images"))?;
        rows.iter().map(stored_image).collect()
    }

    async fn image_findings(&self, digest: &Digest) -> Result<Vec<ImageFindingRow>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {FINDING_COLUMNS}, ip.ordinal, ip.path, ip.owner, {PACKAGE_COLUMNS} FROM images i \
             JOIN image_packages ip ON ip.image_id = i.id AND ip.judged \
             JOIN package_findings f ON f.package_id = ip.package_id \
             JOIN packages p ON p.id = ip.package_id WHERE i.digest = $1"
        )))
        .bind(digest.to_string())
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("read an image's findings"))?;
        rows.iter().map(finding_row).collect()
    }

    async fn image_packages(&self, digest: &Digest) -> Result<Vec<StoredImagePackage>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {PACKAGE_COLUMNS}, ip.ordinal, ip.path, ip.owner, ip.judged, \
             (SELECT COUNT(*) FROM package_findings f WHERE f.package_id = p.id AND f.suppressed IS NULL) AS findings \
             FROM images i JOIN image_packages ip ON ip.image_id = i.id JOIN packages p ON p.id = ip.package_id \
             WHERE i.digest = $1 ORDER BY p.type, p.name, p.version, ip.ordinal, ip.path"
        )))
        .bind(digest.to_string())
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("read an image's packages"))?;
        let package = |row: &DbRow| {
            let judged: bool = value(row, "judged")?;
            Ok(StoredImagePackage {
                id: value(row, "id")?,
                namespace: namespace_of(row)?,
                item: item_of(row)?,
                judged,
                unassessed: value(row, "unassessed")?,
                undetermined: json_or_default(row, "undetermined")?,
                findings: if judged { number(row, "findings")? } else { 0 },
            })
        };
        rows.iter().map(package).collect()
    }

    async fn image_history(
        &self,
        digest: &Digest,
        limit: u32,
    ) -> Result<Vec<FindingEvent>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.at, e.event, e.finding_id, e.title, e.severity, p.name, p.version, e.cause FROM finding_events e \
             JOIN packages p ON p.id = e.package_id WHERE e.package_id IN (SELECT ip.package_id FROM images i \
             JOIN image_packages ip ON ip.image_id = i.id AND ip.judged WHERE i.digest = $1) \
             ORDER BY e.at DESC, e.id DESC LIMIT $2",
        )
        .bind(digest.to_string())
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("read an image's history"))?;
        let event = |row: &DbRow| {
            Ok(FindingEvent {
                at: value(row, "at")?,
                event: value(row, "event")?,
                finding_id: number(row, "finding_id")?,
                title: value(row, "title")?,
                severity: number(row, "severity")?,
                package: (value(row, "name")?, value(row, "version")?),
                cause: value(row, "cause")?,
            })
        };
        rows.iter().map(event).collect()
    }

    async fn images_with_finding(
        &self,
        finding_id: u64,
        limit: u32,
    ) -> Result<Vec<Digest>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT i.digest FROM package_findings f \
             JOIN image_packages ip ON ip.package_id = f.package_id AND ip.judged \
             JOIN images i ON i.id = ip.image_id WHERE f.finding_id = $1 AND f.suppressed IS NULL LIMIT $2",
        )
        .bind(signed(finding_id))
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("find the images with a finding"))?;
        rows.iter().map(|row| parsed(row, "digest")).collect()
    }

    async fn search_findings(
        &self,
        part: &str,
        limit: u32,
    ) -> Result<Vec<StoredFinding>, StoreError> {
        let in_title = dialect::contains("lower(title)", "$1");
        let in_detail = dialect::contains("lower(detail)", "$1");
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {FINDING_COLUMNS} FROM (SELECT finding_id, MIN(package_id) AS package_id FROM package_findings \
             WHERE {in_title} OR {in_detail} GROUP BY finding_id) one \
             JOIN package_findings f ON f.package_id = one.package_id AND f.finding_id = one.finding_id \
             ORDER BY f.severity DESC, f.finding_id LIMIT $2"
        )))
        // Of ASCII only, as lower() does in every database.
        .bind(text(part).to_ascii_lowercase())
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("search findings"))?;
        rows.iter().map(stored_finding).collect()
    }

    async fn newest_findings(
        &self,
        severity_min: u8,
        limit: u32,
    ) -> Result<Vec<(Digest, ImageFindingRow)>, StoreError> {
        // First which, of keys alone, then what they say.
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "WITH every AS (SELECT f.package_id, f.finding_id, f.opened_at, f.severity, ip.image_id, ip.ordinal, ip.path, \
             ROW_NUMBER() OVER (PARTITION BY f.finding_id, ip.image_id \
             ORDER BY f.opened_at DESC, f.severity DESC, ip.package_id, ip.ordinal, ip.path) AS nth \
             FROM package_findings f JOIN image_packages ip ON ip.package_id = f.package_id AND ip.judged \
             JOIN images i ON i.id = ip.image_id WHERE f.severity >= $1 AND f.suppressed IS NULL \
             AND EXISTS (SELECT 1 FROM live_manifests m WHERE m.digest = i.digest)), \
             newest AS (SELECT * FROM every WHERE nth = 1 \
             ORDER BY opened_at DESC, severity DESC, finding_id, image_id LIMIT $2) \
             SELECT {FINDING_COLUMNS}, ip.ordinal, ip.path, ip.owner, {PACKAGE_COLUMNS}, i.digest FROM newest n \
             JOIN package_findings f ON f.package_id = n.package_id AND f.finding_id = n.finding_id \
             JOIN image_packages ip ON ip.image_id = n.image_id AND ip.package_id = n.package_id \
             AND ip.ordinal = n.ordinal AND ip.path = n.path \
             JOIN images i ON i.id = n.image_id JOIN packages p ON p.id = n.package_id \
             ORDER BY n.opened_at DESC, n.severity DESC, n.finding_id, n.image_id"
        )))
        .bind(i64::from(severity_min))
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("list the newest findings"))?;
        rows.iter().map(|row| Ok((parsed(row, "digest")?, finding_row(row)?))).collect()
    }

    async fn due_images(
        &self,
        analyser_version: u32,
        now: Millis,
        attempts_max: u32,
        limit: u32,
    ) -> Result<Vec<DueImage>, StoreError> {
        // Each part walks an index from its beginning, so that a long list costs no more than
        // what is taken from it, and an empty one nothing.
        let rows = sqlx::query(
            "SELECT d.digest, d.attempts, (SELECT MIN(r.name) FROM live_manifests m \
             JOIN repositories r ON r.id = m.repository_id WHERE m.digest = d.digest) AS repository \
             FROM (SELECT * FROM (SELECT u.digest, 0 AS attempts, 0 AS turn, u.since FROM uninspected_images u \
             WHERE NOT EXISTS (SELECT 1 FROM images i WHERE i.digest = u.digest) \
             AND EXISTS (SELECT 1 FROM live_manifests m WHERE m.digest = u.digest) \
             ORDER BY u.since, u.digest LIMIT $4) fresh \
             UNION ALL SELECT * FROM (SELECT i.digest, i.attempts, 1 AS turn, i.analyser_version AS since FROM images i \
             WHERE i.scan_state = 'done' AND i.analyser_version < $1 \
             AND EXISTS (SELECT 1 FROM live_manifests m WHERE m.digest = i.digest) \
             ORDER BY i.analyser_version LIMIT $4) outdated \
             UNION ALL SELECT * FROM (SELECT i.digest, i.attempts, 2 AS turn, i.retry_at AS since FROM images i \
             WHERE i.scan_state = 'failed' AND i.attempts < $2 AND i.retry_at <= $3 \
             AND EXISTS (SELECT 1 FROM live_manifests m WHERE m.digest = i.digest) LIMIT $4) failed) d \
             ORDER BY d.turn, d.since, d.digest LIMIT $4",
        )
        .bind(i64::from(analyser_version))
        .bind(i64::from(attempts_max))
        .bind(now)
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("list images to inspect"))?;
        let due = |row: &DbRow| {
            Ok(DueImage {
                digest: parsed(row, "digest")?,
                repository: value(row, "repository")?,
                attempts: number(row, "attempts")?,
            })
        };
        rows.iter().map(due).collect()
    }

    async fn image_totals(&self, repository: Option<&str>) -> Result<ImageTotals, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS total, COUNT(*) FILTER (WHERE i.status = 'healthy') AS healthy, \
             COUNT(*) FILTER (WHERE i.status = 'unhealthy') AS unhealthy, \
             CAST(COALESCE(SUM(i.critical), 0) AS BIGINT) AS critical, \
             CAST(COALESCE(SUM(i.high), 0) AS BIGINT) AS high, \
             CAST(COALESCE(SUM(i.medium), 0) AS BIGINT) AS medium, \
             CAST(COALESCE(SUM(i.low), 0) AS BIGINT) AS low, \
             CAST(COALESCE(SUM(i.unscored), 0) AS BIGINT) AS unscored, \
             COUNT(*) FILTER (WHERE i.scan_state = 'failed') AS failed \
             FROM (SELECT DISTINCT m.digest FROM live_manifests m JOIN repositories r ON r.id = m.repository_id \
             WHERE ($1 IS NULL OR r.name = $1) AND m.media_type NOT IN ($2, $3)) d \
             LEFT JOIN images i ON i.digest = d.digest",
        )
        .bind(repository.map(text))
        .bind(OCI_INDEX)
        .bind(DOCKER_LIST)
        .fetch_one(self.read())
        .await
        .map_err(StoreError::database("sum up images"))?;
        let n = |column: &str| number::<u64>(&row, column);
        let (total, healthy, unhealthy) = (n("total")?, n("healthy")?, n("unhealthy")?);
        Ok(ImageTotals {
            total,
            healthy,
            unhealthy,
            not_applicable: total.saturating_sub(healthy + unhealthy),
            severities: SeverityCounts {
                critical: n("critical")?,
                high: n("high")?,
                medium: n("medium")?,
                low: n("low")?,
                unscored: n("unscored")?,
            },
            failed: n("failed")?,
        })
    }

    async fn scan_fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar("SELECT value FROM scan_facts WHERE name = $1")
            .bind(name)
            .fetch_optional(self.read())
            .await
            .map_err(StoreError::database("read a fact"))
    }

    async fn ensure_scan_fact(&self, name: &str, fresh: &str) -> Result<String, StoreError> {
        const ATTEMPTED: &str = "keep a fact";
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO scan_facts (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(text(fresh))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        let fact = sqlx::query_scalar("SELECT value FROM scan_facts WHERE name = $1")
            .bind(name)
            .fetch_one(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(fact)
    }

    async fn set_scan_fact(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO scan_facts (name, value) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(text(value))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("write a fact"))?;
        commit(tx).await
    }
}
