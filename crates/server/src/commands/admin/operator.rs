//! What the commands about accounts have in common: they act as the operator,
//! who may read the installation's own files and so may do everything.

use std::process::ExitCode;

use access::{
    Administration, Kind, Principal, RegistryPermit, Role, RoleScope, authorise_registry,
};
use anyhow::{Context, bail};
use api::accounts::{Accounts, Issued};
use serde_json::{Value, json};
use store::AccountRecord;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::cli::{Format, RoleArgs};
use crate::commands::table;
use crate::output::{out, outln};
use crate::serve::REGISTRY;
use crate::storage::Storage;

/// Longest password that is read from standard input, in bytes.
const STDIN_BYTES_MAX: u64 = 4096;

/// The operator at work.
pub struct Operator {
    pub accounts: Accounts,
    pub permit: RegistryPermit<Administration>,
    pub registry: RoleScope,
    /// GUID of the one subscription, which is also the tenant.
    pub subscription: uuid::Uuid,
    pub now: OffsetDateTime,
}

impl Operator {
    pub async fn new(storage: &Storage) -> anyhow::Result<Self> {
        let subscription = api::azure::subscription_id(&*storage.database)
            .await
            .context("cannot read the subscription's id")?;
        Ok(Self {
            accounts: Accounts::new(storage.database.clone(), REGISTRY.into()),
            permit: authorise_registry(&Principal::operator())?,
            registry: api::azure::registry_scope(subscription, REGISTRY),
            subscription,
            now: OffsetDateTime::now_utc(),
        })
    }

    /// The role that was asked for, if one was.
    pub fn role(&self, args: &RoleArgs) -> anyhow::Result<Option<(Role, RoleScope)>> {
        let Some(text) = &args.role else { return Ok(None) };
        let Some(role) = Role::parse(text) else {
            let names: Vec<_> = Role::ALL.into_iter().map(Role::name).collect();
            bail!("there is no role {text:?}; there are: {}", names.join(", "));
        };
        // People call the subscription by its name.
        let scope = match args.scope.strip_prefix("/subscriptions/default") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                format!("/subscriptions/{}{rest}", self.subscription)
            }
            _ => args.scope.clone(),
        };
        Ok(Some((role, RoleScope::parse(&scope, &self.registry)?)))
    }

    pub fn in_days(&self, days: Option<u32>) -> Option<OffsetDateTime> {
        days.map(|days| self.now + Duration::days(i64::from(days)))
    }

    /// Lists everybody of a kind.
    pub async fn list(&self, kind: Kind, format: Option<Format>) -> anyhow::Result<ExitCode> {
        let records = self.accounts.list(&self.permit, Some(kind), None, u32::MAX).await?;
        let rows: Vec<Value> = records.iter().map(describe).collect();
        match Format::or_default(format) {
            Format::Json => print(&Value::from(rows))?,
            Format::Table => {
                let cells = records.iter().map(|record| {
                    let roles: Vec<_> = record.roles.iter().map(role_and_scope).collect();
                    let rights = record.account.scope_map.clone().unwrap_or(roles.join("; "));
                    vec![
                        record.account.name.clone(),
                        record.account.display_name.clone(),
                        if record.account.enabled { "yes" } else { "no" }.to_owned(),
                        rights,
                        record.account.last_used_at.map(rfc3339).unwrap_or_default(),
                    ]
                });
                let headings = ["NAME", "CALLED", "ENABLED", "MAY", "LAST USED"];
                out!("{}", table::render(&headings, &cells.collect::<Vec<_>>()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    pub async fn delete(&self, name: &str) -> anyhow::Result<ExitCode> {
        self.accounts.delete(&self.permit, name).await?;
        Ok(ExitCode::SUCCESS)
    }

    pub async fn set_enabled(&self, name: &str, enabled: bool) -> anyhow::Result<ExitCode> {
        self.accounts.set_enabled(&self.permit, name, enabled, self.now).await?;
        Ok(ExitCode::SUCCESS)
    }
}

pub fn print(value: &Value) -> anyhow::Result<()> {
    Ok(outln!("{}", serde_json::to_string_pretty(value)?)?)
}

/// A secret in Azure's words, shown this once.
pub fn password(issued: &Issued) -> Value {
    json!({
        "name": issued.name,
        "value": issued.value,
        "creationTime": rfc3339(issued.created_at),
        "expiry": issued.expires_at.map(rfc3339),
    })
}

pub fn rfc3339(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}

/// One line of standard input, without its end.
pub fn password_from_stdin() -> anyhow::Result<String> {
    use std::io::{BufRead, Read};
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .take(STDIN_BYTES_MAX)
        .read_line(&mut line)
        .context("cannot read a password from standard input")?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

fn role_and_scope(assignment: &store::RoleAssignment) -> String {
    format!("{} at {}", role_name(&assignment.role), assignment.scope)
}

/// A role that is stored and not known keeps its GUID.
fn role_name(id: &str) -> String {
    Role::parse(id).map_or_else(|| id.to_owned(), |role| role.name().to_owned())
}

/// Somebody, without any secret.
fn describe(record: &AccountRecord) -> Value {
    let account = &record.account;
    let roles = record.roles.iter().map(
        |assignment| json!({ "role": role_name(&assignment.role), "scope": assignment.scope }),
    );
    let passwords = record.secrets.iter().map(|secret| {
        json!({
            "name": secret.name,
            "creationTime": rfc3339(secret.created_at),
            "expiry": secret.expires_at.map(rfc3339),
        })
    });
    let mut value = json!({
        "name": account.name,
        "displayName": account.display_name,
        "status": if account.enabled { "enabled" } else { "disabled" },
        "roles": roles.collect::<Vec<_>>(),
        "passwords": passwords.collect::<Vec<_>>(),
        "createdAt": rfc3339(account.created_at),
        "lastUsedAt": account.last_used_at.map(rfc3339),
    });
    match account.kind {
        Kind::Service => value["appId"] = account.name.clone().into(),
        Kind::Token => value["scopeMap"] = account.scope_map.clone().into(),
        _ => {}
    }
    value
}
