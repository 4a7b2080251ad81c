//! `lazaret admin anonymous-pull`.

use std::process::ExitCode;

use access::{Principal, authorise_registry};
use api::settings::Settings;
use serde_json::json;

use super::operator::print;
use crate::cli::AnonymousPull;
use crate::storage::Storage;

pub async fn run(
    storage: &Storage,
    value: AnonymousPull,
    default: bool,
) -> anyhow::Result<ExitCode> {
    let settings = Settings::new(storage.database.clone(), default);
    let permit = authorise_registry(&Principal::operator())?;
    match value {
        AnonymousPull::On => settings.set_anonymous_pull(&permit, Some(true)).await?,
        AnonymousPull::Off => settings.set_anonymous_pull(&permit, Some(false)).await?,
        AnonymousPull::Default => settings.set_anonymous_pull(&permit, None).await?,
        AnonymousPull::Show => {}
    }
    print(&json!({ "anonymousPullEnabled": settings.anonymous_pull().await? }))?;
    Ok(ExitCode::SUCCESS)
}
