//! `store::policy::VersionedSettingStore`.

use async_trait::async_trait;
use store::StoreError;
use store::policy::{PutSetting, StoredSetting, VersionedSettingStore};
use time::OffsetDateTime;

use super::super::row::{millis, number, signed, time, value};
use super::super::{Store, commit};

#[async_trait]
impl VersionedSettingStore for Store {
    async fn versioned_setting(&self, name: &str) -> Result<Option<StoredSetting>, StoreError> {
        let row = sqlx::query(
            "SELECT value, version, changed_at, changed_by FROM versioned_settings WHERE name = $1",
        )
        .bind(name)
        .fetch_optional(self.read())
        .await
        .map_err(StoreError::database("read a setting"))?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(StoredSetting {
            value: value(&row, "value")?,
            version: number(&row, "version")?,
            changed_at: time(&row, "changed_at")?,
            changed_by: value(&row, "changed_by")?,
        }))
    }

    async fn put_setting(
        &self,
        name: &str,
        text: &str,
        expected: Option<u64>,
        at: OffsetDateTime,
        by: &str,
    ) -> Result<PutSetting, StoreError> {
        const ATTEMPTED: &str = "change a setting";
        let mut tx = self.write_alone().await?;
        let version: Option<i64> =
            sqlx::query_scalar("SELECT version FROM versioned_settings WHERE name = $1")
                .bind(name)
                .fetch_optional(&mut *tx)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
        let version = version.unwrap_or(0).unsigned_abs();
        if expected.is_some_and(|expected| expected != version) {
            return Ok(PutSetting::Outdated(version));
        }
        sqlx::query(
            "INSERT INTO versioned_settings (name, value, version, changed_at, changed_by) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value, version = excluded.version, \
             changed_at = excluded.changed_at, changed_by = excluded.changed_by",
        )
        .bind(name)
        .bind(text)
        .bind(signed(version + 1))
        .bind(millis(at))
        .bind(by)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(PutSetting::Stored(version + 1))
    }
}
