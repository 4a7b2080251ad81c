//! `store::policy::AttributeStore`.

use async_trait::async_trait;
use oci::{Digest, RepositoryName, Tag};
use store::StoreError;
use store::policy::{
    AttributeChange, AttributeStore, Attributes, ManifestDetail, Order, RepositoryDetail,
    TagDetail, TagsQuery,
};
use time::OffsetDateTime;

use super::super::row::{json, millis, number, parsed, parsed_option, time, time_option, value};
use super::super::{DbRow, Store, commit, dialect};

/// Columns that [`tag`] reads. Signed: by cosign or notation, as a referrer or
/// by cosign's tag.
const TAG: &str = "t.name, m.digest, t.created_at, t.updated_at, t.pulled_at, \
     t.read_enabled, t.write_enabled, t.delete_enabled, t.list_enabled, \
     (EXISTS (SELECT 1 FROM live_manifests s WHERE s.repository_id = m.repository_id AND s.subject = m.digest \
       AND s.artifact_type IN ('application/vnd.cncf.notary.signature', \
        'application/vnd.dev.cosign.artifact.sig.v1+json', 'application/vnd.dev.sigstore.bundle.v0.3+json')) \
      OR EXISTS (SELECT 1 FROM tags s WHERE s.repository_id = m.repository_id \
       AND s.name = replace(m.digest, ':', '-') || '.sig')) AS signed";

/// Columns that [`manifest`] reads; sizes are those of blobs that are there,
/// since what a manifest claims may be anything.
fn manifest_columns() -> String {
    let tags = dialect::json_array("t.name");
    format!(
        "m.digest, m.media_type, m.size, m.pushed_at, a.changed_at, p.pulled_at, \
         COALESCE(a.read_enabled, TRUE) AS read_enabled, COALESCE(a.write_enabled, TRUE) AS write_enabled, \
         COALESCE(a.delete_enabled, TRUE) AS delete_enabled, COALESCE(a.list_enabled, TRUE) AS list_enabled, \
         a.quarantine_state, a.quarantine_details, \
         (SELECT c.digest FROM manifest_references c WHERE c.manifest_id = m.id AND c.kind = 'config') AS config, \
         (SELECT c.media_type FROM manifest_references c WHERE c.manifest_id = m.id AND c.kind = 'config') \
          AS config_type, \
         (SELECT CAST(COALESCE(SUM(b.size), 0) AS BIGINT) FROM manifest_references c \
          JOIN blobs b ON b.digest = c.digest WHERE c.manifest_id = m.id AND c.kind <> 'child') AS content_size, \
         (SELECT {tags} FROM tags t WHERE t.manifest_id = m.id) AS tags"
    )
}

const MANIFEST_FROM: &str = "FROM repositories r JOIN live_manifests m ON m.repository_id = r.id \
     LEFT JOIN manifest_attributes a ON a.manifest_id = m.id LEFT JOIN manifest_pulls p ON p.manifest_id = m.id";

fn attributes(row: &DbRow) -> Result<Attributes, StoreError> {
    Ok(Attributes {
        read: value(row, "read_enabled")?,
        write: value(row, "write_enabled")?,
        delete: value(row, "delete_enabled")?,
        list: value(row, "list_enabled")?,
    })
}

fn tag(row: &DbRow) -> Result<TagDetail, StoreError> {
    Ok(TagDetail {
        tag: parsed(row, "name")?,
        digest: parsed(row, "digest")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        pulled_at: time_option(row, "pulled_at")?,
        signed: value(row, "signed")?,
        attributes: attributes(row)?,
    })
}

fn manifest(row: &DbRow) -> Result<ManifestDetail, StoreError> {
    let mut tags: Vec<Tag> = json(row, "tags")?;
    tags.sort_unstable();
    let created_at = time(row, "pushed_at")?;
    let content: u64 = number(row, "content_size")?;
    let config: Option<Digest> = parsed_option(row, "config")?;
    let config_type: Option<String> = value(row, "config_type")?;
    Ok(ManifestDetail {
        digest: parsed(row, "digest")?,
        media_type: value(row, "media_type")?,
        image_size: if content > 0 { content } else { number(row, "size")? },
        config: config.zip(config_type),
        created_at,
        updated_at: time_option(row, "changed_at")?.map_or(created_at, |at| at.max(created_at)),
        pulled_at: time_option(row, "pulled_at")?,
        tags,
        attributes: attributes(row)?,
        quarantine_state: value(row, "quarantine_state")?,
        quarantine_details: value(row, "quarantine_details")?,
    })
}

/// The part of a list after $2, and its order. `at` and `name` are columns of
/// the list, `of` finds the row that $2 names.
fn paged(order: Order, after: bool, at: &str, name: &str, of: &str) -> String {
    let (comparison, by) = match order {
        Order::Name => {
            let after = if after { format!("AND {name} > $2 ") } else { String::new() };
            return format!("{after}ORDER BY {name}");
        }
        Order::TimeAscending => (">", format!("ORDER BY {at}, {name}")),
        Order::TimeDescending => ("<", format!("ORDER BY {at} DESC, {name} DESC")),
    };
    let after =
        if after { format!("AND ({at}, {name}) {comparison} ({of}) ") } else { String::new() };
    after + &by
}

#[async_trait]
impl AttributeStore for Store {
    async fn repository_detail(
        &self,
        repository: &RepositoryName,
    ) -> Result<Option<RepositoryDetail>, StoreError> {
        let row = sqlx::query(
            "SELECT r.created_at, r.bytes, r.read_enabled, r.write_enabled, r.delete_enabled, r.list_enabled, \
             (SELECT COUNT(*) FROM live_manifests m WHERE m.repository_id = r.id) AS manifests, \
             (SELECT COUNT(*) FROM tags t WHERE t.repository_id = r.id) AS tags, \
             (SELECT MAX(m.pushed_at) FROM manifests m WHERE m.repository_id = r.id) AS pushed_at, \
             (SELECT MAX(t.updated_at) FROM tags t WHERE t.repository_id = r.id) AS tagged_at \
             FROM repositories r WHERE r.name = $1 AND r.deleted_at IS NULL",
        )
        .bind(repository.as_str())
        .fetch_optional(self.read())
        .await
        .map_err(StoreError::database("read a repository"))?;
        let Some(row) = row else { return Ok(None) };
        let created_at = time(&row, "created_at")?;
        let changes = [time_option(&row, "pushed_at")?, time_option(&row, "tagged_at")?];
        Ok(Some(RepositoryDetail {
            created_at,
            updated_at: changes.into_iter().flatten().fold(created_at, OffsetDateTime::max),
            manifests: number(&row, "manifests")?,
            tags: number(&row, "tags")?,
            bytes: number::<i64>(&row, "bytes")?.max(0).unsigned_abs(),
            attributes: attributes(&row)?,
        }))
    }

    async fn tag_details(
        &self,
        repository: &RepositoryName,
        query: TagsQuery<'_>,
    ) -> Result<Vec<TagDetail>, StoreError> {
        let of =
            "SELECT l.updated_at, l.name FROM tags l WHERE l.repository_id = r.id AND l.name = $2";
        let paged = paged(query.order, query.after.is_some(), "t.updated_at", "t.name", of);
        let by_digest = if query.digest.is_some() { "AND m.digest = $4 " } else { "" };
        let sql = format!(
            "SELECT {TAG} FROM repositories r JOIN tags t ON t.repository_id = r.id \
             JOIN manifests m ON m.id = t.manifest_id WHERE r.name = $1 AND t.list_enabled {by_digest}{paged} \
             LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(repository.as_str())
            .bind(query.after)
            .bind(i64::from(query.limit))
            .bind(query.digest.map(ToString::to_string))
            .fetch_all(self.read())
            .await
            .map_err(StoreError::database("list tags with their attributes"))?;
        rows.iter().map(tag).collect()
    }

    async fn tag_detail(
        &self,
        repository: &RepositoryName,
        name: &Tag,
    ) -> Result<Option<TagDetail>, StoreError> {
        let sql = format!(
            "SELECT {TAG} FROM repositories r JOIN tags t ON t.repository_id = r.id \
             JOIN manifests m ON m.id = t.manifest_id WHERE r.name = $1 AND t.name = $2"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(repository.as_str())
            .bind(name.as_str())
            .fetch_optional(self.read())
            .await
            .map_err(StoreError::database("read a tag"))?;
        row.as_ref().map(tag).transpose()
    }

    async fn manifest_details(
        &self,
        repository: &RepositoryName,
        query: TagsQuery<'_>,
    ) -> Result<Vec<ManifestDetail>, StoreError> {
        let of = "SELECT l.pushed_at, l.digest FROM manifests l WHERE l.repository_id = r.id AND l.digest = $2";
        let paged = paged(query.order, query.after.is_some(), "m.pushed_at", "m.digest", of);
        let sql = format!(
            "SELECT {} {MANIFEST_FROM} WHERE r.name = $1 AND COALESCE(a.list_enabled, TRUE) {paged} LIMIT $3",
            manifest_columns()
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(repository.as_str())
            .bind(query.after)
            .bind(i64::from(query.limit))
            .fetch_all(self.read())
            .await
            .map_err(StoreError::database("list manifests with their attributes"))?;
        rows.iter().map(manifest).collect()
    }

    async fn manifest_detail(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<ManifestDetail>, StoreError> {
        let sql = format!(
            "SELECT {} {MANIFEST_FROM} WHERE r.name = $1 AND m.digest = $2",
            manifest_columns()
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(repository.as_str())
            .bind(digest.to_string())
            .fetch_optional(self.read())
            .await
            .map_err(StoreError::database("read a manifest's attributes"))?;
        row.as_ref().map(manifest).transpose()
    }

    async fn change_repository(
        &self,
        repository: &RepositoryName,
        change: &AttributeChange,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE repositories SET read_enabled = COALESCE($2, read_enabled), \
             write_enabled = COALESCE($3, write_enabled), delete_enabled = COALESCE($4, delete_enabled), \
             list_enabled = COALESCE($5, list_enabled) WHERE name = $1 AND deleted_at IS NULL",
        )
        .bind(repository.as_str())
        .bind(change.read)
        .bind(change.write)
        .bind(change.delete)
        .bind(change.list)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("change a repository's attributes"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn change_tag(
        &self,
        repository: &RepositoryName,
        name: &Tag,
        change: &AttributeChange,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE tags SET read_enabled = COALESCE($3, read_enabled), \
             write_enabled = COALESCE($4, write_enabled), delete_enabled = COALESCE($5, delete_enabled), \
             list_enabled = COALESCE($6, list_enabled) \
             WHERE name = $2 AND repository_id = (SELECT id FROM repositories WHERE name = $1)",
        )
        .bind(repository.as_str())
        .bind(name.as_str())
        .bind(change.read)
        .bind(change.write)
        .bind(change.delete)
        .bind(change.list)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("change a tag's attributes"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn change_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        change: &AttributeChange,
        at: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        const ATTEMPTED: &str = "change a manifest's attributes";
        let mut tx = self.write().await?;
        let id: Option<i64> = sqlx::query_scalar(
            "SELECT m.id FROM repositories r JOIN live_manifests m ON m.repository_id = r.id \
             WHERE r.name = $1 AND m.digest = $2",
        )
        .bind(repository.as_str())
        .bind(digest.to_string())
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let Some(id) = id else { return Ok(false) };
        sqlx::query(
            "INSERT INTO manifest_attributes (manifest_id, changed_at) VALUES ($1, $2) \
             ON CONFLICT (manifest_id) DO UPDATE SET changed_at = excluded.changed_at",
        )
        .bind(id)
        .bind(millis(at))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        sqlx::query(
            "UPDATE manifest_attributes SET read_enabled = COALESCE($2, read_enabled), \
             write_enabled = COALESCE($3, write_enabled), delete_enabled = COALESCE($4, delete_enabled), \
             list_enabled = COALESCE($5, list_enabled), quarantine_state = COALESCE($6, quarantine_state), \
             quarantine_details = COALESCE($7, quarantine_details) WHERE manifest_id = $1",
        )
        .bind(id)
        .bind(change.read)
        .bind(change.write)
        .bind(change.delete)
        .bind(change.list)
        .bind(&change.quarantine_state)
        .bind(&change.quarantine_details)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(true)
    }
}
