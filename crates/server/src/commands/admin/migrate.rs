//! `lazaret admin migrate`: an installation onto other stores, such as from
//! SQLite and files to PostgreSQL and S3.
//!
//! No server may run on the old one meanwhile. Blobs go first, each verified
//! on its way; then all metadata, in one transaction of the new database. What
//! dies in between is begun again: blobs that are there are not copied twice,
//! and the new database is as empty as before.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt};
use indicatif::ProgressBar;
use oci::{Digest, Hasher};
use serde_json::json;
use store::collect::SizedBlob;
use store::{BlobStore, UploadId};

use super::backup;
use crate::cli::{Format, ServeArgs};
use crate::commands::table;
use crate::config::Config;
use crate::output::{out, outln};
use crate::serve;
use crate::storage::Storage;

/// Blobs that are listed at a time.
const PAGE_ROWS: u32 = 1000;
/// Blobs copied at once.
const BLOBS_AT_ONCE: usize = 4;
/// Damaged blobs that are named; all are counted.
const DAMAGED_NAMED_MAX: usize = 20;

/// Moves what `from` keeps to where the configuration file `to` says.
pub async fn run(
    from: &Storage,
    config: &Config,
    to: &Path,
    format: Option<Format>,
) -> anyhow::Result<ExitCode> {
    let _lock = serve::claim(&config.data)
        .context("an installation is moved while no server runs on it")?;
    let target = Config::load(&ServeArgs { config: Some(to.to_owned()), ..ServeArgs::default() })?;
    if target.database == config.database
        && (target.database.is_some() || target.data == config.data)
    {
        bail!(
            "{} names the database that the installation has already; set [database] url or data in it",
            to.display()
        );
    }
    let _target_lock = (target.data != config.data)
        .then(|| serve::claim(&target.data))
        .transpose()
        .context("the new installation must not run yet")?;
    let new = Storage::open(&target).await?;
    let began = Instant::now();
    let blobs = if target.content == config.content {
        Copied::default()
    } else {
        copy_blobs(from, &*new.blobs).await?
    };
    let tables = copy_metadata(from, &new).await?;
    new.database.close().await;

    let rows: u64 = tables.iter().map(|t| t.rows).sum();
    let took = began.elapsed().as_secs_f64();
    match Format::or_default(format) {
        Format::Json => {
            let damaged: Vec<_> = blobs.damaged.iter().map(ToString::to_string).collect();
            let tables: serde_json::Map<_, _> =
                tables.iter().map(|t| (t.table.clone(), t.rows.into())).collect();
            let document = json!({
                "blobsCopied": blobs.copied,
                "blobsThere": blobs.there,
                "bytesCopied": blobs.bytes,
                "damaged": damaged,
                "rows": rows,
                "tables": tables,
                "seconds": took,
            });
            outln!("{}", serde_json::to_string_pretty(&document)?)?;
        }
        Format::Table => {
            let cells: Vec<_> =
                tables.iter().map(|t| vec![t.table.clone(), t.rows.to_string()]).collect();
            out!("{}", table::render(&["TABLE", "ROWS"], &cells))?;
            outln!(
                "{} blobs copied, {} were there, {} rows, in {took:.1} s.",
                blobs.copied,
                blobs.there,
                rows
            )?;
            for digest in blobs.damaged.iter().take(DAMAGED_NAMED_MAX) {
                outln!("damaged, not copied: {digest}")?;
            }
            outln!("Start the server with --config {} from now on.", to.display())?;
            if target.data != config.data {
                outln!(
                    "Certificates and advisories stay in {}: copy tls/ and advisories/ to {} to keep them.",
                    config.data.display(),
                    target.data.display()
                )?;
            }
        }
    }
    Ok(if blobs.damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What became of the blobs.
#[derive(Default)]
struct Copied {
    copied: u64,
    there: u64,
    bytes: u64,
    damaged: Vec<Digest>,
}

enum Outcome {
    Copied,
    There,
    Damaged,
}

async fn copy_blobs(from: &Storage, to: &dyn BlobStore) -> anyhow::Result<Copied> {
    let (blobs, bytes) = from.database.stored_totals().await?;
    let bar = backup::bar(bytes, blobs);
    let mut sum = Copied::default();
    let mut after = None::<Digest>;
    loop {
        let page = from.database.stored_blobs(after.as_ref(), PAGE_ROWS).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.digest);
        let mut copies = futures::stream::iter(page)
            .map(|blob| {
                let bar = bar.clone();
                async move { Ok::<_, anyhow::Error>((copy(from, to, &blob, &bar).await?, blob)) }
            })
            .buffer_unordered(BLOBS_AT_ONCE);
        while let Some((outcome, blob)) = copies.try_next().await? {
            match outcome {
                Outcome::There => sum.there += 1,
                Outcome::Damaged => sum.damaged.push(blob.digest),
                Outcome::Copied => {
                    sum.copied += 1;
                    sum.bytes += blob.size;
                }
            }
        }
    }
    bar.finish_and_clear();
    Ok(sum)
}

async fn copy(
    from: &Storage,
    to: &dyn BlobStore,
    blob: &SizedBlob,
    bar: &ProgressBar,
) -> anyhow::Result<Outcome> {
    let attempt = || format!("cannot copy blob {}", blob.digest);
    if to.blob_size(&blob.digest).await.with_context(attempt)? == Some(blob.size) {
        bar.inc(blob.size);
        return Ok(Outcome::There);
    }
    let Some(source) = from.blobs.open_blob(&blob.digest).await.with_context(attempt)? else {
        return Ok(Outcome::Damaged);
    };
    let id = UploadId::random();
    to.begin_upload(id).await.with_context(attempt)?;
    let written = fill(source, to, id, blob, bar).await;
    let outcome = match written {
        Ok(digest) if digest == blob.digest => {
            to.commit_upload(id, &digest).await.with_context(attempt).map(|_| Outcome::Copied)
        }
        Ok(_) => Ok(Outcome::Damaged),
        Err(error) => Err(error).with_context(attempt),
    };
    if !matches!(outcome, Ok(Outcome::Copied)) {
        // What happened before counts more than what happens to the rest.
        let _ = to.discard_upload(id).await;
    }
    outcome
}

async fn fill(
    source: store::Blob,
    to: &dyn BlobStore,
    id: UploadId,
    blob: &SizedBlob,
    bar: &ProgressBar,
) -> anyhow::Result<Digest> {
    let mut writer = to.continue_upload(id).await?.context("the new store lost the upload")?;
    let mut hasher = Hasher::new(blob.digest.algorithm());
    let size = source.size;
    let mut pieces = source.stream(0..size);
    while let Some(piece) = pieces.try_next().await? {
        hasher.update(&piece);
        bar.inc(piece.len() as u64);
        writer.append(vec![piece]).await?;
    }
    writer.flush().await?;
    Ok(hasher.finish())
}

async fn copy_metadata(
    from: &Storage,
    to: &Storage,
) -> anyhow::Result<Vec<store::transfer::TableRows>> {
    let mut fill = to.database.fill().await.context("cannot fill the new database")?;
    from.database.export(&mut *fill).await.context("cannot copy the metadata")?;
    let tables = fill.finish().await.context("cannot keep the metadata in the new database")?;
    let before = from.database.tables().await?;
    for table in &before {
        let there = tables.iter().find(|t| t.table == table.table).map_or(0, |t| t.rows);
        if there != table.rows {
            bail!("table {} has {there} rows and should have {}", table.table, table.rows);
        }
    }
    Ok(tables)
}
