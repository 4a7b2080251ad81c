//! `store::CollectStore`.

use async_trait::async_trait;
use oci::{Digest, RepositoryName};
use store::collect::{
    CollectFigures, Collection, Freed, HoldBlob, Link, Purpose, RunId, SizedBlob, Standing,
    StandingBlob, StandingLink, StandingManifest, StandingReference, StandingUpload, TakeSeat,
    Turn, Walked,
};
use store::{CollectStore, ReferenceKind, StoreError, UploadId};
use time::OffsetDateTime;

use super::registry::ensure_repository;
use super::row::{json, millis, number, parsed, parsed_option, signed, time, time_option, value};
use super::{DbRow, Store, Tx, commit, dialect};

/// No manifest of the repository of link `rb` needs its blob.
const UNNEEDED: &str = "NOT EXISTS (SELECT 1 FROM manifest_references mr \
     WHERE mr.digest = rb.digest AND mr.repository_id = rb.repository_id AND mr.kind <> 'child')";
/// Nothing is in repository `r`, and nothing is under way there.
const EMPTY: &str = "NOT EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id) \
     AND NOT EXISTS (SELECT 1 FROM repository_blobs b WHERE b.repository_id = r.id) \
     AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.repository = r.name)";

/// Renews the run's seat; false if it has lost it.
async fn renew(tx: &mut Tx<'static>, turn: Turn) -> Result<bool, StoreError> {
    let done =
        sqlx::query("UPDATE collections SET alive_until = $2 WHERE id = $1 AND ended_at IS NULL")
            .bind(turn.run.to_string())
            .bind(millis(turn.until))
            .execute(&mut **tx)
            .await
            .map_err(StoreError::database("renew a collector's seat"))?;
    Ok(done.rows_affected() == 1)
}

/// A parameter for [`digest_rows`].
fn digest_list<'d>(digests: impl IntoIterator<Item = &'d Digest>) -> String {
    serde_json::Value::from_iter(digests.into_iter().map(|d| serde_json::json!([d]))).to_string()
}

/// The digests that the first parameter lists.
fn digest_rows() -> String {
    format!("(SELECT j.digest FROM {} j)", dialect::rows("$1", &[("digest", "TEXT")]))
}

fn link(row: &DbRow) -> Result<Link, StoreError> {
    Ok(Link { repository: value(row, "repository_id")?, digest: parsed(row, "digest")? })
}

fn sized(row: &DbRow) -> Result<SizedBlob, StoreError> {
    Ok(SizedBlob { digest: parsed(row, "digest")?, size: number(row, "size")? })
}

fn run_id(row: &DbRow, column: &str) -> Result<RunId, StoreError> {
    let text: String = value(row, column)?;
    RunId::parse(&text).ok_or_else(|| StoreError::corrupt("run", &text))
}

fn purpose(row: &DbRow) -> Result<Purpose, StoreError> {
    let text: String = value(row, "purpose")?;
    Purpose::parse(&text).ok_or_else(|| StoreError::corrupt("purpose", &text))
}

fn collection(row: &DbRow) -> Result<Collection, StoreError> {
    let has_figures = value::<Option<String>>(row, "figures")?.is_some();
    Ok(Collection {
        run: run_id(row, "id")?,
        purpose: purpose(row)?,
        started_at: time(row, "started_at")?,
        ended_at: time_option(row, "ended_at")?,
        figures: if has_figures { Some(json(row, "figures")?) } else { None },
        error: value(row, "error")?,
    })
}

/// What [`standing_manifest`] reads of manifest `m` in repository `r`.
fn standing_columns() -> String {
    let tags = dialect::json_array("t.name");
    let indexes = dialect::json_array("p.digest");
    format!(
        "r.name AS repository, m.digest AS manifest, m.subject, \
         (SELECT {tags} FROM tags t WHERE t.manifest_id = m.id) AS tags, \
         (SELECT {indexes} FROM manifest_references c JOIN manifests p ON p.id = c.manifest_id \
          WHERE c.digest = m.digest AND c.repository_id = m.repository_id AND c.kind = 'child') AS indexes"
    )
}

fn standing_manifest(row: &DbRow) -> Result<StandingManifest, StoreError> {
    Ok(StandingManifest {
        repository: parsed(row, "repository")?,
        digest: parsed(row, "manifest")?,
        tags: json(row, "tags")?,
        indexes: json(row, "indexes")?,
        subject: parsed_option(row, "subject")?,
    })
}

#[async_trait]
impl CollectStore for Store {
    async fn hold_blob(&self, upload: UploadId, digest: &Digest) -> Result<HoldBlob, StoreError> {
        const ATTEMPTED: &str = "hold a blob for an upload";
        let mut tx = self.write().await?;
        let condemned: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM blobs WHERE digest = $1 AND condemned_at IS NOT NULL)",
        )
        .bind(digest.to_string())
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        if condemned {
            return Ok(HoldBlob::Condemned);
        }
        let done = sqlx::query("UPDATE uploads SET committing = $2 WHERE id = $1")
            .bind(upload.to_string())
            .bind(digest.to_string())
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(if done.rows_affected() == 1 { HoldBlob::Held } else { HoldBlob::UploadEnded })
    }

    async fn mount_blob(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        digest: &Digest,
        now: OffsetDateTime,
    ) -> Result<Option<u64>, StoreError> {
        const ATTEMPTED: &str = "mount a blob";
        let mut tx = self.write().await?;
        let row = sqlx::query(
            "SELECT b.size FROM repositories r JOIN repository_blobs rb ON rb.repository_id = r.id \
             JOIN blobs b ON b.digest = rb.digest \
             WHERE r.name = $1 AND rb.digest = $2 AND b.damaged_at IS NULL",
        )
        .bind(from.as_str())
        .bind(digest.to_string())
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let Some(row) = row else { return Ok(None) };
        let size = number(&row, "size")?;
        let repository_id = ensure_repository(&mut tx, to, now).await?;
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
        commit(tx).await?;
        Ok(Some(size))
    }

    async fn take_seat(
        &self,
        turn: Turn,
        purpose: Purpose,
        dead_before: Option<OffsetDateTime>,
    ) -> Result<TakeSeat, StoreError> {
        const ATTEMPTED: &str = "take the collector's seat";
        let mut tx = self.write_alone().await?;
        let row =
            sqlx::query("SELECT id, purpose, alive_until FROM collections WHERE ended_at IS NULL")
                .fetch_optional(&mut *tx)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
        if let Some(row) = row {
            let alive_until = time(&row, "alive_until")?;
            if dead_before.is_some_and(|dead| alive_until >= dead) {
                let (run, purpose) = (run_id(&row, "id")?, self::purpose(&row)?);
                return Ok(TakeSeat::Busy { run, purpose, alive_until });
            }
            sqlx::query("UPDATE collections SET ended_at = $1, error = $2 WHERE ended_at IS NULL")
                .bind(millis(turn.now))
                .bind("was not heard of any more")
                .execute(&mut *tx)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
        }
        sqlx::query("INSERT INTO collections (id, purpose, started_at, alive_until) VALUES ($1, $2, $3, $4)")
            .bind(turn.run.to_string())
            .bind(purpose.as_str())
            .bind(millis(turn.now))
            .bind(millis(turn.until))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(TakeSeat::Taken)
    }

    async fn keep_seat(&self, turn: Turn) -> Result<Option<()>, StoreError> {
        let mut tx = self.write_alone().await?;
        if !renew(&mut tx, turn).await? {
            return Ok(None);
        }
        commit(tx).await?;
        Ok(Some(()))
    }

    async fn leave_seat(
        &self,
        turn: Turn,
        figures: &CollectFigures,
        error: Option<&str>,
    ) -> Result<Option<()>, StoreError> {
        let mut tx = self.write_alone().await?;
        let figures =
            serde_json::to_string(figures).map_err(StoreError::database("write figures"))?;
        let done = sqlx::query(
            "UPDATE collections SET ended_at = $2, figures = $3, error = $4 WHERE id = $1 AND ended_at IS NULL",
        )
        .bind(turn.run.to_string())
        .bind(millis(turn.now))
        .bind(figures)
        .bind(error)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("leave the collector's seat"))?;
        commit(tx).await?;
        Ok((done.rows_affected() == 1).then_some(()))
    }

    async fn collections(&self, limit: u32) -> Result<Vec<Collection>, StoreError> {
        let rows = sqlx::query("SELECT * FROM collections ORDER BY started_at DESC, id LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(self.read())
            .await
            .map_err(StoreError::database("list collections"))?;
        rows.iter().map(collection).collect()
    }

    async fn forget_collections(&self, before: OffsetDateTime) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query("DELETE FROM collections WHERE ended_at < $1")
            .bind(millis(before))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("forget old collections"))?;
        commit(tx).await?;
        Ok(done.rows_affected())
    }

    async fn unneeded_links(
        &self,
        cutoff: OffsetDateTime,
        after: Option<&Link>,
        limit: u32,
    ) -> Result<Walked<Link, Link>, StoreError> {
        const ATTEMPTED: &str = "look for links that nobody needs";
        let first = after.map_or(i64::MIN, |l| l.repository);
        let first_digest = after.map(|l| l.digest.to_string()).unwrap_or_default();
        let end = sqlx::query(
            "SELECT repository_id, digest FROM repository_blobs WHERE (repository_id, digest) > ($1, $2) \
             ORDER BY repository_id, digest LIMIT 1 OFFSET $3",
        )
        .bind(first)
        .bind(&first_digest)
        .bind(i64::from(limit.saturating_sub(1)))
        .fetch_optional(self.read())
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let next = end.as_ref().map(link).transpose()?;
        let (last, last_digest) = match &next {
            Some(link) => (link.repository, link.digest.to_string()),
            None => (i64::MAX, String::new()),
        };
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT rb.repository_id, rb.digest FROM repository_blobs rb \
             WHERE (rb.repository_id, rb.digest) > ($1, $2) AND (rb.repository_id, rb.digest) <= ($3, $4) \
             AND rb.linked_at <= $5 AND {UNNEEDED}"
        )))
        .bind(first)
        .bind(&first_digest)
        .bind(last)
        .bind(last_digest)
        .bind(millis(cutoff))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        Ok(Walked { found: rows.iter().map(link).collect::<Result<_, _>>()?, next })
    }

    async fn remove_links(
        &self,
        turn: Turn,
        cutoff: OffsetDateTime,
        links: &[Link],
    ) -> Result<Option<u64>, StoreError> {
        const ATTEMPTED: &str = "remove links that nobody needs";
        let mut tx = self.write_alone().await?;
        if !renew(&mut tx, turn).await? {
            return Ok(None);
        }
        let list = serde_json::Value::from_iter(
            links.iter().map(|l| serde_json::json!([l.repository, l.digest])),
        );
        let rows = dialect::rows("$1", &[("repository_id", "BIGINT"), ("digest", "TEXT")]);
        let done = sqlx::query(sqlx::AssertSqlSafe(format!(
            "DELETE FROM repository_blobs AS rb \
             WHERE (rb.repository_id, rb.digest) IN (SELECT j.repository_id, j.digest FROM {rows} j) \
             AND rb.linked_at <= $2 AND {UNNEEDED}"
        )))
        .bind(list.to_string())
        .bind(millis(cutoff))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(Some(done.rows_affected()))
    }

    async fn unheld_blobs(
        &self,
        as_if: Option<OffsetDateTime>,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Walked<SizedBlob, Digest>, StoreError> {
        const ATTEMPTED: &str = "look for blobs that nobody holds";
        let first = after.map(Digest::to_string).unwrap_or_default();
        let end = sqlx::query(
            "SELECT digest FROM blobs WHERE digest > $1 ORDER BY digest LIMIT 1 OFFSET $2",
        )
        .bind(&first)
        .bind(i64::from(limit.saturating_sub(1)))
        .fetch_optional(self.read())
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let next: Option<Digest> = end.map(|row| parsed(&row, "digest")).transpose()?;
        // A link that stays keeps the blob; without `as_if` every link stays.
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT b.digest, b.size FROM blobs b WHERE b.digest > $1 AND ($2 IS NULL OR b.digest <= $2) \
             AND b.condemned_at IS NULL AND NOT EXISTS (SELECT 1 FROM repository_blobs rb \
              WHERE rb.digest = b.digest AND NOT (rb.linked_at <= $3 AND {UNNEEDED}))"
        )))
        .bind(&first)
        .bind(next.map(|d| d.to_string()))
        .bind(as_if.map_or(i64::MIN, millis))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        Ok(Walked { found: rows.iter().map(sized).collect::<Result<_, _>>()?, next })
    }

    async fn condemn_blobs(
        &self,
        turn: Turn,
        digests: &[Digest],
    ) -> Result<Option<Vec<SizedBlob>>, StoreError> {
        let mut tx = self.write_alone().await?;
        if !renew(&mut tx, turn).await? {
            return Ok(None);
        }
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE blobs SET condemned_at = $2 WHERE digest IN {} AND condemned_at IS NULL \
             AND NOT EXISTS (SELECT 1 FROM repository_blobs rb WHERE rb.digest = blobs.digest) \
             AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.committing = blobs.digest) \
             RETURNING digest, size",
            digest_rows()
        )))
        .bind(digest_list(digests))
        .bind(millis(turn.now))
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::database("condemn blobs"))?;
        commit(tx).await?;
        rows.iter().map(sized).collect::<Result<_, _>>().map(Some)
    }

    async fn unknown_blobs(&self, digests: &[Digest]) -> Result<Vec<Digest>, StoreError> {
        let rows = dialect::rows("$1", &[("digest", "TEXT")]);
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT j.digest FROM {rows} j \
             WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = j.digest) \
             AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.committing = j.digest)"
        )))
        .bind(digest_list(digests))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("look for the rows of blobs"))?;
        rows.iter().map(|row| parsed(row, "digest")).collect()
    }

    async fn condemn_strays(
        &self,
        turn: Turn,
        strays: &[SizedBlob],
    ) -> Result<Option<Vec<SizedBlob>>, StoreError> {
        let mut tx = self.write_alone().await?;
        if !renew(&mut tx, turn).await? {
            return Ok(None);
        }
        let list = serde_json::Value::from_iter(
            strays.iter().map(|s| serde_json::json!([s.digest, signed(s.size)])),
        );
        let rows = dialect::rows("$1", &[("digest", "TEXT"), ("size", "BIGINT")]);
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "INSERT INTO blobs (digest, size, created_at, condemned_at) \
             SELECT j.digest, j.size, $2, $2 FROM {rows} j \
             WHERE NOT EXISTS (SELECT 1 FROM uploads u WHERE u.committing = j.digest) \
             ON CONFLICT DO NOTHING RETURNING digest, size"
        )))
        .bind(list.to_string())
        .bind(millis(turn.now))
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::database("condemn stray blobs"))?;
        commit(tx).await?;
        rows.iter().map(sized).collect::<Result<_, _>>().map(Some)
    }

    async fn condemned_blobs(
        &self,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<SizedBlob>, StoreError> {
        let rows = sqlx::query(
            "SELECT digest, size FROM blobs WHERE condemned_at IS NOT NULL AND digest > $1 ORDER BY digest LIMIT $2",
        )
        .bind(after.map(Digest::to_string).unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("list condemned blobs"))?;
        rows.iter().map(sized).collect()
    }

    async fn forget_condemned(
        &self,
        turn: Turn,
        digests: &[Digest],
    ) -> Result<Option<u64>, StoreError> {
        const ATTEMPTED: &str = "forget condemned blobs";
        let mut tx = self.write_alone().await?;
        if !renew(&mut tx, turn).await? {
            return Ok(None);
        }
        let list = digest_list(digests);
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "INSERT INTO freed_blobs (digest, run, size, freed_at) SELECT b.digest, $2, b.size, $3 FROM blobs b \
             WHERE b.digest IN {} AND b.condemned_at IS NOT NULL ON CONFLICT (digest, run) \
             DO UPDATE SET freed_at = excluded.freed_at",
            digest_rows()
        )))
        .bind(&list)
        .bind(turn.run.to_string())
        .bind(millis(turn.now))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let done = sqlx::query(sqlx::AssertSqlSafe(format!(
            "DELETE FROM blobs WHERE digest IN {} AND condemned_at IS NOT NULL",
            digest_rows()
        )))
        .bind(&list)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(Some(done.rows_affected()))
    }

    async fn remove_empty_repositories(
        &self,
        turn: Turn,
        cutoff: OffsetDateTime,
        limit: u32,
    ) -> Result<Option<u64>, StoreError> {
        const ATTEMPTED: &str = "remove empty repositories";
        // Found without keeping anybody from writing, then looked at again.
        let ids: Vec<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "SELECT r.id FROM repositories r WHERE r.created_at <= $1 AND {EMPTY} LIMIT $2"
        )))
        .bind(millis(cutoff))
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let mut tx = self.write_alone().await?;
        if !renew(&mut tx, turn).await? {
            return Ok(None);
        }
        let mut removed = 0;
        if !ids.is_empty() {
            let list = serde_json::Value::from_iter(ids.iter().map(|id| serde_json::json!([id])));
            let rows = dialect::rows("$1", &[("id", "BIGINT")]);
            removed = sqlx::query(sqlx::AssertSqlSafe(format!(
                "DELETE FROM repositories AS r WHERE r.id IN (SELECT j.id FROM {rows} j) AND {EMPTY}"
            )))
            .bind(list.to_string())
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?
            .rows_affected();
        }
        commit(tx).await?;
        Ok(Some(removed))
    }

    async fn empty_repositories(&self, cutoff: OffsetDateTime) -> Result<u64, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT COUNT(*) AS n FROM repositories r WHERE r.created_at <= $1 AND {EMPTY}"
        )))
        .bind(millis(cutoff))
        .fetch_one(self.read())
        .await
        .map_err(StoreError::database("count empty repositories"))?;
        number(&row, "n")
    }

    async fn standing(&self, digest: &Digest, limit: u32) -> Result<Standing, StoreError> {
        const ATTEMPTED: &str = "look for what keeps a blob";
        let (digest, limit) = (digest.to_string(), i64::from(limit));
        let all = async |query: String| {
            sqlx::query(sqlx::AssertSqlSafe(query))
                .bind(&digest)
                .bind(limit)
                .fetch_all(self.read())
                .await
                .map_err(StoreError::database(ATTEMPTED))
        };
        let blob = all("SELECT * FROM blobs WHERE digest = $1 LIMIT $2".into()).await?;
        let links = all(format!(
            "SELECT r.name AS repository, rb.linked_at, NOT {UNNEEDED} AS needed FROM repository_blobs rb \
             JOIN repositories r ON r.id = rb.repository_id WHERE rb.digest = $1 ORDER BY r.name LIMIT $2"
        ))
        .await?;
        let columns = standing_columns();
        let references = all(format!(
            "SELECT mr.kind, {columns} FROM manifest_references mr JOIN manifests m ON m.id = mr.manifest_id \
             JOIN repositories r ON r.id = m.repository_id WHERE mr.digest = $1 ORDER BY r.name, m.digest LIMIT $2"
        ))
        .await?;
        let manifests = all(format!(
            "SELECT {columns} FROM manifests m JOIN repositories r ON r.id = m.repository_id \
             WHERE m.digest = $1 ORDER BY r.name LIMIT $2"
        ))
        .await?;
        let uploads = all(
            "SELECT id, repository, started_at FROM uploads WHERE committing = $1 ORDER BY started_at LIMIT $2".into(),
        )
        .await?;
        let freed = all(
            "SELECT run, freed_at, size FROM freed_blobs WHERE digest = $1 ORDER BY freed_at DESC LIMIT $2".into(),
        )
        .await?;
        Ok(Standing {
            blob: blob.first().map(standing_blob).transpose()?,
            links: links.iter().map(standing_link).collect::<Result<_, _>>()?,
            references: references.iter().map(standing_reference).collect::<Result<_, _>>()?,
            manifests: manifests.iter().map(standing_manifest).collect::<Result<_, _>>()?,
            uploads: uploads.iter().map(standing_upload).collect::<Result<_, _>>()?,
            freed: freed.iter().map(freed_blob).collect::<Result<_, _>>()?,
        })
    }
}

fn standing_blob(row: &DbRow) -> Result<StandingBlob, StoreError> {
    Ok(StandingBlob {
        size: number(row, "size")?,
        created_at: time(row, "created_at")?,
        condemned_at: time_option(row, "condemned_at")?,
        damaged_at: time_option(row, "damaged_at")?,
    })
}

fn standing_link(row: &DbRow) -> Result<StandingLink, StoreError> {
    Ok(StandingLink {
        repository: parsed(row, "repository")?,
        linked_at: time(row, "linked_at")?,
        needed: value(row, "needed")?,
    })
}

fn standing_reference(row: &DbRow) -> Result<StandingReference, StoreError> {
    let kind: String = value(row, "kind")?;
    Ok(StandingReference {
        kind: ReferenceKind::parse(&kind).ok_or_else(|| StoreError::corrupt("reference", &kind))?,
        manifest: standing_manifest(row)?,
    })
}

fn standing_upload(row: &DbRow) -> Result<StandingUpload, StoreError> {
    let id: String = value(row, "id")?;
    Ok(StandingUpload {
        id: UploadId::parse(&id).ok_or_else(|| StoreError::corrupt("upload", &id))?,
        repository: parsed(row, "repository")?,
        started_at: time(row, "started_at")?,
    })
}

fn freed_blob(row: &DbRow) -> Result<Freed, StoreError> {
    Ok(Freed { run: run_id(row, "run")?, at: time(row, "freed_at")?, size: number(row, "size")? })
}
