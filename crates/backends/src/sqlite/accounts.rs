//! Accounts and secrets in SQLite.

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use store::{Account, AccountStore, StoreError};

use super::{SqliteStore, commit, from_millis, millis};

const ATTEMPTED: &str = "look up accounts";

fn account(row: &SqliteRow) -> Result<Account, StoreError> {
    let read = || -> Result<_, sqlx::Error> {
        Ok((
            row.try_get("name")?,
            row.try_get("password_hash")?,
            row.try_get("admin")?,
            row.try_get("created_at")?,
        ))
    };
    let (name, password_hash, admin, created_at) =
        read().map_err(StoreError::database(ATTEMPTED))?;
    Ok(Account { name, password_hash, admin, created_at: from_millis(created_at)? })
}

#[async_trait]
impl AccountStore for SqliteStore {
    async fn create_account(&self, account: &Account) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "INSERT INTO accounts (name, password_hash, admin, created_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
        )
        .bind(&account.name)
        .bind(&account.password_hash)
        .bind(account.admin)
        .bind(millis(account.created_at))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("create an account"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query(
            "SELECT name, password_hash, admin, created_at FROM accounts WHERE name = $1",
        )
        .bind(name)
        .fetch_optional(self.read())
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        row.as_ref().map(account).transpose()
    }

    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let rows = sqlx::query(
            "SELECT name, password_hash, admin, created_at FROM accounts ORDER BY name",
        )
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        rows.iter().map(account).collect()
    }

    async fn set_password_hash(&self, name: &str, hash: &str) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query("UPDATE accounts SET password_hash = $2 WHERE name = $1")
            .bind(name)
            .bind(hash)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("change a password"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn delete_account(&self, name: &str) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query("DELETE FROM accounts WHERE name = $1")
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("delete an account"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn ensure_secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        const ATTEMPTED: &str = "keep a signing key";
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(fresh)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        let secret = sqlx::query_scalar("SELECT value FROM secrets WHERE name = $1")
            .bind(name)
            .fetch_one(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(secret)
    }
}
