//! `lazaret admin accounts`.

use std::process::ExitCode;

use access::{Kind, Role};
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use crate::cli::Format;
use crate::commands::table;
use crate::output::{out, outln};
use crate::storage::Storage;

/// Lists who may sign in.
pub async fn list(storage: &Storage, format: Option<Format>) -> anyhow::Result<ExitCode> {
    let accounts = storage.database.accounts(Some(Kind::Account), None, u32::MAX).await?;
    let rows: Vec<_> = accounts
        .iter()
        .map(|r| {
            let admin = r.roles.iter().any(|role| role.role == Role::Owner.id());
            (
                r.account.name.as_str(),
                admin,
                r.account.created_at.format(&Rfc3339).unwrap_or_default(),
            )
        })
        .collect();
    match Format::or_default(format) {
        Format::Json => {
            let list: Vec<_> = rows
                .iter()
                .map(|(name, admin, at)| json!({ "name": name, "admin": admin, "createdAt": at }))
                .collect();
            outln!("{}", serde_json::to_string_pretty(&list)?)?;
        }
        Format::Table => {
            let rows: Vec<_> = rows
                .iter()
                .map(|(name, admin, at)| {
                    vec![(*name).to_owned(), if *admin { "yes" } else { "no" }.into(), at.clone()]
                })
                .collect();
            out!("{}", table::render(&["NAME", "ADMIN", "MADE"], &rows))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
