//! `store::RegistryStore`.

use async_trait::async_trait;
use oci::{Algorithm, Digest, Reference, RepositoryName, Tag};

use store::policy::{DeleteMode, DeleteRules, Flag, Lockable, PushRules, Refusal, first_match};
use store::{
    DeleteManifest, DeleteTag, LinkBlob, ManifestSummary, NewManifest, Pattern, PutManifest,
    RegistryStore, StoreError, StoredManifest, StoredUpload, UploadId,
};
use time::OffsetDateTime;

use super::policy::Locks;
use super::policy::deletion::{find, graph, take_away};
use super::policy::trash::forget;
use super::row::{json, list, millis, number, parsed, parsed_option, signed, text, time, value};
use super::{DbConnection, DbRow, Store, commit, dialect};

fn upload(row: &DbRow) -> Result<StoredUpload, StoreError> {
    let (id, algorithm): (String, String) = (value(row, "id")?, value(row, "algorithm")?);
    Ok(StoredUpload {
        id: UploadId::parse(&id).ok_or_else(|| StoreError::corrupt("upload", &id))?,
        repository: parsed(row, "repository")?,
        algorithm: Algorithm::parse(&algorithm)
            .ok_or_else(|| StoreError::corrupt("upload", &algorithm))?,
        started_at: time(row, "started_at")?,
        started_by: value(row, "started_by")?,
    })
}

/// One row with the names that a query finds, in its order: a row for each
/// costs more than all the rest.
fn names(query: &str) -> String {
    let names = dialect::json_array("q.name");
    format!("SELECT {names} AS names FROM ({query}) q")
}

/// Columns that [`summary`] reads.
fn summary_columns() -> String {
    let tags = dialect::json_array("t.name");
    format!(
        "m.digest, m.media_type, m.size, m.artifact_type, m.subject, m.annotations, m.pushed_at, m.pushed_by, \
         (SELECT {tags} FROM tags t WHERE t.manifest_id = m.id) AS tags"
    )
}

fn summary(row: &DbRow) -> Result<ManifestSummary, StoreError> {
    let mut tags: Vec<Tag> = json(row, "tags")?;
    tags.sort_unstable();
    Ok(ManifestSummary {
        digest: parsed(row, "digest")?,
        media_type: value(row, "media_type")?,
        size: number(row, "size")?,
        artifact_type: value(row, "artifact_type")?,
        annotations: json(row, "annotations")?,
        subject: parsed_option(row, "subject")?,
        tags,
        pushed_at: time(row, "pushed_at")?,
        pushed_by: value(row, "pushed_by")?,
    })
}

/// The repository's row, made if there is none; locked as [`lock_repository`]
/// does.
pub(super) async fn ensure_repository(
    connection: &mut DbConnection,
    name: &RepositoryName,
    now: OffsetDateTime,
) -> Result<i64, StoreError> {
    const ATTEMPTED: &str = "make a repository";
    sqlx::query(
        "INSERT INTO repositories (name, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(name.as_str())
    .bind(millis(now))
    .execute(&mut *connection)
    .await
    .map_err(StoreError::database(ATTEMPTED))?;
    let id = lock_repository(connection, name).await?;
    // Repositories are not removed while somebody writes.
    id.ok_or_else(|| StoreError::corrupt("repository", name))
}

/// The repository's row, `None` if there is none. Until the transaction ends,
/// no other one changes what the repository holds, so that what is checked here
/// holds when it commits.
async fn lock_repository(
    connection: &mut DbConnection,
    name: &RepositoryName,
) -> Result<Option<i64>, StoreError> {
    let query = format!("SELECT id FROM repositories WHERE name = $1{}", dialect::LOCK_ROWS);
    sqlx::query_scalar(sqlx::AssertSqlSafe(query))
        .bind(name.as_str())
        .fetch_optional(connection)
        .await
        .map_err(StoreError::database("look up a repository"))
}

/// Those blobs that the manifest needs and the repository does not hold, in
/// the manifest's order.
async fn missing_blobs(
    connection: &mut DbConnection,
    repository_id: i64,
    manifest: &NewManifest,
) -> Result<Vec<Digest>, StoreError> {
    let required = manifest.references.iter().filter(|r| r.required);
    let required = required.map(|r| serde_json::json!([r.target.digest]));
    let rows = dialect::rows("$2", &[("digest", "TEXT")]);
    let query = format!(
        "SELECT j.digest FROM {rows} j WHERE NOT EXISTS \
         (SELECT 1 FROM repository_blobs b WHERE b.repository_id = $1 AND b.digest = j.digest) \
         GROUP BY j.digest ORDER BY MIN(j.position)"
    );
    let missing: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
        .bind(repository_id)
        .bind(list(required))
        .fetch_all(connection)
        .await
        .map_err(StoreError::database("check the blobs of a manifest"))?;
    missing
        .iter()
        .map(|d| Digest::parse(d).map_err(|error| StoreError::corrupt("blob", error)))
        .collect()
}

async fn insert_references(
    connection: &mut DbConnection,
    repository_id: i64,
    manifest_id: i64,
    manifest: &NewManifest,
) -> Result<(), StoreError> {
    let references = manifest.references.iter().map(|r| {
        serde_json::json!([
            r.kind.as_str(),
            r.position,
            r.target.digest,
            r.target.media_type,
            signed(r.target.size)
        ])
    });
    // One statement however many there are.
    let rows = dialect::rows(
        "$3",
        &[
            ("kind", "TEXT"),
            ("place", "BIGINT"),
            ("digest", "TEXT"),
            ("media_type", "TEXT"),
            ("size", "BIGINT"),
        ],
    );
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "INSERT INTO manifest_references (manifest_id, repository_id, kind, position, digest, media_type, size) \
         SELECT $1, $2, j.kind, j.place, j.digest, j.media_type, j.size FROM {rows} j"
    )))
    .bind(manifest_id)
    .bind(repository_id)
    .bind(list(references))
    .execute(connection)
    .await
    .map_err(StoreError::database("store what a manifest refers to"))?;
    Ok(())
}

/// Whether the blob's bytes cannot go while this transaction lasts: it is not
/// condemned, and the upload that placed them holds it.
async fn blob_is_safe(
    connection: &mut DbConnection,
    digest: &Digest,
    upload: Option<UploadId>,
) -> Result<bool, StoreError> {
    sqlx::query_scalar(
        "SELECT NOT EXISTS (SELECT 1 FROM blobs WHERE digest = $1 AND condemned_at IS NOT NULL) \
         AND ($2 IS NULL OR EXISTS (SELECT 1 FROM uploads WHERE id = $2 AND committing = $1))",
    )
    .bind(digest.to_string())
    .bind(upload.map(|id| id.to_string()))
    .fetch_one(connection)
    .await
    .map_err(StoreError::database("see whether a blob is held"))
}

/// A manifest on its way into a repository.
struct Target<'a> {
    repository: &'a RepositoryName,
    repository_id: i64,
    manifest: &'a NewManifest,
}

impl Target<'_> {
    /// Why it may not be written: a lock of the repository, of the manifest's
    /// type, or of a tag that would move.
    async fn refusal(
        &self,
        connection: &mut DbConnection,
        rules: &PushRules,
    ) -> Result<Option<Refusal>, StoreError> {
        const ATTEMPTED: &str = "look for locks";
        let open: bool = sqlx::query_scalar("SELECT write_enabled FROM repositories WHERE id = $1")
            .bind(self.repository_id)
            .fetch_one(&mut *connection)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        if !open {
            let object = Lockable::Repository(self.repository.clone());
            return Ok(Some(Refusal::Locked { object, flag: Flag::Write }));
        }
        for tag in &self.manifest.tags {
            let row = sqlx::query(
                "SELECT t.write_enabled, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id \
                 WHERE t.repository_id = $1 AND t.name = $2",
            )
            .bind(self.repository_id)
            .bind(tag.as_str())
            .fetch_optional(&mut *connection)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
            let Some(row) = row else { continue };
            // To set it to what it is changes nothing.
            if parsed::<Digest>(&row, "digest")? == self.manifest.digest {
                continue;
            }
            if !value::<bool>(&row, "write_enabled")? {
                let object = Lockable::Tag(self.repository.clone(), tag.clone());
                return Ok(Some(Refusal::Locked { object, flag: Flag::Write }));
            }
            if let Some(pattern) = first_match(&rules.immutable_tags, tag.as_str()) {
                return Ok(Some(Refusal::ImmutableTag {
                    repository: self.repository.clone(),
                    tag: tag.clone(),
                    pattern: pattern.clone(),
                }));
            }
        }
        let retyped: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM live_manifests m JOIN manifest_attributes a ON a.manifest_id = m.id \
             WHERE m.repository_id = $1 AND m.digest = $2 AND m.media_type <> $3 AND NOT a.write_enabled)",
        )
        .bind(self.repository_id)
        .bind(self.manifest.digest.to_string())
        .bind(text(&self.manifest.media_type))
        .fetch_one(connection)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let object = Lockable::Manifest(self.repository.clone(), self.manifest.digest);
        Ok(retyped.then_some(Refusal::Locked { object, flag: Flag::Write }))
    }

    async fn insert(&self, connection: &mut DbConnection) -> Result<i64, StoreError> {
        const ATTEMPTED: &str = "store a manifest";
        let manifest = self.manifest;
        let id = sqlx::query_scalar(
            "INSERT INTO manifests (repository_id, digest, media_type, size, artifact_type, subject, \
             annotations, pushed_at, pushed_by, bytes) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
        )
        .bind(self.repository_id)
        .bind(manifest.digest.to_string())
        .bind(text(&manifest.media_type))
        .bind(signed(manifest.bytes.len() as u64))
        .bind(manifest.artifact_type.as_deref().map(text))
        .bind(manifest.subject.map(|s| s.to_string()))
        .bind(serde_json::json!(manifest.annotations).to_string())
        .bind(millis(manifest.pushed_at))
        .bind(text(&manifest.pushed_by))
        .bind(&manifest.bytes[..])
        .fetch_one(&mut *connection)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        insert_references(&mut *connection, self.repository_id, id, manifest).await?;
        self.repository_is_back(connection).await?;
        Ok(id)
    }

    /// The same bytes once more, perhaps as another type. Says whether they had
    /// been put away.
    async fn push_again(&self, connection: &mut DbConnection, id: i64) -> Result<bool, StoreError> {
        const ATTEMPTED: &str = "store a manifest again";
        sqlx::query("UPDATE manifests SET media_type = $2 WHERE id = $1 AND media_type <> $2")
            .bind(id)
            .bind(text(&self.manifest.media_type))
            .execute(&mut *connection)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        if !forget(&mut *connection, id).await? {
            return Ok(false);
        }
        sqlx::query("UPDATE manifests SET pushed_at = $2, pushed_by = $3 WHERE id = $1")
            .bind(id)
            .bind(millis(self.manifest.pushed_at))
            .bind(text(&self.manifest.pushed_by))
            .execute(&mut *connection)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        self.repository_is_back(connection).await?;
        Ok(true)
    }

    async fn repository_is_back(&self, connection: &mut DbConnection) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE repositories SET deleted_at = NULL WHERE id = $1 AND deleted_at IS NOT NULL",
        )
        .bind(self.repository_id)
        .execute(connection)
        .await
        .map_err(StoreError::database("bring back a repository"))?;
        Ok(())
    }

    /// Whether there is too much now that it is stored.
    async fn over_quota(
        &self,
        connection: &mut DbConnection,
        rules: &PushRules,
    ) -> Result<Option<Refusal>, StoreError> {
        const ATTEMPTED: &str = "compare with the quota";
        let wanted = self.manifest.bytes.len() as u64;
        let over = |bytes: i64, limit: Option<u64>, repository: Option<&RepositoryName>| {
            let bytes = bytes.max(0).unsigned_abs();
            let limit = limit.filter(|limit| bytes > *limit)?;
            let used = bytes.saturating_sub(wanted);
            Some(Refusal::OverQuota { repository: repository.cloned(), used, limit, wanted })
        };
        if rules.repository_bytes_max.is_some() {
            let bytes: i64 = sqlx::query_scalar("SELECT bytes FROM repositories WHERE id = $1")
                .bind(self.repository_id)
                .fetch_one(&mut *connection)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
            let refusal = over(bytes, rules.repository_bytes_max, Some(self.repository));
            if refusal.is_some() {
                return Ok(refusal);
            }
        }
        if rules.registry_bytes_max.is_none() {
            return Ok(None);
        }
        let bytes: i64 = sqlx::query_scalar(
            "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM registry_bytes",
        )
        .fetch_one(connection)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        Ok(over(bytes, rules.registry_bytes_max, None))
    }
}

#[async_trait]
impl RegistryStore for Store {
    async fn create_upload(&self, upload: &StoredUpload) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO uploads (id, repository, algorithm, started_at, started_by) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(upload.id.to_string())
        .bind(upload.repository.as_str())
        .bind(upload.algorithm.as_str())
        .bind(millis(upload.started_at))
        .bind(text(&upload.started_by))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("begin an upload"))?;
        commit(tx).await
    }

    async fn upload(&self, id: UploadId) -> Result<Option<StoredUpload>, StoreError> {
        let row = sqlx::query("SELECT * FROM uploads WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.read())
            .await
            .map_err(StoreError::database("look up an upload"))?;
        row.as_ref().map(upload).transpose()
    }

    async fn uploads(&self) -> Result<Vec<StoredUpload>, StoreError> {
        let rows = sqlx::query("SELECT * FROM uploads ORDER BY started_at, id")
            .fetch_all(self.read())
            .await
            .map_err(StoreError::database("list uploads"))?;
        rows.iter().map(upload).collect()
    }

    async fn remove_upload(&self, id: UploadId) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query("DELETE FROM uploads WHERE id = $1")
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("end an upload"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn link_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
        upload: Option<UploadId>,
        now: OffsetDateTime,
    ) -> Result<LinkBlob, StoreError> {
        const ATTEMPTED: &str = "give a blob to a repository";
        let mut tx = self.write().await?;
        if !blob_is_safe(&mut tx, digest, upload).await? {
            return Ok(LinkBlob::NotHeld);
        }
        let repository_id = ensure_repository(&mut tx, repository, now).await?;
        // Bytes that were verified just now heal a damaged blob.
        sqlx::query(
            "INSERT INTO blobs (digest, size, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (digest) DO UPDATE SET size = excluded.size, damaged_at = NULL \
             WHERE blobs.damaged_at IS NOT NULL AND $4",
        )
        .bind(digest.to_string())
        .bind(signed(size))
        .bind(millis(now))
        .bind(upload.is_some())
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        // A blob that is pushed again is young again.
        sqlx::query(
            "INSERT INTO repository_blobs (repository_id, digest, linked_at) VALUES ($1, $2, $3) \
             ON CONFLICT (repository_id, digest) DO UPDATE SET linked_at = excluded.linked_at",
        )
        .bind(repository_id)
        .bind(digest.to_string())
        .bind(millis(now))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        if let Some(upload) = upload {
            sqlx::query("DELETE FROM uploads WHERE id = $1")
                .bind(upload.to_string())
                .execute(&mut *tx)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
        }
        commit(tx).await?;
        Ok(LinkBlob::Linked)
    }

    async fn linked_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>, StoreError> {
        let row = sqlx::query(
            "SELECT b.size FROM repositories r JOIN repository_blobs rb ON rb.repository_id = r.id \
             JOIN blobs b ON b.digest = rb.digest WHERE r.name = $1 AND rb.digest = $2 AND b.damaged_at IS NULL",
        )
        .bind(repository.as_str())
        .bind(digest.to_string())
        .fetch_optional(self.read())
        .await
        .map_err(StoreError::database("look up a blob"))?;
        row.map(|row| number(&row, "size")).transpose()
    }

    async fn repositories_with_blob(
        &self,
        digest: &Digest,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, StoreError> {
        let rows = sqlx::query(
            "SELECT r.name FROM repository_blobs rb JOIN repositories r ON r.id = rb.repository_id \
             WHERE rb.digest = $1 ORDER BY r.name LIMIT $2",
        )
        .bind(digest.to_string())
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("find a blob"))?;
        rows.iter().map(|row| parsed(row, "name")).collect()
    }

    async fn unlink_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let Some(repository_id) = lock_repository(&mut tx, repository).await? else {
            return Ok(false);
        };
        let done = sqlx::query(
            "DELETE FROM repository_blobs WHERE repository_id = $1 AND digest = $2 \
             AND NOT EXISTS (SELECT 1 FROM manifest_references mr WHERE mr.digest = $2 \
              AND mr.repository_id = $1 AND mr.kind <> 'child')",
        )
        .bind(repository_id)
        .bind(digest.to_string())
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("take a blob from a repository"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn blob_is_used(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM manifest_references mr JOIN repositories r ON r.id = mr.repository_id \
             WHERE r.name = $1 AND mr.digest = $2 AND mr.kind <> 'child')",
        )
        .bind(repository.as_str())
        .bind(digest.to_string())
        .fetch_one(self.read())
        .await
        .map_err(StoreError::database("look for users of a blob"))
    }

    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        manifest: &NewManifest,
        rules: &PushRules,
    ) -> Result<PutManifest, StoreError> {
        const ATTEMPTED: &str = "store a manifest";
        let mut tx = self.write().await?;
        let repository_id = ensure_repository(&mut tx, repository, manifest.pushed_at).await?;
        // Where anything is refused, dropping the transaction takes the
        // repository's row back.
        let target = Target { repository, repository_id, manifest };
        if let Some(refusal) = target.refusal(&mut tx, rules).await? {
            return Ok(PutManifest::Refused(refusal));
        }
        let missing = missing_blobs(&mut tx, repository_id, manifest).await?;
        if !missing.is_empty() {
            return Ok(PutManifest::MissingBlobs(missing));
        }
        let known: Option<i64> =
            sqlx::query_scalar("SELECT id FROM manifests WHERE repository_id = $1 AND digest = $2")
                .bind(repository_id)
                .bind(manifest.digest.to_string())
                .fetch_optional(&mut *tx)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
        let (manifest_id, new) = match known {
            Some(id) => (id, target.push_again(&mut tx, id).await?),
            None => (target.insert(&mut tx).await?, true),
        };
        for tag in &manifest.tags {
            sqlx::query(
                "INSERT INTO tags (repository_id, name, manifest_id, created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, $4) ON CONFLICT (repository_id, name) \
                 DO UPDATE SET manifest_id = excluded.manifest_id, updated_at = excluded.updated_at",
            )
            .bind(repository_id)
            .bind(tag.as_str())
            .bind(manifest_id)
            .bind(millis(manifest.pushed_at))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("set a tag"))?;
        }
        if new && let Some(refusal) = target.over_quota(&mut tx, rules).await? {
            return Ok(PutManifest::Refused(refusal));
        }
        commit(tx).await?;
        Ok(PutManifest::Stored { new })
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<StoredManifest>, StoreError> {
        const READABLE: &str = "r.read_enabled AS repository_readable, \
             COALESCE((SELECT a.read_enabled FROM manifest_attributes a WHERE a.manifest_id = m.id), TRUE) \
              AS manifest_readable";
        let query = match reference {
            Reference::Tag(_) => format!(
                "SELECT m.digest, m.media_type, {READABLE}, t.read_enabled AS tag_readable, m.bytes \
                 FROM repositories r JOIN tags t ON t.repository_id = r.id \
                 JOIN manifests m ON m.id = t.manifest_id WHERE r.name = $1 AND t.name = $2"
            ),
            Reference::Digest(_) => format!(
                "SELECT m.digest, m.media_type, {READABLE}, TRUE AS tag_readable, m.bytes FROM repositories r \
                 JOIN live_manifests m ON m.repository_id = r.id WHERE r.name = $1 AND m.digest = $2"
            ),
        };
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(repository.as_str())
            .bind(reference.to_string())
            .fetch_optional(self.read())
            .await
            .map_err(StoreError::database("look up a manifest"))?;
        let Some(row) = row else { return Ok(None) };
        let digest = parsed(&row, "digest")?;
        let unreadable = if !value::<bool>(&row, "repository_readable")? {
            Some(Lockable::Repository(repository.clone()))
        } else if !value::<bool>(&row, "manifest_readable")? {
            Some(Lockable::Manifest(repository.clone(), digest))
        } else {
            match reference {
                Reference::Tag(tag) if !value::<bool>(&row, "tag_readable")? => {
                    Some(Lockable::Tag(repository.clone(), tag.clone()))
                }
                _ => None,
            }
        };
        Ok(Some(StoredManifest {
            digest,
            media_type: value(&row, "media_type")?,
            bytes: value::<Vec<u8>>(&row, "bytes")?.into(),
            unreadable,
        }))
    }

    async fn manifest_summary(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<ManifestSummary>, StoreError> {
        let sql = format!(
            "SELECT {} FROM repositories r JOIN live_manifests m ON m.repository_id = r.id \
             WHERE r.name = $1 AND m.digest = $2",
            summary_columns()
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(repository.as_str())
            .bind(digest.to_string())
            .fetch_optional(self.read())
            .await
            .map_err(StoreError::database("look up a manifest"))?;
        row.as_ref().map(summary).transpose()
    }

    async fn manifests(
        &self,
        repository: &RepositoryName,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<ManifestSummary>, StoreError> {
        let sql = format!(
            "SELECT {} FROM repositories r JOIN live_manifests m ON m.repository_id = r.id \
             WHERE r.name = $1 AND m.digest > $2 ORDER BY m.digest LIMIT $3",
            summary_columns()
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(repository.as_str())
            .bind(after.map(Digest::to_string).unwrap_or_default())
            .bind(i64::from(limit))
            .fetch_all(self.read())
            .await
            .map_err(StoreError::database("list manifests"))?;
        rows.iter().map(summary).collect()
    }

    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        rules: &DeleteRules,
    ) -> Result<DeleteManifest, StoreError> {
        // A graph has no order in which others, too, take its rows.
        let mut tx = match rules.mode {
            DeleteMode::Single => self.write().await?,
            DeleteMode::Graph | DeleteMode::PutAway => self.write_alone().await?,
        };
        let Some(repository_id) = lock_repository(&mut tx, repository).await? else {
            return Ok(DeleteManifest::Unknown);
        };
        let Some(root) = find(&mut tx, repository_id, digest).await? else {
            return Ok(DeleteManifest::Unknown);
        };
        let locks = Locks { repository, repository_id, immutable: &rules.immutable_tags };
        if let Some(refusal) = locks.of_repository(&mut tx).await? {
            return Ok(DeleteManifest::Refused(refusal));
        }
        if let Some(refusal) = locks.of_manifest(&mut tx, &root).await? {
            return Ok(DeleteManifest::Refused(refusal));
        }
        let going = match rules.mode {
            DeleteMode::Single => vec![root],
            DeleteMode::Graph | DeleteMode::PutAway => graph(&mut tx, &locks, root).await?,
        };
        let deletion = uuid::Uuid::new_v4().to_string();
        let gone = take_away(&mut tx, going, rules, &deletion).await?;
        commit(tx).await?;
        Ok(DeleteManifest::Deleted(gone))
    }

    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        immutable_tags: &[Pattern],
    ) -> Result<DeleteTag, StoreError> {
        const ATTEMPTED: &str = "delete a tag";
        let mut tx = self.write().await?;
        let Some(repository_id) = lock_repository(&mut tx, repository).await? else {
            return Ok(DeleteTag::Unknown);
        };
        let row = sqlx::query(
            "SELECT t.name, t.write_enabled, t.delete_enabled, m.digest FROM tags t \
             JOIN manifests m ON m.id = t.manifest_id WHERE t.repository_id = $1 AND t.name = $2",
        )
        .bind(repository_id)
        .bind(tag.as_str())
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let Some(row) = row else { return Ok(DeleteTag::Unknown) };
        let locks = Locks { repository, repository_id, immutable: immutable_tags };
        if let Some(refusal) =
            [locks.of_repository(&mut tx).await?, locks.of_tag(&row)?].into_iter().flatten().next()
        {
            return Ok(DeleteTag::Refused(refusal));
        }
        sqlx::query("DELETE FROM tags WHERE repository_id = $1 AND name = $2")
            .bind(repository_id)
            .bind(tag.as_str())
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(DeleteTag::Deleted(parsed(&row, "digest")?))
    }

    async fn has_repository(&self, repository: &RepositoryName) -> Result<bool, StoreError> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM repositories WHERE name = $1 AND deleted_at IS NULL)",
        )
        .bind(repository.as_str())
        .fetch_one(self.read())
        .await
        .map_err(StoreError::database("look up a repository"))
    }

    async fn repositories(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, StoreError> {
        let sql = names(
            "SELECT name FROM repositories WHERE name > $1 AND list_enabled AND deleted_at IS NULL \
             ORDER BY name LIMIT $2",
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(text(after.unwrap_or_default()))
            .bind(i64::from(limit))
            .fetch_one(self.read())
            .await
            .map_err(StoreError::database("list repositories"))?;
        json(&row, "names")
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Tag>, StoreError> {
        let sql = names(
            "SELECT t.name FROM repositories r JOIN tags t ON t.repository_id = r.id \
             WHERE r.name = $1 AND t.name > $2 AND t.list_enabled ORDER BY t.name LIMIT $3",
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(repository.as_str())
            .bind(text(after.unwrap_or_default()))
            .bind(i64::from(limit))
            .fetch_one(self.read())
            .await
            .map_err(StoreError::database("list tags"))?;
        json(&row, "names")
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<ManifestSummary>, StoreError> {
        let sql = format!(
            "SELECT {} FROM live_manifests m WHERE m.id IN ( \
               SELECT s.id FROM repositories r JOIN manifests s ON s.repository_id = r.id \
               WHERE r.name = $1 AND s.subject = $2 \
               UNION \
               SELECT f.id FROM repositories r JOIN tags t ON t.repository_id = r.id \
               JOIN manifest_references mr ON mr.manifest_id = t.manifest_id \
               JOIN manifests f ON f.repository_id = r.id AND f.digest = mr.digest \
               WHERE r.name = $1 AND t.name = $6 AND mr.kind = 'child') \
             AND m.digest > $3 AND ($4 IS NULL OR m.artifact_type = $4) \
             ORDER BY m.digest LIMIT $5",
            summary_columns()
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(repository.as_str())
            .bind(subject.to_string())
            .bind(after.map(Digest::to_string).unwrap_or_default())
            .bind(artifact_type.map(text))
            .bind(i64::from(limit))
            .bind(Tag::of_referrers(subject).as_str())
            .fetch_all(self.read())
            .await
            .map_err(StoreError::database("list referrers"))?;
        rows.iter().map(summary).collect()
    }
}
