//! `store::policy::UsageStore`. Counters are kept by triggers (migration 4), so
//! that whoever adds or removes a row cannot forget them.

use async_trait::async_trait;
use oci::RepositoryName;
use store::StoreError;
use store::policy::{Pull, UsageDifference, UsageStore};

use super::super::row::{millis, number, parsed};
use super::super::{Store, commit, dialect};

/// Bytes of a repository, counted.
const COUNTED: &str = "((SELECT CAST(COALESCE(SUM(m.size), 0) AS BIGINT) FROM manifests m WHERE m.repository_id = r.id) + \
     (SELECT CAST(COALESCE(SUM(b.size), 0) AS BIGINT) FROM repository_blobs rb JOIN blobs b ON b.digest = rb.digest \
      WHERE rb.repository_id = r.id))";

#[async_trait]
impl UsageStore for Store {
    async fn registry_bytes(&self) -> Result<u64, StoreError> {
        let bytes: i64 = sqlx::query_scalar(
            "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM registry_bytes",
        )
        .fetch_one(self.read())
        .await
        .map_err(StoreError::database("read the registry's size"))?;
        Ok(bytes.max(0).unsigned_abs())
    }

    async fn repository_bytes(
        &self,
        repository: &RepositoryName,
    ) -> Result<Option<u64>, StoreError> {
        let bytes: Option<i64> =
            sqlx::query_scalar("SELECT bytes FROM repositories WHERE name = $1")
                .bind(repository.as_str())
                .fetch_optional(self.read())
                .await
                .map_err(StoreError::database("read a repository's size"))?;
        Ok(bytes.map(|bytes| bytes.max(0).unsigned_abs()))
    }

    async fn largest_repositories(
        &self,
        limit: u32,
    ) -> Result<Vec<(RepositoryName, u64)>, StoreError> {
        let rows =
            sqlx::query("SELECT name, bytes FROM repositories ORDER BY bytes DESC, name LIMIT $1")
                .bind(i64::from(limit))
                .fetch_all(self.read())
                .await
                .map_err(StoreError::database("list the largest repositories"))?;
        rows.iter()
            .map(|row| {
                Ok((parsed(row, "name")?, number::<i64>(row, "bytes")?.max(0).unsigned_abs()))
            })
            .collect()
    }

    async fn recount_bytes(&self, repair: bool) -> Result<Vec<UsageDifference>, StoreError> {
        const ATTEMPTED: &str = "count what is held";
        let mut tx = self.write_alone().await?;
        let sql = format!(
            "SELECT r.id, r.name, r.bytes, {COUNTED} AS counted FROM repositories r \
             WHERE r.bytes <> {COUNTED} ORDER BY r.name"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        let mut differences = Vec::with_capacity(rows.len());
        for row in &rows {
            let (id, counted): (i64, i64) = (number(row, "id")?, number(row, "counted")?);
            differences.push(UsageDifference {
                repository: Some(parsed(row, "name")?),
                counter: number(row, "bytes")?,
                counted: counted.unsigned_abs(),
            });
            if repair {
                sqlx::query("UPDATE repositories SET bytes = $2 WHERE id = $1")
                    .bind(id)
                    .bind(counted)
                    .execute(&mut *tx)
                    .await
                    .map_err(StoreError::database(ATTEMPTED))?;
            }
        }
        let row = sqlx::query(
            "SELECT (SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM registry_bytes) AS bytes, \
             (SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blobs) + \
             (SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM manifests) AS counted",
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let (counter, counted): (i64, i64) = (number(&row, "bytes")?, number(&row, "counted")?);
        if counter != counted {
            differences.insert(
                0,
                UsageDifference { repository: None, counter, counted: counted.unsigned_abs() },
            );
            if repair {
                // One shard carries the difference: only their sum means anything.
                sqlx::query(
                    "INSERT INTO registry_bytes (shard, bytes) VALUES (0, $1) \
                     ON CONFLICT (shard) DO UPDATE SET bytes = registry_bytes.bytes + excluded.bytes",
                )
                .bind(counted - counter)
                .execute(&mut *tx)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
            }
        }
        commit(tx).await?;
        Ok(differences)
    }

    async fn record_pulls(&self, pulls: &[Pull]) -> Result<(), StoreError> {
        const ATTEMPTED: &str = "remember pulls";
        if pulls.is_empty() {
            return Ok(());
        }
        let list = pulls.iter().map(|pull| {
            let tag = pull.tag.as_ref().map_or("", oci::Tag::as_str);
            serde_json::json!([pull.repository, pull.digest, tag, millis(pull.at)])
        });
        let list = serde_json::Value::from_iter(list).to_string();
        let rows = dialect::rows(
            "$1",
            &[("repository", "TEXT"), ("digest", "TEXT"), ("tag", "TEXT"), ("at", "BIGINT")],
        );
        // Alone: rows of many repositories, in no order that others keep.
        let mut tx = self.write_alone().await?;
        let manifests = format!(
            "INSERT INTO manifest_pulls (manifest_id, pulled_at) \
             SELECT m.id, MAX(j.at) FROM {rows} j JOIN repositories r ON r.name = j.repository \
             JOIN live_manifests m ON m.repository_id = r.id AND m.digest = j.digest WHERE TRUE GROUP BY m.id \
             ON CONFLICT (manifest_id) DO UPDATE SET pulled_at = excluded.pulled_at \
             WHERE excluded.pulled_at > manifest_pulls.pulled_at"
        );
        let tags = format!(
            "UPDATE tags SET pulled_at = n.at FROM (SELECT r.id AS repository_id, j.tag, MAX(j.at) AS at \
              FROM {rows} j JOIN repositories r ON r.name = j.repository GROUP BY r.id, j.tag) n \
             WHERE tags.repository_id = n.repository_id AND tags.name = n.tag \
             AND (tags.pulled_at IS NULL OR tags.pulled_at < n.at)"
        );
        for sql in [manifests, tags] {
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(&list)
                .execute(&mut *tx)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
        }
        commit(tx).await
    }
}
