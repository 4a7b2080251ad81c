//! `store::ScrubStore`.

use async_trait::async_trait;
use oci::{Digest, RepositoryName};
use store::collect::{SizedBlob, Walked};
use store::scrub::{ManifestPlace, MissingLink};
use store::{ScrubStore, StoreError, StoredManifest, UploadId};
use time::OffsetDateTime;

use super::row::{millis, number, parsed, time_option, value};
use super::{Store, commit};

#[async_trait]
impl ScrubStore for Store {
    async fn stored_blobs(
        &self,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<SizedBlob>, StoreError> {
        let rows = sqlx::query(
            "SELECT digest, size FROM blobs WHERE digest > $1 AND condemned_at IS NULL ORDER BY digest LIMIT $2",
        )
        .bind(after.map(Digest::to_string).unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("list blobs"))?;
        rows.iter()
            .map(|row| Ok(SizedBlob { digest: parsed(row, "digest")?, size: number(row, "size")? }))
            .collect()
    }

    async fn stored_totals(&self) -> Result<(u64, u64), StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(size), 0) AS BIGINT) AS bytes FROM blobs WHERE condemned_at IS NULL",
        )
        .fetch_one(self.read())
        .await
        .map_err(StoreError::database("count blobs"))?;
        Ok((number(&row, "n")?, number(&row, "bytes")?))
    }

    async fn stored_size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let row = sqlx::query("SELECT size FROM blobs WHERE digest = $1 AND condemned_at IS NULL")
            .bind(digest.to_string())
            .fetch_optional(self.read())
            .await
            .map_err(StoreError::database("look up a blob"))?;
        row.map(|row| number(&row, "size")).transpose()
    }

    async fn mark_damaged(&self, digest: &Digest, now: OffsetDateTime) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE blobs SET damaged_at = COALESCE(damaged_at, $2) WHERE digest = $1 AND condemned_at IS NULL",
        )
        .bind(digest.to_string())
        .bind(millis(now))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("mark a blob as damaged"))?;
        commit(tx).await?;
        Ok(done.rows_affected() == 1)
    }

    async fn damaged_since(&self, digest: &Digest) -> Result<Option<OffsetDateTime>, StoreError> {
        let row = sqlx::query("SELECT damaged_at FROM blobs WHERE digest = $1")
            .bind(digest.to_string())
            .fetch_optional(self.read())
            .await
            .map_err(StoreError::database("look up a blob"))?;
        row.map_or(Ok(None), |row| time_option(&row, "damaged_at"))
    }

    async fn holds_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM repository_blobs rb JOIN repositories r ON r.id = rb.repository_id \
             WHERE r.name = $1 AND rb.digest = $2)",
        )
        .bind(repository.as_str())
        .bind(digest.to_string())
        .fetch_one(self.read())
        .await
        .map_err(StoreError::database("look up a blob"))
    }

    async fn mark_whole(
        &self,
        digest: &Digest,
        upload: Option<UploadId>,
    ) -> Result<bool, StoreError> {
        const ATTEMPTED: &str = "mark a blob as whole";
        let mut tx = self.write().await?;
        if let Some(upload) = upload {
            let ended = sqlx::query("DELETE FROM uploads WHERE id = $1 AND committing = $2")
                .bind(upload.to_string())
                .bind(digest.to_string())
                .execute(&mut *tx)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
            if ended.rows_affected() == 0 {
                return Ok(false);
            }
        }
        sqlx::query(
            "UPDATE blobs SET damaged_at = NULL WHERE digest = $1 AND damaged_at IS NOT NULL",
        )
        .bind(digest.to_string())
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(true)
    }

    async fn stored_manifests(
        &self,
        after: Option<ManifestPlace>,
        limit: u32,
    ) -> Result<Vec<(ManifestPlace, RepositoryName, StoredManifest)>, StoreError> {
        let rows = sqlx::query(
            "SELECT m.id, r.name, m.digest, m.media_type, m.bytes FROM manifests m \
             JOIN repositories r ON r.id = m.repository_id WHERE m.id > $1 ORDER BY m.id LIMIT $2",
        )
        .bind(after.map_or(i64::MIN, |place| place.0))
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("list manifests"))?;
        rows.iter()
            .map(|row| {
                let manifest = StoredManifest {
                    digest: parsed(row, "digest")?,
                    media_type: value(row, "media_type")?,
                    bytes: value::<Vec<u8>>(row, "bytes")?.into(),
                    unreadable: None,
                };
                Ok((ManifestPlace(value(row, "id")?), parsed(row, "name")?, manifest))
            })
            .collect()
    }

    async fn heal_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE manifests SET bytes = $3 WHERE digest = $2 \
             AND repository_id = (SELECT id FROM repositories WHERE name = $1)",
        )
        .bind(repository.as_str())
        .bind(digest.to_string())
        .bind(bytes)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("heal a manifest"))?;
        commit(tx).await?;
        Ok(done.rows_affected() == 1)
    }

    async fn missing_links(
        &self,
        after: Option<ManifestPlace>,
        limit: u32,
    ) -> Result<Walked<MissingLink, ManifestPlace>, StoreError> {
        const ATTEMPTED: &str = "look for missing links";
        let first = after.map_or(i64::MIN, |place| place.0);
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM manifests WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2",
        )
        .bind(first)
        .bind(i64::from(limit.saturating_sub(1)))
        .fetch_optional(self.read())
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let rows = sqlx::query(
            "SELECT r.name, m.digest AS manifest, mr.digest, mr.media_type FROM manifests m \
             JOIN manifest_references mr ON mr.manifest_id = m.id JOIN repositories r ON r.id = m.repository_id \
             WHERE m.id > $1 AND m.id <= $2 AND mr.kind <> 'child' AND NOT EXISTS (SELECT 1 FROM repository_blobs b \
              WHERE b.repository_id = mr.repository_id AND b.digest = mr.digest)",
        )
        .bind(first)
        .bind(next.unwrap_or(i64::MAX))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let found = rows
            .iter()
            .map(|row| {
                Ok(MissingLink {
                    repository: parsed(row, "name")?,
                    manifest: parsed(row, "manifest")?,
                    blob: parsed(row, "digest")?,
                    media_type: value(row, "media_type")?,
                })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Walked { found, next: next.map(ManifestPlace) })
    }
}
