//! `lazaret admin policies`, `retention` and `usage`: locks for tags, what goes
//! when it is old, soft delete, quotas.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use access::{Principal, authorise_catalog, authorise_registry};
use anyhow::{Context, bail};
use registry::Registry;
use registry::policies::{Policies, VersionedPolicies};
use registry::retention::Planned;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::cli::{Format, PoliciesCommand};
use crate::commands::table;
use crate::output::{out, outln};
use crate::storage::Storage;

/// Largest document that is read.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;

fn registry(storage: &Storage) -> Registry {
    Registry::new(
        storage.blobs.clone(),
        storage.database.clone(),
        Arc::new(()),
        registry::wall_clock(),
    )
}

/// Shows or replaces the policies; a running server has them in force within seconds.
pub async fn run(storage: &Storage, command: PoliciesCommand) -> anyhow::Result<ExitCode> {
    let registry = registry(storage);
    let now = match command {
        PoliciesCommand::Show => (*registry.policies().await?).clone(),
        PoliciesCommand::Set { file, expected } => {
            let text = read(&file)?;
            let policies: Policies =
                serde_json::from_str(&text).context("the document is no set of policies")?;
            let permit = authorise_registry(&Principal::operator())?;
            registry.change_policies(&permit, policies, expected).await?
        }
    };
    outln!("{}", serde_json::to_string_pretty(&document(&now)?)?)?;
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(DOCUMENT_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        let file =
            std::fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
        file.take(DOCUMENT_BYTES_MAX + 1).read_to_string(&mut text)
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    if text.len() as u64 > DOCUMENT_BYTES_MAX {
        bail!("{} has more than {DOCUMENT_BYTES_MAX} bytes", file.display());
    }
    Ok(text)
}

fn document(now: &VersionedPolicies) -> anyhow::Result<Value> {
    Ok(json!({
        "version": now.version,
        "changedAt": now.changed_at.and_then(|at| at.format(&Rfc3339).ok()),
        "changedBy": now.changed_by,
        "policies": serde_json::to_value(&now.policies)?,
    }))
}

/// Applies the retention rules, or says what they would take.
pub async fn retention(
    storage: &Storage,
    dry_run: bool,
    format: Option<Format>,
) -> anyhow::Result<ExitCode> {
    let permit = authorise_registry(&Principal::operator())?;
    let report = registry(storage).run_retention(&permit, dry_run).await?;
    let planned = |p: &Planned| {
        json!({
            "repository": p.repository.as_str(),
            "digest": p.digest,
            "untag": p.untag.as_ref().map(ToString::to_string),
            "tags": p.tags.iter().map(|(tag, _)| tag.to_string()).collect::<Vec<_>>(),
            "rule": p.rule,
        })
    };
    match Format::or_default(format) {
        Format::Json => {
            let kept: Vec<_> = report
                .kept
                .iter()
                .map(|(p, why)| {
                    let mut one = planned(p);
                    one["why"] = why.as_str().into();
                    one
                })
                .collect();
            let document = json!({
                "dryRun": report.dry_run,
                "repositories": report.repositories,
                "manifests": report.manifests,
                "tags": report.tags,
                "deleted": report.deleted,
                "planned": report.planned.iter().map(planned).collect::<Vec<_>>(),
                "kept": kept,
            });
            outln!("{}", serde_json::to_string_pretty(&document)?)?;
        }
        Format::Table => {
            let row = |p: &Planned| {
                let tags: Vec<_> = p.tags.iter().map(|(tag, _)| tag.to_string()).collect();
                let what = if p.untag.is_some() { "untag" } else { "delete" };
                vec![
                    what.into(),
                    p.repository.to_string(),
                    p.digest.to_string(),
                    tags.join(" "),
                    p.rule.clone(),
                ]
            };
            let rows: Vec<_> = report.planned.iter().map(row).collect();
            let headings = ["WHAT", "REPOSITORY", "DIGEST", "TAGS", "RULE"];
            out!("{}", table::render(&headings, &rows))?;
            for (p, why) in &report.kept {
                outln!("kept: {}@{}: {}", p.repository, p.digest, table::printable(why))?;
            }
            outln!(
                "{} manifests and {} tags by the rules, {} manifests deleted.",
                report.manifests,
                report.tags,
                report.deleted
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what is held; recounts it from the rows where that is asked for. Exit
/// code 1: the counters were wrong.
pub async fn usage(
    storage: &Storage,
    recount: bool,
    format: Option<Format>,
) -> anyhow::Result<ExitCode> {
    let registry = registry(storage);
    let differences = if recount { registry.check_usage(true).await?.len() } else { 0 };
    let usage = registry.usage(&authorise_catalog(&Principal::operator())?).await?;
    let limit = |bytes: Option<u64>| bytes.map_or("-".into(), |b| b.to_string());
    match Format::or_default(format) {
        Format::Json => {
            let repositories: Vec<_> = usage
                .repositories
                .iter()
                .map(|(name, bytes, max)| json!({ "name": name.as_str(), "bytes": bytes, "bytesMax": max }))
                .collect();
            let document = json!({
                "bytes": usage.registry_bytes,
                "bytesMax": usage.registry_bytes_max,
                "repositories": repositories,
                "corrected": differences,
            });
            outln!("{}", serde_json::to_string_pretty(&document)?)?;
        }
        Format::Table => {
            let mut rows = vec![vec![
                "(all)".to_owned(),
                usage.registry_bytes.to_string(),
                limit(usage.registry_bytes_max),
            ]];
            rows.extend(
                usage.repositories.iter().map(|(name, bytes, max)| {
                    vec![name.to_string(), bytes.to_string(), limit(*max)]
                }),
            );
            out!("{}", table::render(&["REPOSITORY", "BYTES", "AT MOST"], &rows))?;
            if differences > 0 {
                outln!("{differences} counters were wrong and are right now.")?;
            }
        }
    }
    Ok(if differences == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
