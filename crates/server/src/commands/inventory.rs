//! `lazaret inventory`.

use std::process::ExitCode;

use packages::purl::Purl;
use packages::{Inventory, InventoryItem};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::report::{self, Subject};
use super::table;
use crate::cli::{Format, InventoryArgs, InventoryFormat};
use crate::inspect;
use crate::output::{out, outln};

/// Lists an image's packages.
pub async fn run(args: &InventoryArgs) -> anyhow::Result<ExitCode> {
    let report = inspect::inspect(&args.target).await?;
    let inventory = &report.inspected.inventory;
    let target = args.target.target.as_str();
    let subject =
        || Subject { target, image: &report, judged: None, at: OffsetDateTime::now_utc() };
    let print = |document: &Value| -> anyhow::Result<()> {
        outln!("{}", serde_json::to_string_pretty(document)?)?;
        Ok(())
    };
    match args.format.unwrap_or_else(|| Format::or_default(None).into()) {
        InventoryFormat::Cyclonedx => print(&report::cyclonedx::document(&subject()))?,
        InventoryFormat::Spdx => print(&report::spdx::document(&subject()))?,
        InventoryFormat::Json => {
            print(&json!({
                "target": target,
                "digest": report.digest.to_string(),
                "platform": platform(&report.inspected.platform),
                "os": os(inventory),
                "packages": inventory.packages.iter().map(|item| package(inventory, item)).collect::<Vec<_>>(),
                "problems": inventory.problems,
                "cause": report.inspected.inapplicable,
            }))?;
        }
        InventoryFormat::Table => {
            let rows: Vec<_> = inventory
                .packages
                .iter()
                .map(|item| {
                    let p = &item.package;
                    vec![
                        p.kind.as_str().to_owned(),
                        p.name.clone(),
                        p.version.clone(),
                        p.arch.clone().unwrap_or_default(),
                        item.layer.to_string(),
                        item.path.clone(),
                    ]
                })
                .collect();
            out!(
                "{}",
                table::render(&["TYPE", "NAME", "VERSION", "ARCH", "LAYER", "PATH"], &rows)
            )?;
            outln!("{} packages", rows.len())?;
        }
    }
    for problem in &inventory.problems {
        eprintln!("lazaret: warning: {}", table::printable(&problem.message));
    }
    Ok(ExitCode::SUCCESS)
}

/// A package as the contract writes it.
pub fn package(inventory: &Inventory, item: &InventoryItem) -> Value {
    let p = &item.package;
    json!({
        "type": p.kind.as_str(),
        "name": p.name,
        "version": p.version,
        "arch": p.arch,
        "source": p.source.as_ref().map(|s| &s.name),
        "source_version": p.source.as_ref().map(|s| &s.version),
        "purl": Purl::of(p, inventory.os.as_ref()).to_string(),
        "layer": item.layer,
        "path": item.path,
        "owner": item.owner,
    })
}

/// `linux/arm64/v8`.
pub fn platform(platform: &store::scan::ImagePlatform) -> String {
    [Some(platform.os.as_str()), Some(platform.architecture.as_str()), platform.variant.as_deref()]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/")
}

/// The operating system as the contract writes it.
pub fn os(inventory: &Inventory) -> Value {
    inventory.os.as_ref().map_or(Value::Null, |os| {
        json!({ "id": os.id, "version": os.version_id, "codename": os.codename, "name": os.pretty_name })
    })
}
