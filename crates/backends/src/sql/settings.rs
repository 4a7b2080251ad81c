//! `store::SettingsStore`.

use async_trait::async_trait;
use store::{SettingsStore, StoreError};

use super::row::text;
use super::{Store, commit};

#[async_trait]
impl SettingsStore for Store {
    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
            .bind(text(name))
            .fetch_optional(self.read())
            .await
            .map_err(StoreError::database("read a setting"))
    }

    async fn set_setting(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let statement = match value {
            Some(value) => sqlx::query(
                "INSERT INTO settings (name, value) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(text(name))
            .bind(text(value)),
            None => sqlx::query("DELETE FROM settings WHERE name = $1").bind(text(name)),
        };
        statement.execute(&mut *tx).await.map_err(StoreError::database("change a setting"))?;
        commit(tx).await
    }
}
