//! `lazaret admin gc`: collects garbage beside a running server, or says what
//! keeps a blob.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use oci::Digest;
use registry::collect::CollectStage;
use registry::{CollectOptions, Registry};
use serde_json::{Value, json};
use store::collect::{CollectFigures, Standing, StandingManifest};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::{Format, GcArgs};
use crate::collector;
use crate::commands::table;
use crate::config::Config;
use crate::output::{out, outln};
use crate::storage::Storage;

/// Most rows of each kind that `--why` lists.
const WHY_ROWS_MAX: u32 = 200;
/// Past runs that `--runs` lists.
const RUNS_MAX: u32 = 50;

/// Collects, or explains.
pub async fn run(
    storage: &Storage,
    config: &Config,
    args: GcArgs,
    format: Option<Format>,
) -> anyhow::Result<ExitCode> {
    let grace = args.grace.unwrap_or(config.collection_grace);
    if let Some(digest) = &args.why {
        let digest = Digest::parse(digest)
            .with_context(|| format!("{digest:?} is not a digest such as sha256:..."))?;
        return why(storage, &digest, grace, format).await;
    }
    if args.runs {
        return runs(storage, format).await;
    }
    let registry = Registry::new(
        storage.blobs.clone(),
        storage.database.clone(),
        Arc::new(()),
        registry::wall_clock(),
    )
    .with_collector_lock(collector::lock(config, &*storage.database));
    let began = Instant::now();
    let bar = bar();
    let shown = bar.clone();
    let options = CollectOptions { grace, dry_run: args.dry_run, sweep_uploads: false };
    let collected = registry
        .collect(options, Arc::new(move |stage, figures| show(&shown, stage, figures)))
        .await;
    bar.finish_and_clear();
    let figures = collected?;
    let seconds = began.elapsed().as_secs_f64();
    match Format::or_default(format) {
        Format::Json => {
            let mut document = serde_json::to_value(figures)?;
            document["dryRun"] = args.dry_run.into();
            document["seconds"] = seconds.into();
            outln!("{}", serde_json::to_string_pretty(&document)?)?;
        }
        Format::Table => {
            let done = if args.dry_run { "WOULD GO" } else { "GONE" };
            let row = |what: &str, n: u64| vec![what.to_owned(), n.to_string()];
            let rows = [
                row("blobs that repositories held and no manifest needs", figures.links),
                row("blobs", figures.blobs),
                row("  of them without a row", figures.stray_blobs),
                row("bytes", figures.bytes),
                row("upload files without a row", figures.stray_uploads),
                row("empty repositories", figures.repositories),
                row("blobs that could not be removed", figures.failed),
            ];
            out!("{}", table::render(&["WHAT", done], &rows))?;
        }
    }
    Ok(if figures.failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Drawn at a terminal only.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

fn show(bar: &ProgressBar, stage: CollectStage, figures: &CollectFigures) {
    let stage = match stage {
        CollectStage::Leftovers => "leftovers of an earlier run",
        CollectStage::Uploads => "uploads",
        CollectStage::Links => "blobs that no manifest needs",
        CollectStage::Blobs => "blobs that no repository holds",
        CollectStage::Strays => "files without a row",
        CollectStage::Repositories => "empty repositories",
    };
    bar.set_message(format!(
        "{stage}: {} released, {} blobs with {} bytes freed",
        figures.links, figures.blobs, figures.bytes
    ));
    bar.tick();
}

async fn runs(storage: &Storage, format: Option<Format>) -> anyhow::Result<ExitCode> {
    let runs = storage.database.collections(RUNS_MAX).await?;
    match Format::or_default(format) {
        Format::Json => {
            let list: Vec<Value> = runs
                .iter()
                .map(|run| {
                    json!({
                        "run": run.run.to_string(),
                        "purpose": run.purpose.as_str(),
                        "startedAt": at(run.started_at),
                        "endedAt": run.ended_at.map(at),
                        "figures": run.figures,
                        "error": run.error,
                    })
                })
                .collect();
            outln!("{}", serde_json::to_string_pretty(&list)?)?;
        }
        Format::Table => {
            let rows: Vec<Vec<String>> = runs
                .iter()
                .map(|run| {
                    let figures = run.figures.unwrap_or_default();
                    vec![
                        at(run.started_at),
                        run.purpose.as_str().to_owned(),
                        run.ended_at.map_or_else(|| "under way".to_owned(), at),
                        figures.blobs.to_string(),
                        figures.bytes.to_string(),
                        run.error.clone().unwrap_or_default(),
                    ]
                })
                .collect();
            out!(
                "{}",
                table::render(&["BEGAN", "FOR", "ENDED", "BLOBS", "BYTES", "ERROR"], &rows)
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn why(
    storage: &Storage,
    digest: &Digest,
    grace: std::time::Duration,
    format: Option<Format>,
) -> anyhow::Result<ExitCode> {
    let standing = storage.database.standing(digest, WHY_ROWS_MAX).await?;
    let known = standing != Standing::default();
    match Format::or_default(format) {
        Format::Json => {
            let document = document(digest, &standing, grace);
            outln!("{}", serde_json::to_string_pretty(&document)?)?;
        }
        Format::Table => {
            for sentence in sentences(digest, &standing, grace) {
                outln!("{}", table::printable(&sentence))?;
            }
        }
    }
    Ok(if known { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn document(digest: &Digest, standing: &Standing, grace: std::time::Duration) -> Value {
    let manifest = |m: &StandingManifest| {
        json!({
            "repository": m.repository, "digest": m.digest, "tags": m.tags, "indexes": m.indexes, "subject": m.subject,
        })
    };
    json!({
        "digest": digest,
        "kept": is_kept(standing),
        "blob": standing.blob.map(|blob| json!({
            "size": blob.size, "createdAt": at(blob.created_at),
            "condemnedAt": blob.condemned_at.map(at), "damagedAt": blob.damaged_at.map(at),
        })),
        "repositories": standing.links.iter().map(|link| json!({
            "name": link.repository, "since": at(link.linked_at), "needed": link.needed,
            "graceUntil": at(link.linked_at + grace),
        })).collect::<Vec<_>>(),
        "references": standing.references.iter().map(|reference| {
            let mut document = manifest(&reference.manifest);
            document["as"] = reference.kind.as_str().into();
            document
        }).collect::<Vec<_>>(),
        "manifests": standing.manifests.iter().map(manifest).collect::<Vec<_>>(),
        "uploads": standing.uploads.iter().map(|upload| json!({
            "id": upload.id.to_string(), "repository": upload.repository, "startedAt": at(upload.started_at),
        })).collect::<Vec<_>>(),
        "freed": standing.freed.iter().map(|freed| json!({
            "run": freed.run.to_string(), "at": at(freed.at), "size": freed.size,
        })).collect::<Vec<_>>(),
    })
}

fn is_kept(standing: &Standing) -> bool {
    !standing.links.is_empty() || !standing.manifests.is_empty() || !standing.uploads.is_empty()
}

fn sentences(digest: &Digest, standing: &Standing, grace: std::time::Duration) -> Vec<String> {
    let mut out = Vec::new();
    match standing.blob {
        Some(blob) => {
            out.push(format!(
                "{digest} is a blob of {} bytes, here since {}.",
                blob.size,
                at(blob.created_at)
            ));
            if let Some(since) = blob.condemned_at {
                out.push(format!("It is being removed since {}.", at(since)));
            }
            if let Some(since) = blob.damaged_at {
                out.push(format!("Its bytes are known to be damaged since {}; push it again, or run `lazaret admin scrub --repair`.", at(since)));
            }
        }
        None if standing.manifests.is_empty() => out.push(format!("{digest} is not here.")),
        None => {}
    }
    for m in &standing.manifests {
        out.push(format!("It is a manifest of repository {}{}.", m.repository, names(m)));
    }
    for link in &standing.links {
        let why = if link.needed {
            "needs it for manifests".to_owned()
        } else {
            format!(
                "holds it, and no manifest there needs it: it may go after {}",
                at(link.linked_at + grace)
            )
        };
        out.push(format!("Repository {} {why}.", link.repository));
    }
    for reference in &standing.references {
        let m = &reference.manifest;
        out.push(format!(
            "Manifest {} of {} refers to it as its {}{}.",
            m.digest,
            m.repository,
            reference.kind.as_str(),
            names(m)
        ));
    }
    for upload in &standing.uploads {
        out.push(format!(
            "Upload {} to {} is placing it, begun {}.",
            upload.id,
            upload.repository,
            at(upload.started_at)
        ));
    }
    if standing.blob.is_some_and(|b| b.condemned_at.is_none()) && !is_kept(standing) {
        out.push("Nothing keeps it: the next collection removes it.".to_owned());
    }
    for freed in &standing.freed {
        out.push(format!(
            "Run {} removed its {} bytes at {}.",
            freed.run,
            freed.size,
            at(freed.at)
        ));
    }
    out
}

/// Tags, indexes and subject of a manifest, in words.
fn names(manifest: &StandingManifest) -> String {
    let mut out = String::new();
    if !manifest.tags.is_empty() {
        let tags: Vec<&str> = manifest.tags.iter().map(|t| t.as_str()).collect();
        out += &format!(", tagged {}", tags.join(", "));
    }
    for index in &manifest.indexes {
        out += &format!(", listed by index {index}");
    }
    if let Some(subject) = &manifest.subject {
        out += &format!(", about {subject}");
    }
    out
}

fn at(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}
