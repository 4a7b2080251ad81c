//! `lazaret admin principal`: service principals, as `az ad sp` makes them.

use std::process::ExitCode;

use access::Kind;
use anyhow::bail;
use api::accounts::NewAccount;
use serde_json::json;

use super::operator::{Operator, print};
use crate::cli::{Format, PrincipalCommand};
use crate::storage::Storage;

pub async fn run(
    storage: &Storage,
    command: PrincipalCommand,
    format: Option<Format>,
) -> anyhow::Result<ExitCode> {
    let operator = Operator::new(storage).await?;
    let (accounts, permit, now) = (&operator.accounts, &operator.permit, operator.now);
    match command {
        PrincipalCommand::List => return operator.list(Kind::Service, format).await,
        PrincipalCommand::Create { name, role, expiration_in_days } => {
            let Some(role) = operator.role(&role)? else {
                bail!("a service principal without a role can do nothing; name one with --role");
            };
            let until = operator.in_days(expiration_in_days);
            let new = NewAccount::Service { display_name: name };
            let (record, issued) = accounts.create(permit, new, &[role], until, now).await?;
            print(&json!({
                "appId": record.account.name,
                "displayName": record.account.display_name,
                "password": issued.first().map(|issued| &issued.value),
                "tenant": operator.subscription,
            }))?;
        }
        PrincipalCommand::Delete { id } => return operator.delete(&id).await,
        PrincipalCommand::Reset { id, expiration_in_days } => {
            let until = operator.in_days(expiration_in_days);
            let issued = accounts.renew_secret(permit, &id, None, None, until, now).await?;
            print(&json!({
                "appId": id,
                "password": issued.value,
                "tenant": operator.subscription,
            }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
