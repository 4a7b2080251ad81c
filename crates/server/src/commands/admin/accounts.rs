//! `lazaret admin accounts`: people.

use std::process::ExitCode;

use access::Kind;
use api::accounts::NewAccount;
use serde_json::json;

use super::operator::{Operator, password_from_stdin, print};
use crate::cli::{AccountsCommand, Format};
use crate::storage::Storage;

pub async fn run(
    storage: &Storage,
    command: AccountsCommand,
    format: Option<Format>,
) -> anyhow::Result<ExitCode> {
    let operator = Operator::new(storage).await?;
    let (accounts, permit, now) = (&operator.accounts, &operator.permit, operator.now);
    match command {
        AccountsCommand::List => return operator.list(Kind::Account, format).await,
        AccountsCommand::Create { name, role, password_stdin } => {
            let role = operator.role(&role)?;
            let password = password_stdin.then(password_from_stdin).transpose()?;
            let given = password.is_some();
            let new = NewAccount::Account { name, password };
            let (record, issued) = accounts.create(permit, new, role.as_slice(), None, now).await?;
            let mut answer = json!({ "name": record.account.name });
            if let Some(issued) = issued.first().filter(|_| !given) {
                answer["password"] = issued.value.clone().into();
            }
            print(&answer)?;
        }
        AccountsCommand::Delete { name } => return operator.delete(&name).await,
        AccountsCommand::Password { name, password_stdin } => {
            let password = password_stdin.then(password_from_stdin).transpose()?;
            let given = password.is_some();
            let issued = accounts.renew_secret(permit, &name, None, password, None, now).await?;
            if !given {
                print(&json!({ "name": name, "password": issued.value }))?;
            }
        }
        AccountsCommand::Enable { name } => return operator.set_enabled(&name, true).await,
        AccountsCommand::Disable { name } => return operator.set_enabled(&name, false).await,
    }
    Ok(ExitCode::SUCCESS)
}
