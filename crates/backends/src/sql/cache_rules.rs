//! `store::CacheRuleStore`.

use async_trait::async_trait;

use store::{
    CacheRule, CacheRuleStore, CredentialSet, DeleteCredentials, PutCacheRule, StoreError,
    StoredLogin,
};

use super::row::{millis, time, value};
use super::{DbRow, Store, commit};

const ATTEMPTED: &str = "look up cache rules";

fn rule(row: &DbRow) -> Result<CacheRule, StoreError> {
    Ok(CacheRule {
        name: value(row, "name")?,
        source: value(row, "source")?,
        target: value(row, "target")?,
        credential_set: value(row, "credential_set")?,
        created_at: time(row, "created_at")?,
    })
}

fn credential_set(row: &DbRow) -> Result<CredentialSet, StoreError> {
    Ok(CredentialSet {
        name: value(row, "name")?,
        login_server: value(row, "login_server")?,
        login: StoredLogin { username: value(row, "username")?, password: value(row, "password")? },
        changed_at: time(row, "changed_at")?,
    })
}

#[async_trait]
impl CacheRuleStore for Store {
    async fn create_cache_rule(&self, rule: &CacheRule) -> Result<PutCacheRule, StoreError> {
        const ATTEMPTED: &str = "make a cache rule";
        let mut tx = self.write().await?;
        if let Some(set) = &rule.credential_set {
            let known: Option<String> =
                sqlx::query_scalar("SELECT name FROM credential_sets WHERE name = $1")
                    .bind(set)
                    .fetch_optional(&mut *tx)
                    .await
                    .map_err(StoreError::database(ATTEMPTED))?;
            if known.is_none() {
                return Ok(PutCacheRule::UnknownCredentials);
            }
        }
        let done = sqlx::query(
            "INSERT INTO cache_rules (name, source, target, credential_set, created_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(&rule.name)
        .bind(&rule.source)
        .bind(&rule.target)
        .bind(rule.credential_set.as_deref())
        .bind(millis(rule.created_at))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        Ok(if done.rows_affected() > 0 { PutCacheRule::Stored } else { PutCacheRule::Taken })
    }

    async fn cache_rules(&self) -> Result<Vec<CacheRule>, StoreError> {
        let rows = sqlx::query(
            "SELECT name, source, target, credential_set, created_at FROM cache_rules ORDER BY name",
        )
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        rows.iter().map(rule).collect()
    }

    async fn delete_cache_rule(&self, name: &str) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query("DELETE FROM cache_rules WHERE name = $1")
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("delete a cache rule"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn put_credential_set(&self, set: &CredentialSet) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO credential_sets (name, login_server, username, password, changed_at) \
             VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (name) DO UPDATE SET login_server = excluded.login_server, \
                 username = excluded.username, password = excluded.password, \
                 changed_at = excluded.changed_at",
        )
        .bind(&set.name)
        .bind(&set.login_server)
        .bind(set.login.username.as_deref())
        .bind(&set.login.password)
        .bind(millis(set.changed_at))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("keep a credential set"))?;
        commit(tx).await
    }

    async fn credential_sets(&self) -> Result<Vec<CredentialSet>, StoreError> {
        let rows = sqlx::query(
            "SELECT name, login_server, username, password, changed_at FROM credential_sets \
             ORDER BY name",
        )
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("look up credential sets"))?;
        rows.iter().map(credential_set).collect()
    }

    async fn delete_credential_set(&self, name: &str) -> Result<DeleteCredentials, StoreError> {
        const ATTEMPTED: &str = "delete a credential set";
        let mut tx = self.write().await?;
        let used: Option<String> =
            sqlx::query_scalar("SELECT name FROM cache_rules WHERE credential_set = $1 LIMIT 1")
                .bind(name)
                .fetch_optional(&mut *tx)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
        if used.is_some() {
            return Ok(DeleteCredentials::InUse);
        }
        let done = sqlx::query("DELETE FROM credential_sets WHERE name = $1")
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        let known = done.rows_affected() > 0;
        Ok(if known { DeleteCredentials::Deleted } else { DeleteCredentials::Unknown })
    }
}
