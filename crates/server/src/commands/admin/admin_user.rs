//! `lazaret admin admin-user`: the registry's admin user, called as the registry.

use std::process::ExitCode;

use api::accounts::{AccountError, NewAccount};
use serde_json::json;

use super::operator::{Operator, print};
use super::token::credentials;
use crate::cli::{AdminPassword, AdminUserCommand};
use crate::serve::REGISTRY;
use crate::storage::Storage;

pub async fn run(storage: &Storage, command: AdminUserCommand) -> anyhow::Result<ExitCode> {
    let operator = Operator::new(storage).await?;
    let (accounts, permit, now) = (&operator.accounts, &operator.permit, operator.now);
    match command {
        AdminUserCommand::Show => {
            let enabled = match accounts.find(permit, REGISTRY).await {
                Ok(record) => record.account.enabled,
                Err(AccountError::Unknown(_)) => false,
                Err(error) => return Err(error.into()),
            };
            print(&json!({ "username": REGISTRY, "adminUserEnabled": enabled }))?;
        }
        AdminUserCommand::Enable => match accounts.set_enabled(permit, REGISTRY, true, now).await {
            Ok(()) => {}
            Err(AccountError::Unknown(_)) => {
                let (_, issued) =
                    accounts.create(permit, NewAccount::AdminUser, &[], None, now).await?;
                print(&credentials(REGISTRY, &issued))?;
            }
            Err(error) => return Err(error.into()),
        },
        AdminUserCommand::Disable => match accounts.set_enabled(permit, REGISTRY, false, now).await
        {
            // It is off already where it was never made.
            Ok(()) | Err(AccountError::Unknown(_)) => {}
            Err(error) => return Err(error.into()),
        },
        AdminUserCommand::Renew { password } => {
            let which = match password {
                AdminPassword::Password => "password",
                AdminPassword::Password2 => "password2",
            };
            let issued =
                accounts.renew_secret(permit, REGISTRY, Some(which), None, None, now).await?;
            print(&credentials(REGISTRY, &[issued]))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
