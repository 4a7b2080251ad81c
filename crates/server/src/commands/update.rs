//! `lazaret advisories update`: fetches the live feeds and imports what changed.

use std::process::ExitCode;

use anyhow::{Context, bail};
use feeds::{Downloaded, Downloader, SOURCES, Source};

use super::advisories;
use crate::cli::{DbArgs, Format};
use crate::inspect::progress_bar;

/// Fetches the sources named, or all. One that fails does not stop the others.
pub async fn run(db: &DbArgs, names: &[String]) -> anyhow::Result<ExitCode> {
    let chosen = choose(names)?;
    let downloader = Downloader::new(db.directory().join("downloads"))
        .context("cannot set up an HTTP client")?;
    let mut files = Vec::new();
    let mut failed = Vec::new();
    for source in &chosen {
        let bar = progress_bar(0, source.id);
        match downloader.fetch(source, |n| bar.inc(n)).await {
            Ok(Downloaded::Files(new)) => files.extend(new),
            Ok(Downloaded::Unchanged) => eprintln!("{}: unchanged", source.id),
            Err(error) => {
                eprintln!("lazaret: warning: {}: {:#}", source.id, anyhow::Error::from(error));
                failed.push(source.id);
            }
        }
        bar.finish_and_clear();
    }
    if failed.len() == chosen.len() {
        bail!(
            "no advisory source could be fetched; import files with `lazaret advisories import`, or carry them over with `pack` and `unpack`"
        );
    }
    if !files.is_empty() {
        advisories::import(&files, db, Format::or_default(None))?;
    }
    if !failed.is_empty() {
        bail!(
            "these sources could not be fetched and keep their older data: {}",
            failed.join(", ")
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn choose(names: &[String]) -> anyhow::Result<Vec<&'static Source>> {
    if names.is_empty() {
        return Ok(SOURCES.iter().collect());
    }
    names
        .iter()
        .map(|name| {
            SOURCES.iter().find(|s| s.id == name).with_context(|| {
                let known: Vec<_> = SOURCES.iter().map(|s| s.id).collect();
                format!("{name:?} is not a source; known are {}", known.join(", "))
            })
        })
        .collect()
}
