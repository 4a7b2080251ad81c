//! `store::policy::TrashStore`.

use async_trait::async_trait;
use oci::{Digest, RepositoryName, Tag};
use store::policy::{
    DeleteMode, DeleteRepository, DeleteRules, DeletedManifestEntry, DeletedTagEntry, Restore,
    TrashStore, first_match,
};
use store::{DeletedEntry, Pattern, StoreError};
use time::OffsetDateTime;

use super::super::row::{json, millis, number, parsed, time, value};
use super::super::{DbConnection, DbRow, Store, commit, dialect};
use super::deletion::{Locks, Node, take_away};

/// Manifests that one restore brings back at most.
const RESTORED_MANIFESTS_MAX: usize = 10_000;

async fn nodes(connection: &mut DbConnection, sql: &str, id: i64) -> Result<Vec<Node>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
        .bind(id)
        .fetch_all(connection)
        .await
        .map_err(StoreError::database("list manifests"))?;
    let node = |row: &DbRow| {
        Ok(Node {
            id: value(row, "id")?,
            digest: parsed(row, "digest")?,
            media_type: value(row, "media_type")?,
        })
    };
    rows.iter().map(node).collect()
}

/// What comes back with a manifest: what it lists, and what was about it and
/// went in the same deletion; of those the same.
async fn what_returns(connection: &mut DbConnection, root: Node) -> Result<Vec<Node>, StoreError> {
    const NEXT: &str = "SELECT n.id, n.digest, n.media_type FROM manifests m \
         JOIN deleted_manifests d ON d.manifest_id = m.id \
         JOIN manifests n ON n.repository_id = m.repository_id \
         JOIN deleted_manifests e ON e.manifest_id = n.id WHERE m.id = $1 AND (\
          EXISTS (SELECT 1 FROM manifest_references c \
           WHERE c.manifest_id = m.id AND c.kind = 'child' AND c.digest = n.digest) \
          OR (e.deletion = d.deletion AND (n.subject = m.digest \
           OR EXISTS (SELECT 1 FROM deleted_tags t WHERE t.manifest_id = n.id AND t.name IN ( \
            replace(m.digest, ':', '-'), replace(m.digest, ':', '-') || '.sig', \
            replace(m.digest, ':', '-') || '.att', replace(m.digest, ':', '-') || '.sbom'))))) \
         ORDER BY n.digest";
    let mut returning = vec![root];
    let mut at = 0;
    while at < returning.len() && returning.len() < RESTORED_MANIFESTS_MAX {
        for next in nodes(connection, NEXT, returning[at].id).await? {
            if returning.iter().all(|known| known.id != next.id) {
                returning.push(next);
            }
        }
        at += 1;
    }
    Ok(returning)
}

#[async_trait]
impl TrashStore for Store {
    async fn delete_repository(
        &self,
        repository: &RepositoryName,
        rules: &DeleteRules,
    ) -> Result<DeleteRepository, StoreError> {
        const ATTEMPTED: &str = "delete a repository";
        let mut tx = self.write_alone().await?;
        let id: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM repositories WHERE name = $1 AND deleted_at IS NULL",
        )
        .bind(repository.as_str())
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let Some(id) = id else { return Ok(DeleteRepository::Unknown) };
        let locks = Locks { repository, repository_id: id, immutable: &rules.immutable_tags };
        if let Some(refusal) = locks.of_everything(&mut tx).await? {
            return Ok(DeleteRepository::Refused(refusal));
        }
        const ALL: &str = "SELECT id, digest, media_type FROM live_manifests WHERE repository_id = $1 ORDER BY digest";
        let all = nodes(&mut tx, ALL, id).await?;
        let gone = take_away(&mut tx, all, rules, &uuid::Uuid::new_v4().to_string()).await?;
        let last = if rules.mode == DeleteMode::PutAway {
            "UPDATE repositories SET deleted_at = $2 WHERE id = $1"
        } else {
            "DELETE FROM repositories WHERE id = $1 AND $2 IS NOT NULL"
        };
        sqlx::query(last)
            .bind(id)
            .bind(millis(rules.at))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(DeleteRepository::Deleted(gone))
    }

    async fn deleted_repositories(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, StoreError> {
        let rows = sqlx::query(
            "SELECT r.name FROM repositories r WHERE r.name > $1 AND r.id IN \
             (SELECT m.repository_id FROM deleted_manifests d JOIN manifests m ON m.id = d.manifest_id) \
             ORDER BY r.name LIMIT $2",
        )
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("list repositories with deleted manifests"))?;
        rows.iter().map(|row| parsed(row, "name")).collect()
    }

    async fn deleted_manifests(
        &self,
        repository: &RepositoryName,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<DeletedManifestEntry>, StoreError> {
        let tags = dialect::json_array("t.name");
        let sql = format!(
            "SELECT m.digest, m.media_type, m.size, m.pushed_at, d.deleted_at, d.deleted_by, d.deletion, \
             (SELECT {tags} FROM deleted_tags t WHERE t.manifest_id = m.id) AS tags \
             FROM repositories r JOIN manifests m ON m.repository_id = r.id \
             JOIN deleted_manifests d ON d.manifest_id = m.id \
             WHERE r.name = $1 AND m.digest > $2 ORDER BY m.digest LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(repository.as_str())
            .bind(after.map(Digest::to_string).unwrap_or_default())
            .bind(i64::from(limit))
            .fetch_all(self.read())
            .await
            .map_err(StoreError::database("list deleted manifests"))?;
        let entry = |row: &DbRow| {
            let mut tags: Vec<Tag> = json(row, "tags")?;
            tags.sort_unstable();
            Ok(DeletedManifestEntry {
                digest: parsed(row, "digest")?,
                media_type: value(row, "media_type")?,
                size: number(row, "size")?,
                tags,
                pushed_at: time(row, "pushed_at")?,
                deleted_at: time(row, "deleted_at")?,
                deleted_by: value(row, "deleted_by")?,
                deletion: value(row, "deletion")?,
            })
        };
        rows.iter().map(entry).collect()
    }

    async fn deleted_tags(
        &self,
        repository: &RepositoryName,
        after: Option<(&str, &str)>,
        limit: u32,
    ) -> Result<Vec<DeletedTagEntry>, StoreError> {
        let (name, digest) = after.unwrap_or_default();
        let rows = sqlx::query(
            "SELECT t.name, m.digest, d.deleted_at FROM repositories r JOIN manifests m ON m.repository_id = r.id \
             JOIN deleted_manifests d ON d.manifest_id = m.id JOIN deleted_tags t ON t.manifest_id = m.id \
             WHERE r.name = $1 AND (t.name, m.digest) > ($2, $3) ORDER BY t.name, m.digest LIMIT $4",
        )
        .bind(repository.as_str())
        .bind(name)
        .bind(digest)
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("list deleted tags"))?;
        let entry = |row: &DbRow| {
            Ok(DeletedTagEntry {
                tag: parsed(row, "name")?,
                digest: parsed(row, "digest")?,
                deleted_at: time(row, "deleted_at")?,
            })
        };
        rows.iter().map(entry).collect()
    }

    async fn restore_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        force: bool,
        immutable_tags: &[Pattern],
        at: OffsetDateTime,
    ) -> Result<Restore, StoreError> {
        const ATTEMPTED: &str = "restore a manifest";
        let mut tx = self.write_alone().await?;
        let row = sqlx::query(
            "SELECT m.id, m.repository_id, m.media_type FROM repositories r \
             JOIN manifests m ON m.repository_id = r.id JOIN deleted_manifests d ON d.manifest_id = m.id \
             WHERE r.name = $1 AND m.digest = $2",
        )
        .bind(repository.as_str())
        .bind(digest.to_string())
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let Some(row) = row else { return Ok(Restore::Unknown) };
        let repository_id: i64 = value(&row, "repository_id")?;
        let root = Node {
            id: value(&row, "id")?,
            digest: *digest,
            media_type: value(&row, "media_type")?,
        };
        let returning = what_returns(&mut tx, root).await?;

        let mut taken = Vec::new();
        let mut restored = Vec::with_capacity(returning.len());
        for node in returning {
            let rows = sqlx::query(
                "SELECT t.name, (n.name IS NOT NULL) AS taken, COALESCE(n.write_enabled, TRUE) AS movable \
                 FROM deleted_tags t LEFT JOIN tags n ON n.repository_id = $2 AND n.name = t.name \
                 WHERE t.manifest_id = $1 ORDER BY t.name",
            )
            .bind(node.id)
            .bind(repository_id)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
            let mut tags = Vec::with_capacity(rows.len());
            for row in &rows {
                let tag: Tag = parsed(row, "name")?;
                let (is_taken, movable): (bool, bool) =
                    (value(row, "taken")?, value(row, "movable")?);
                let fixed = !movable || first_match(immutable_tags, tag.as_str()).is_some();
                if is_taken && (!force || fixed) {
                    taken.push(tag.clone());
                }
                tags.push(tag);
            }
            sqlx::query(
                "INSERT INTO tags (repository_id, name, manifest_id, created_at, updated_at) \
                 SELECT $2, name, manifest_id, created_at, $3 FROM deleted_tags WHERE manifest_id = $1 \
                 ON CONFLICT (repository_id, name) \
                 DO UPDATE SET manifest_id = excluded.manifest_id, updated_at = excluded.updated_at",
            )
            .bind(node.id)
            .bind(repository_id)
            .bind(millis(at))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
            forget(&mut tx, node.id).await?;
            restored.push(DeletedEntry { digest: node.digest, media_type: node.media_type, tags });
        }
        if !taken.is_empty() {
            // Dropping the transaction takes everything back.
            return Ok(Restore::TagsTaken(taken));
        }
        sqlx::query("UPDATE repositories SET deleted_at = NULL WHERE id = $1")
            .bind(repository_id)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(Restore::Restored(restored))
    }

    async fn purge_deleted(&self, before: OffsetDateTime, limit: u32) -> Result<u64, StoreError> {
        const ATTEMPTED: &str = "remove what was put away";
        let mut tx = self.write_alone().await?;
        let done = sqlx::query(
            "DELETE FROM manifests WHERE id IN (SELECT manifest_id FROM deleted_manifests \
             WHERE deleted_at < $1 ORDER BY deleted_at LIMIT $2)",
        )
        .bind(millis(before))
        .bind(i64::from(limit))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        // Of a repository that was put away, nothing is left to bring back.
        sqlx::query(
            "DELETE FROM repositories WHERE deleted_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = repositories.id)",
        )
        .bind(millis(before))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(done.rows_affected())
    }
}

/// The manifest is not put away any more, and what it was called then is not known.
pub(in super::super) async fn forget(
    connection: &mut DbConnection,
    manifest_id: i64,
) -> Result<bool, StoreError> {
    const ATTEMPTED: &str = "bring back a manifest";
    let done = sqlx::query("DELETE FROM deleted_manifests WHERE manifest_id = $1")
        .bind(manifest_id)
        .execute(&mut *connection)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
    sqlx::query("DELETE FROM deleted_tags WHERE manifest_id = $1")
        .bind(manifest_id)
        .execute(connection)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
    Ok(done.rows_affected() > 0)
}
