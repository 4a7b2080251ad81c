//! `store::AccountStore`.

use async_trait::async_trait;

use store::{Account, AccountStore, StoreError};

use super::row::{millis, text, time, value};
use super::{DbRow, Store, commit};

const ATTEMPTED: &str = "look up accounts";

fn account(row: &DbRow) -> Result<Account, StoreError> {
    Ok(Account {
        name: value(row, "name")?,
        password_hash: value(row, "password_hash")?,
        admin: value(row, "admin")?,
        created_at: time(row, "created_at")?,
    })
}

#[async_trait]
impl AccountStore for Store {
    async fn create_account(&self, account: &Account) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "INSERT INTO accounts (name, password_hash, admin, created_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
        )
        .bind(text(&account.name))
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
        .bind(text(name))
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
            .bind(text(name))
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
            .bind(text(name))
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
            .bind(text(name))
            .bind(fresh)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        let secret = sqlx::query_scalar("SELECT value FROM secrets WHERE name = $1")
            .bind(text(name))
            .fetch_one(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(secret)
    }
}
