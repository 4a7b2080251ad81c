//! `lazaret admin`: works on the stores themselves, beside a running server or
//! without one; what must not race is settled by the database's transactions.

mod accounts;
mod admin_user;
mod anonymous_pull;
mod backup;
mod gc;
mod migrate;
mod operator;
mod policies;
mod principal;
mod restore;
mod role;
mod scope_map;
mod scrub;
mod token;
mod webhook;

use std::process::ExitCode;

use anyhow::bail;

use crate::cli::{AdminArgs, AdminCommand, ServeArgs};
use crate::config::Config;
use crate::storage::Storage;

/// Runs one of the commands.
pub async fn run(args: AdminArgs) -> anyhow::Result<ExitCode> {
    let config =
        Config::load(&ServeArgs { data: args.data, config: args.config, ..ServeArgs::default() })?;
    if let AdminCommand::Restore(restore) = args.command {
        return restore::run(&config.data, restore, args.format).await;
    }
    if !config.data.is_dir() {
        bail!(
            "there is no installation in {}; name its data directory with --data",
            config.data.display()
        );
    }
    let storage = Storage::open(&config).await?;
    let outcome = match args.command {
        AdminCommand::Gc(gc) => gc::run(&storage, &config, gc, args.format).await,
        AdminCommand::Accounts(command) => accounts::run(&storage, command, args.format).await,
        AdminCommand::Principal(command) => principal::run(&storage, command, args.format).await,
        AdminCommand::Role(command) => role::run(&storage, command).await,
        AdminCommand::Token(command) => token::run(&storage, command, args.format).await,
        AdminCommand::ScopeMap(command) => scope_map::run(&storage, command, args.format).await,
        AdminCommand::AdminUser(command) => admin_user::run(&storage, command).await,
        AdminCommand::AnonymousPull { value } => {
            anonymous_pull::run(&storage, value, config.anonymous_pull).await
        }
        AdminCommand::Scrub(scrub) => scrub::run(&storage, scrub, args.format).await,
        AdminCommand::Backup(backup) => backup::run(&storage, &config, backup, args.format).await,
        AdminCommand::Migrate { to } => migrate::run(&storage, &config, &to, args.format).await,
        AdminCommand::Policies(command) => policies::run(&storage, command).await,
        AdminCommand::Retention { dry_run } => {
            policies::retention(&storage, dry_run, args.format).await
        }
        AdminCommand::Usage { recount } => policies::usage(&storage, recount, args.format).await,
        AdminCommand::Restore(_) => unreachable!("handled above"),
        AdminCommand::Webhook(command) => webhook::run(&storage, command, args.format).await,
    };
    storage.database.close().await;
    outcome
}
