//! `store::ImportStore`.

use async_trait::async_trait;
use serde::Serialize;
use time::OffsetDateTime;

use store::{
    Import, ImportId, ImportOutcome, ImportProgress, ImportState, ImportStore, StoreError,
    StoredLogin,
};

use super::row::{json, millis, number, parsed, parsed_option, signed, time, time_option, value};
use super::{DbRow, Store, commit};

const ATTEMPTED: &str = "look up imports";
const COLUMNS: &str = "id, request, state, progress, digest, failure, attempts, created_by, \
                       created_at, finished_at, username, password";

fn import(row: &DbRow) -> Result<Import, StoreError> {
    let failure: Option<&str> = value(row, "failure")?;
    Ok(Import {
        id: parsed(row, "id")?,
        request: json(row, "request")?,
        state: parsed(row, "state")?,
        progress: json(row, "progress")?,
        digest: parsed_option(row, "digest")?,
        failure: failure.map(|_| json(row, "failure")).transpose()?,
        attempts: number(row, "attempts")?,
        created_by: value(row, "created_by")?,
        created_at: time(row, "created_at")?,
        finished_at: time_option(row, "finished_at")?,
    })
}

fn text(document: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(document).map_err(|error| StoreError::corrupt("import", error))
}

#[async_trait]
impl ImportStore for Store {
    async fn create_import(
        &self,
        import: &Import,
        login: Option<&StoredLogin>,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO imports (id, request, state, progress, attempts, username, password, \
                                  created_by, created_at, lease_until) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)",
        )
        .bind(import.id.to_string())
        .bind(text(&import.request)?)
        .bind(import.state.as_str())
        .bind(text(&import.progress)?)
        .bind(i64::from(import.attempts))
        .bind(login.and_then(|login| login.username.as_deref()))
        .bind(login.map(|login| login.password.as_str()))
        .bind(&import.created_by)
        .bind(millis(import.created_at))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("note an import"))?;
        commit(tx).await
    }

    async fn import(&self, id: ImportId) -> Result<Option<Import>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM imports WHERE id = $1"
        )))
        .bind(id.to_string())
        .fetch_optional(self.read())
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        row.as_ref().map(import).transpose()
    }

    async fn imports(&self, limit: u32) -> Result<Vec<Import>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM imports ORDER BY created_at DESC, id LIMIT $1"
        )))
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        rows.iter().map(import).collect()
    }

    async fn claim_import(
        &self,
        runner: &str,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<(Import, Option<StoredLogin>)>, StoreError> {
        const ATTEMPTED: &str = "take up an import";
        let mut tx = self.write().await?;
        let due: Option<String> = sqlx::query_scalar(
            "SELECT id FROM imports WHERE finished_at IS NULL AND lease_until <= $1 \
             ORDER BY created_at, id LIMIT 1",
        )
        .bind(millis(now))
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let Some(id) = due else { return Ok(None) };
        // The condition again: in PostgreSQL two may have read the same row.
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE imports SET state = $4, runner = $3, lease_until = $5, attempts = attempts + 1 \
             WHERE id = $1 AND finished_at IS NULL AND lease_until <= $2 RETURNING {COLUMNS}"
        )))
        .bind(&id)
        .bind(millis(now))
        .bind(runner)
        .bind(ImportState::Running.as_str())
        .bind(millis(until))
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let claimed = row.as_ref().map(|row| {
            let password: Option<String> = value(row, "password")?;
            let username = value(row, "username")?;
            let login = password.map(|password| StoredLogin { username, password });
            Ok::<_, StoreError>((import(row)?, login))
        });
        let claimed = claimed.transpose()?;
        commit(tx).await?;
        Ok(claimed)
    }

    async fn renew_import(
        &self,
        id: ImportId,
        runner: &str,
        progress: &ImportProgress,
        until: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE imports SET progress = $3, lease_until = $4 \
             WHERE id = $1 AND runner = $2 AND finished_at IS NULL",
        )
        .bind(id.to_string())
        .bind(runner)
        .bind(text(progress)?)
        .bind(millis(until))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("note how far an import is"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn finish_import(
        &self,
        id: ImportId,
        runner: &str,
        progress: &ImportProgress,
        outcome: &ImportOutcome,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let (state, digest, failure) = match outcome {
            ImportOutcome::Done(digest) => (ImportState::Done, Some(digest.to_string()), None),
            ImportOutcome::Failed(failure) => (ImportState::Failed, None, Some(text(failure)?)),
        };
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE imports SET state = $3, progress = $4, digest = $5, failure = $6, \
                                finished_at = $7, username = NULL, password = NULL \
             WHERE id = $1 AND runner = $2 AND finished_at IS NULL",
        )
        .bind(id.to_string())
        .bind(runner)
        .bind(state.as_str())
        .bind(text(progress)?)
        .bind(digest)
        .bind(failure)
        .bind(millis(now))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("note how an import ended"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn release_imports(&self, runner: &str) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE imports SET lease_until = $2 WHERE runner = $1 AND finished_at IS NULL",
        )
        .bind(runner)
        .bind(signed(0))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("let go of imports"))?;
        commit(tx).await?;
        Ok(done.rows_affected())
    }

    async fn forget_imports(&self, before: OffsetDateTime) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query("DELETE FROM imports WHERE finished_at < $1")
            .bind(millis(before))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("forget old imports"))?;
        commit(tx).await?;
        Ok(done.rows_affected())
    }
}
