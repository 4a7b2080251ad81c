//! `store::AccountStore`.

use access::Kind;
use async_trait::async_trait;
use time::OffsetDateTime;

use store::{
    Account, AccountRecord, AccountStore, CreateAccount, DeleteScopeMap, RoleAssignment, ScopeMap,
    Secret, StoreError,
};

use super::row::{json, millis, text, time, time_option, value};
use super::{DbConnection, DbRow, Store, Tx, commit};

const LOOK_UP: &str = "look up accounts";

const COLUMNS: &str =
    "name, kind, display_name, enabled, scope_map, generation, created_at, last_used_at";

/// The next generation, where `$2` is the time of the change.
const NEXT_GENERATION: &str =
    "generation = CASE WHEN generation < $2 THEN $2 ELSE generation + 1 END";

fn account(row: &DbRow) -> Result<Account, StoreError> {
    let kind: &str = value(row, "kind")?;
    Ok(Account {
        name: value(row, "name")?,
        kind: Kind::parse(kind).ok_or_else(|| StoreError::corrupt("kind of account", kind))?,
        display_name: value(row, "display_name")?,
        enabled: value(row, "enabled")?,
        scope_map: value(row, "scope_map")?,
        generation: value(row, "generation")?,
        created_at: time(row, "created_at")?,
        last_used_at: time_option(row, "last_used_at")?,
    })
}

fn secret(row: &DbRow) -> Result<Secret, StoreError> {
    Ok(Secret {
        name: value(row, "name")?,
        hash: value(row, "hash")?,
        created_at: time(row, "created_at")?,
        expires_at: time_option(row, "expires_at")?,
    })
}

fn role(row: &DbRow) -> Result<RoleAssignment, StoreError> {
    Ok(RoleAssignment {
        role: value(row, "role")?,
        scope: value(row, "scope")?,
        created_at: time(row, "created_at")?,
    })
}

fn scope_map(row: &DbRow) -> Result<ScopeMap, StoreError> {
    Ok(ScopeMap {
        name: value(row, "name")?,
        description: value(row, "description")?,
        actions: json(row, "actions")?,
        created_at: time(row, "created_at")?,
    })
}

/// What belongs to an account, read in one transaction with it.
async fn complete(
    connection: &mut DbConnection,
    account: Account,
) -> Result<AccountRecord, StoreError> {
    let failed = || StoreError::database(LOOK_UP);
    let secrets = sqlx::query(
        "SELECT name, hash, created_at, expires_at FROM principal_secrets \
         WHERE principal = $1 ORDER BY name",
    )
    .bind(text(&account.name))
    .fetch_all(&mut *connection)
    .await
    .map_err(failed())?;
    let roles = sqlx::query(
        "SELECT role, scope, created_at FROM role_assignments \
         WHERE principal = $1 ORDER BY scope, role",
    )
    .bind(text(&account.name))
    .fetch_all(&mut *connection)
    .await
    .map_err(failed())?;
    let actions = match &account.scope_map {
        Some(map) => {
            let row = sqlx::query("SELECT actions FROM scope_maps WHERE name = $1")
                .bind(map)
                .fetch_optional(&mut *connection)
                .await
                .map_err(failed())?;
            row.as_ref().map(|row| json(row, "actions")).transpose()?.unwrap_or_default()
        }
        None => Vec::new(),
    };
    Ok(AccountRecord {
        account,
        secrets: secrets.iter().map(secret).collect::<Result<_, _>>()?,
        roles: roles.iter().map(role).collect::<Result<_, _>>()?,
        actions,
    })
}

async fn insert_secret(tx: &mut Tx<'_>, account: &str, secret: &Secret) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO principal_secrets (principal, name, hash, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (principal, name) DO UPDATE SET hash = excluded.hash, \
         created_at = excluded.created_at, expires_at = excluded.expires_at",
    )
    .bind(text(account))
    .bind(text(&secret.name))
    .bind(&secret.hash)
    .bind(millis(secret.created_at))
    .bind(secret.expires_at.map(millis))
    .execute(&mut **tx)
    .await
    .map_err(StoreError::database("keep a secret"))?;
    Ok(())
}

async fn insert_role(
    tx: &mut Tx<'_>,
    account: &str,
    role: &RoleAssignment,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO role_assignments (principal, role, scope, created_at) \
         VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(text(account))
    .bind(&role.role)
    .bind(&role.scope)
    .bind(millis(role.created_at))
    .execute(&mut **tx)
    .await
    .map_err(StoreError::database("assign a role"))?;
    Ok(())
}

/// Cuts off the tokens of an account; says whether it is there.
async fn new_generation(
    tx: &mut Tx<'_>,
    account: &str,
    at: OffsetDateTime,
) -> Result<bool, StoreError> {
    let query = format!("UPDATE principals SET {NEXT_GENERATION} WHERE name = $1");
    let done = sqlx::query(sqlx::AssertSqlSafe(query))
        .bind(text(account))
        .bind(millis(at))
        .execute(&mut **tx)
        .await
        .map_err(StoreError::database("change an account"))?;
    Ok(done.rows_affected() > 0)
}

async fn is_there(tx: &mut Tx<'_>, query: &'static str, name: &str) -> Result<bool, StoreError> {
    let row = sqlx::query(query).bind(text(name)).fetch_optional(&mut **tx).await;
    Ok(row.map_err(StoreError::database(LOOK_UP))?.is_some())
}

#[async_trait]
impl AccountStore for Store {
    async fn create_account(&self, new: &AccountRecord) -> Result<CreateAccount, StoreError> {
        let AccountRecord { account, secrets, roles, .. } = new;
        let mut tx = self.write().await?;
        if let Some(map) = &account.scope_map
            && !access::SystemScopeMap::reserves(map)
            && !is_there(&mut tx, "SELECT 1 FROM scope_maps WHERE name = $1", map).await?
        {
            return Ok(CreateAccount::UnknownScopeMap);
        }
        let done = sqlx::query(
            "INSERT INTO principals (name, kind, display_name, enabled, scope_map, generation, \
             created_at, last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT DO NOTHING",
        )
        .bind(text(&account.name))
        .bind(account.kind.as_str())
        .bind(text(&account.display_name))
        .bind(account.enabled)
        .bind(account.scope_map.as_deref().map(text))
        .bind(account.generation)
        .bind(millis(account.created_at))
        .bind(account.last_used_at.map(millis))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("create an account"))?;
        if done.rows_affected() == 0 {
            return Ok(CreateAccount::NameTaken);
        }
        for secret in secrets {
            insert_secret(&mut tx, &account.name, secret).await?;
        }
        for role in roles {
            insert_role(&mut tx, &account.name, role).await?;
        }
        commit(tx).await?;
        Ok(CreateAccount::Created)
    }

    async fn account(&self, name: &str) -> Result<Option<AccountRecord>, StoreError> {
        let failed = || StoreError::database(LOOK_UP);
        // One moment: a secret must not be read beside an older generation.
        let mut tx = self.read_moment().await?;
        let query = format!("SELECT {COLUMNS} FROM principals WHERE name = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(text(name))
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed())?;
        match row {
            Some(row) => Ok(Some(complete(&mut tx, account(&row)?).await?)),
            None => Ok(None),
        }
    }

    async fn accounts(
        &self,
        kind: Option<Kind>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        let failed = || StoreError::database(LOOK_UP);
        let mut tx = self.read_moment().await?;
        let query = format!(
            "SELECT {COLUMNS} FROM principals WHERE name > $1 AND ($2 = '' OR kind = $2) \
             ORDER BY name LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(text(after.unwrap_or_default()))
            .bind(kind.map_or("", Kind::as_str))
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await
            .map_err(failed())?;
        let mut accounts = Vec::with_capacity(rows.len());
        for row in &rows {
            accounts.push(complete(&mut tx, account(row)?).await?);
        }
        Ok(accounts)
    }

    async fn set_secret(
        &self,
        account: &str,
        secret: &Secret,
        at: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        if !new_generation(&mut tx, account, at).await? {
            return Ok(false);
        }
        insert_secret(&mut tx, account, secret).await?;
        commit(tx).await?;
        Ok(true)
    }

    async fn replace_secrets(
        &self,
        account: &str,
        secret: &Secret,
        at: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        if !new_generation(&mut tx, account, at).await? {
            return Ok(false);
        }
        sqlx::query("DELETE FROM principal_secrets WHERE principal = $1")
            .bind(text(account))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("delete secrets"))?;
        insert_secret(&mut tx, account, secret).await?;
        commit(tx).await?;
        Ok(true)
    }

    async fn set_enabled(
        &self,
        account: &str,
        enabled: bool,
        at: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let there = new_generation(&mut tx, account, at).await?;
        sqlx::query("UPDATE principals SET enabled = $2 WHERE name = $1")
            .bind(text(account))
            .bind(enabled)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("change an account"))?;
        commit(tx).await?;
        Ok(there)
    }

    async fn delete_account(&self, name: &str) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query("DELETE FROM principals WHERE name = $1")
            .bind(text(name))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("delete an account"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn assign_role(&self, account: &str, role: &RoleAssignment) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        if !is_there(&mut tx, "SELECT 1 FROM principals WHERE name = $1", account).await? {
            return Ok(false);
        }
        insert_role(&mut tx, account, role).await?;
        commit(tx).await?;
        Ok(true)
    }

    async fn remove_role(
        &self,
        account: &str,
        role: &str,
        scope: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "DELETE FROM role_assignments WHERE principal = $1 AND role = $2 AND scope = $3",
        )
        .bind(text(account))
        .bind(role)
        .bind(scope)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("remove a role"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn note_sign_in(&self, account: &str, at: OffsetDateTime) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE principals SET last_used_at = $2 WHERE name = $1")
            .bind(text(account))
            .bind(millis(at))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("note a sign-in"))?;
        commit(tx).await
    }

    async fn put_scope_map(&self, map: &ScopeMap) -> Result<(), StoreError> {
        let actions = serde_json::to_string(&map.actions)
            .map_err(|error| StoreError::corrupt("scope map", error))?;
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO scope_maps (name, description, actions, created_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO UPDATE SET \
             description = excluded.description, actions = excluded.actions",
        )
        .bind(text(&map.name))
        .bind(text(&map.description))
        .bind(actions)
        .bind(millis(map.created_at))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("keep a scope map"))?;
        commit(tx).await
    }

    async fn scope_maps(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ScopeMap>, StoreError> {
        let rows = sqlx::query(
            "SELECT name, description, actions, created_at FROM scope_maps \
             WHERE name > $1 ORDER BY name LIMIT $2",
        )
        .bind(text(after.unwrap_or_default()))
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("look up scope maps"))?;
        rows.iter().map(scope_map).collect()
    }

    async fn delete_scope_map(&self, name: &str) -> Result<DeleteScopeMap, StoreError> {
        // Alone: nobody may give the map to a token in between.
        let mut tx = self.write_alone().await?;
        if is_there(&mut tx, "SELECT 1 FROM principals WHERE scope_map = $1 LIMIT 1", name).await? {
            return Ok(DeleteScopeMap::InUse);
        }
        let done = sqlx::query("DELETE FROM scope_maps WHERE name = $1")
            .bind(text(name))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("delete a scope map"))?;
        commit(tx).await?;
        Ok(match done.rows_affected() {
            0 => DeleteScopeMap::Unknown,
            _ => DeleteScopeMap::Deleted,
        })
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
