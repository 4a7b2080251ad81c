//! `store::ScanStore`.

mod rows;
mod write;

use async_trait::async_trait;
use oci::Digest;
use packages::Namespace;
use serde_json::json;
use sqlx::Row;
use store::StoreError;
use store::scan::{
    CauseOf, DueImage, FailedScan, FindingEvent, ImageFindingRow, ImagePackage, ImagePlatform,
    ImageRecord, ImageTotals, Millis, PackageId, PackageMatch, ScanStore, SeverityCounts,
    StoredFinding, StoredImage, StoredImagePackage, StoredPackage,
};

use super::row::signed;
use super::{Store, commit};
use rows::{
    FINDING_COLUMNS, IMAGE_COLUMNS, PACKAGE_COLUMNS, digest_of, fetch_image, finding_row,
    from_json, item_of, namespace_of, stored_finding, stored_image, stored_package, to_json,
    unsigned,
};
use write::{
    BATCH_ROWS, failed, insert_layers, known_packages, package_keys, refresh_image, write_image,
    write_match,
};

#[async_trait]
impl ScanStore for Store {
    async fn layer_analysis(
        &self,
        layer: &Digest,
        analyser_version: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query(
            "SELECT a.analysis FROM layers l JOIN layer_analyses a ON a.layer_id = l.id \
             WHERE l.digest = $1 AND a.analyser_version = $2",
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
             SELECT id, $2, $3, $4 FROM layers WHERE digest = $1 ON CONFLICT DO NOTHING",
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
                 FROM json_each($1) WHERE true ON CONFLICT DO NOTHING",
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
        let id: i64 = sqlx::query_scalar("SELECT id FROM images WHERE digest = $1")
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
             VALUES ($1, $2, 'failed', $3, $4, $9, $5, $6, $7, $8, '[]', 'not_applicable', 'the scan failed: ' || $4) \
             ON CONFLICT (digest) DO UPDATE SET failure = $4, attempts = $9, retry_at = $5, \
             scan_trigger = $3, started_at = $6, finished_at = $7, scan_state = 'failed', revision = revision + 1, \
             cause = CASE WHEN status = 'not_applicable' THEN 'the scan failed: ' || $4 ELSE cause END",
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
                "SELECT {PACKAGE_COLUMNS} FROM json_each($1) j \
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
            "SELECT {PACKAGE_COLUMNS} FROM packages p WHERE p.id > $1 AND p.generation < $2 ORDER BY p.id LIMIT $3"
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
             JOIN image_packages ip ON ip.package_id = p.id WHERE p.namespace = $1)",
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
            "SELECT {PACKAGE_COLUMNS} FROM packages p WHERE p.namespace = $1 AND p.id > $2 ORDER BY p.id LIMIT $3"
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
            "SELECT DISTINCT i.id, i.digest FROM json_each($1) j \
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
            "SELECT {IMAGE_COLUMNS} FROM images WHERE digest IN (SELECT value FROM json_each($1))"
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
             JOIN packages p ON p.id = ip.package_id WHERE i.digest = $1"
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
             WHERE i.digest = $1 ORDER BY p.type, p.name, p.version, ip.ordinal, ip.path"
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
             JOIN image_packages ip ON ip.image_id = i.id AND ip.judged = 1 WHERE i.digest = $1) \
             ORDER BY e.at DESC, e.id DESC LIMIT $2",
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
             JOIN images i ON i.id = ip.image_id WHERE f.finding_id = $1 AND f.suppressed IS NULL LIMIT $2",
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
             WHERE instr(lower(f.title), lower($1)) > 0 OR instr(lower(f.detail), lower($1)) > 0 \
             GROUP BY f.finding_id ORDER BY f.severity DESC, f.finding_id LIMIT $2"
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
             WHERE f.severity >= $1 AND f.suppressed IS NULL \
             AND EXISTS (SELECT 1 FROM manifests m WHERE m.digest = i.digest) \
             GROUP BY f.finding_id, i.id ORDER BY f.opened_at DESC, f.severity DESC LIMIT $2"
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
             WHERE m.media_type NOT IN (SELECT value FROM json_each($1)) AND (i.id IS NULL \
             OR (i.scan_state = 'done' AND i.analyser_version < $2) \
             OR (i.scan_state = 'failed' AND i.attempts < $4 AND i.retry_at <= $3)) \
             GROUP BY m.digest ORDER BY MIN(m.pushed_at) LIMIT $5",
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
             WHERE ($1 IS NULL OR r.name = $1) AND m.media_type NOT IN (SELECT value FROM json_each($2))) d \
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
        sqlx::query_scalar("SELECT value FROM scan_facts WHERE name = $1")
            .bind(name)
            .fetch_optional(self.read())
            .await
            .map_err(failed("read a fact"))
    }

    async fn set_scan_fact(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let what = "write a fact";
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO scan_facts VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2",
        )
        .bind(name)
        .bind(value)
        .execute(&mut *tx)
        .await
        .map_err(failed(what))?;
        commit(tx).await
    }
}
