//! `store::policy::RetentionStore`.

use std::collections::HashMap;

use async_trait::async_trait;
use oci::{Digest, RepositoryName, Tag};
use store::StoreError;
use store::policy::{
    DeleteRules, RetentionManifest, RetentionStore, RetentionTag, Retire, RetireOutcome,
    attached_to,
};
use time::OffsetDateTime;

use super::super::row::{millis, parsed, parsed_option, time, time_option, value};
use super::super::{Store, commit};
use super::deletion::{Locks, find, graph, parents, take_away};

#[async_trait]
impl RetentionStore for Store {
    async fn retention_manifests(
        &self,
        repository: &RepositoryName,
    ) -> Result<(Vec<RetentionManifest>, bool), StoreError> {
        const ATTEMPTED: &str = "list what retention decides on";
        let mut tx = self.read().begin().await.map_err(StoreError::database(ATTEMPTED))?;
        let row = sqlx::query(
            "SELECT id, (write_enabled AND delete_enabled) AS open FROM repositories \
             WHERE name = $1 AND deleted_at IS NULL",
        )
        .bind(repository.as_str())
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let Some(row) = row else { return Ok((Vec::new(), true)) };
        let (id, open): (i64, bool) = (value(&row, "id")?, value(&row, "open")?);
        let tags = sqlx::query(
            "SELECT manifest_id, name, updated_at, pulled_at, NOT (write_enabled AND delete_enabled) AS locked \
             FROM tags WHERE repository_id = $1 ORDER BY name",
        )
        .bind(id)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let mut tags_of: HashMap<i64, Vec<RetentionTag>> = HashMap::new();
        for row in &tags {
            tags_of.entry(value(row, "manifest_id")?).or_default().push(RetentionTag {
                tag: parsed(row, "name")?,
                updated_at: time(row, "updated_at")?,
                pulled_at: time_option(row, "pulled_at")?,
                locked: value(row, "locked")?,
            });
        }
        let children = sqlx::query(
            "SELECT c.manifest_id, c.digest FROM live_manifests m JOIN manifest_references c ON c.manifest_id = m.id \
             WHERE m.repository_id = $1 AND c.kind = 'child'",
        )
        .bind(id)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let mut children_of: HashMap<i64, Vec<Digest>> = HashMap::new();
        for row in &children {
            children_of.entry(value(row, "manifest_id")?).or_default().push(parsed(row, "digest")?);
        }
        let rows = sqlx::query(
            "SELECT m.id, m.digest, m.subject, m.pushed_at, p.pulled_at, \
             NOT (COALESCE(a.write_enabled, TRUE) AND COALESCE(a.delete_enabled, TRUE)) AS locked \
             FROM live_manifests m LEFT JOIN manifest_attributes a ON a.manifest_id = m.id \
             LEFT JOIN manifest_pulls p ON p.manifest_id = m.id WHERE m.repository_id = $1 ORDER BY m.digest",
        )
        .bind(id)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let mut manifests = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: i64 = value(row, "id")?;
            manifests.push(RetentionManifest {
                digest: parsed(row, "digest")?,
                pushed_at: time(row, "pushed_at")?,
                pulled_at: time_option(row, "pulled_at")?,
                locked: value(row, "locked")?,
                subject: parsed_option(row, "subject")?,
                children: children_of.remove(&id).unwrap_or_default(),
                tags: tags_of.remove(&id).unwrap_or_default(),
            });
        }
        Ok((manifests, open))
    }

    async fn all_repositories(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, StoreError> {
        let rows = sqlx::query(
            "SELECT name FROM repositories WHERE name > $1 AND deleted_at IS NULL ORDER BY name LIMIT $2",
        )
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("list all repositories"))?;
        rows.iter().map(|row| parsed(row, "name")).collect()
    }

    async fn retire_manifest(
        &self,
        retire: Retire<'_>,
        rules: &DeleteRules,
    ) -> Result<RetireOutcome, StoreError> {
        const ATTEMPTED: &str = "decide on a manifest again";
        let kept = |reason: &str| Ok(RetireOutcome::Kept(reason.to_owned()));
        let mut tx = self.write_alone().await?;
        let id: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM repositories WHERE name = $1 AND deleted_at IS NULL",
        )
        .bind(retire.repository.as_str())
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let Some(repository_id) = id else { return kept("its repository is gone") };
        let Some(root) = find(&mut tx, repository_id, retire.digest).await? else {
            return kept("it is gone");
        };
        let rows =
            sqlx::query("SELECT name, updated_at FROM tags WHERE manifest_id = $1 ORDER BY name")
                .bind(root.id)
                .fetch_all(&mut *tx)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
        let mut tags = Vec::with_capacity(rows.len());
        for row in &rows {
            let (tag, at): (Tag, OffsetDateTime) = (parsed(row, "name")?, time(row, "updated_at")?);
            if let Some(about) = attached_to(&tag)
                && about != root.digest
                && find(&mut tx, repository_id, &about).await?.is_some()
            {
                return kept("it is attached to a manifest that is kept");
            }
            tags.push((tag, at));
        }
        if tags != retire.tags {
            return kept("its tags have changed meanwhile");
        }
        let row = sqlx::query(
            "SELECT m.subject, p.pulled_at FROM manifests m LEFT JOIN manifest_pulls p ON p.manifest_id = m.id \
             WHERE m.id = $1",
        )
        .bind(root.id)
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let pulled_at = time_option(&row, "pulled_at")?;
        if retire.pulled_before.is_some_and(|limit| pulled_at.is_some_and(|at| at > limit)) {
            return kept("it has been pulled meanwhile");
        }
        if let Some(subject) = parsed_option(&row, "subject")?
            && find(&mut tx, repository_id, &subject).await?.is_some()
        {
            return kept("it is about a manifest that is kept");
        }
        if !parents(&mut tx, repository_id, &root.digest).await?.is_empty() {
            return kept("an index that is kept lists it");
        }
        let locks = Locks {
            repository: retire.repository,
            repository_id,
            immutable: &rules.immutable_tags,
        };
        if let Some(refusal) =
            [locks.of_repository(&mut tx).await?, locks.of_manifest(&mut tx, &root).await?]
                .into_iter()
                .flatten()
                .next()
        {
            return Ok(RetireOutcome::Kept(refusal.to_string()));
        }
        let going = graph(&mut tx, &locks, root).await?;
        let gone = take_away(&mut tx, going, rules, &uuid::Uuid::new_v4().to_string()).await?;
        commit(tx).await?;
        Ok(RetireOutcome::Retired(gone))
    }

    async fn retire_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        updated_at: OffsetDateTime,
        rules: &DeleteRules,
    ) -> Result<RetireOutcome, StoreError> {
        const ATTEMPTED: &str = "decide on a tag again";
        let mut tx = self.write_alone().await?;
        let row = sqlx::query(
            "SELECT r.id, t.name, t.updated_at, t.write_enabled, t.delete_enabled FROM repositories r \
             JOIN tags t ON t.repository_id = r.id WHERE r.name = $1 AND t.name = $2",
        )
        .bind(repository.as_str())
        .bind(tag.as_str())
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let Some(row) = row else { return Ok(RetireOutcome::Kept("it is gone".into())) };
        if millis(time(&row, "updated_at")?) != millis(updated_at) {
            return Ok(RetireOutcome::Kept("it has been set again meanwhile".into()));
        }
        let repository_id: i64 = value(&row, "id")?;
        let locks = Locks { repository, repository_id, immutable: &rules.immutable_tags };
        if let Some(refusal) =
            [locks.of_repository(&mut tx).await?, locks.of_tag(&row)?].into_iter().flatten().next()
        {
            return Ok(RetireOutcome::Kept(refusal.to_string()));
        }
        sqlx::query("DELETE FROM tags WHERE repository_id = $1 AND name = $2")
            .bind(repository_id)
            .bind(tag.as_str())
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(RetireOutcome::Retired(Vec::new()))
    }
}
