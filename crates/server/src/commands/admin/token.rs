//! `lazaret admin token`: repository tokens, as `az acr token` makes them.

use std::process::ExitCode;

use access::Kind;
use api::accounts::{Issued, NewAccount};
use serde_json::{Value, json};

use super::operator::{Operator, password, print};
use super::scope_map::actions;
use crate::cli::{Format, TokenCommand, TokenPassword};
use crate::storage::Storage;

pub async fn run(
    storage: &Storage,
    command: TokenCommand,
    format: Option<Format>,
) -> anyhow::Result<ExitCode> {
    let operator = Operator::new(storage).await?;
    let (accounts, permit, now) = (&operator.accounts, &operator.permit, operator.now);
    match command {
        TokenCommand::List => return operator.list(Kind::Token, format).await,
        TokenCommand::Create { name, scope_map, repository, expiration_in_days } => {
            let scope_map = match scope_map {
                Some(map) => map,
                None => {
                    // As `az acr token create` calls it.
                    let map = format!("{name}-scope-map");
                    let description = format!("Of the token {name}");
                    let actions = actions(&repository)?;
                    accounts.put_scope_map(permit, &map, &description, &actions, now).await?;
                    map
                }
            };
            let until = operator.in_days(expiration_in_days);
            let new = NewAccount::Token { name, scope_map };
            let (record, issued) = accounts.create(permit, new, &[], until, now).await?;
            print(&json!({
                "name": record.account.name,
                "status": "enabled",
                "scopeMap": record.account.scope_map,
                "credentials": credentials(&record.account.name, &issued),
            }))?;
        }
        TokenCommand::Delete { name } => return operator.delete(&name).await,
        TokenCommand::GeneratePassword { name, password, expiration_in_days } => {
            let until = operator.in_days(expiration_in_days);
            let which = match password {
                TokenPassword::Password1 => "password1",
                TokenPassword::Password2 => "password2",
            };
            let issued =
                accounts.renew_secret(permit, &name, Some(which), None, until, now).await?;
            print(&credentials(&name, &[issued]))?;
        }
        TokenCommand::Enable { name } => return operator.set_enabled(&name, true).await,
        TokenCommand::Disable { name } => return operator.set_enabled(&name, false).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// As Azure answers `generateCredentials`.
pub(super) fn credentials(name: &str, issued: &[Issued]) -> Value {
    json!({ "username": name, "passwords": issued.iter().map(password).collect::<Vec<_>>() })
}
