//! `lazaret admin role`: who holds which role where.

use std::process::ExitCode;

use anyhow::Context;

use super::operator::Operator;
use crate::cli::RoleCommand;
use crate::storage::Storage;

pub async fn run(storage: &Storage, command: RoleCommand) -> anyhow::Result<ExitCode> {
    let operator = Operator::new(storage).await?;
    let (accounts, permit) = (&operator.accounts, &operator.permit);
    let named = |role| operator.role(role)?.context("name the role with --role");
    match command {
        RoleCommand::Assign { principal, role } => {
            let (role, scope) = named(&role)?;
            accounts.assign_role(permit, &principal, role, &scope, operator.now).await?;
        }
        RoleCommand::Remove { principal, role } => {
            let (role, scope) = named(&role)?;
            accounts.remove_role(permit, &principal, role, &scope).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
