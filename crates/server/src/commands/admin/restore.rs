//! `lazaret admin restore`: a new data directory from a backup, verified on the way.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use backends::files::FileBlobs;
use backends::sqlite::SqliteStore;
use oci::Digest;
use serde_json::json;
use store::{BlobStore, Database, ScrubStore};
use time::OffsetDateTime;

use super::backup::{self, CONTENT_DIR, TLS_DIR};
use crate::cli::{Format, RestoreArgs};
use crate::commands::table;
use crate::output::{out, outln};

/// Puts a backup in place as a data directory that no server has used yet.
pub async fn run(
    data: &Path,
    args: RestoreArgs,
    format: Option<Format>,
) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    if fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty; name a new directory with --data", data.display());
    }
    let index = backup::read_index(&args.directory)?;
    for named in [&index.database, &index.blobs] {
        let path = args.directory.join(&named.file);
        let digest = backup::digest_file(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if digest != named.digest {
            bail!(
                "{} is damaged: it should have digest {} and has {digest}",
                path.display(),
                named.digest
            );
        }
    }
    fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
    fs::set_permissions(data, fs::Permissions::from_mode(0o700))?;

    let damaged = copy_blobs(&args.directory, data, &index).await?;
    if !damaged.is_empty() && !args.force {
        for digest in &damaged {
            eprintln!("lazaret: blob {digest} is missing or damaged in the backup");
        }
        bail!(
            "{} blobs of the backup are missing or damaged, so it was not restored; with --force it is, and these \
             blobs are not served until they are pushed again",
            damaged.len()
        );
    }
    if args.directory.join(TLS_DIR).is_dir() {
        backup::copy_folder(&args.directory.join(TLS_DIR), &data.join(TLS_DIR))?;
    }
    // Last, since it makes the directory an installation.
    let (new, database) = (data.join("lazaret.db.new"), data.join("lazaret.db"));
    fs::copy(args.directory.join(&index.database.file), &new)
        .context("cannot copy the database")?;
    File::open(&new)?.sync_all()?;
    fs::rename(&new, &database)?;
    File::open(data)?.sync_all()?;
    let store = SqliteStore::open(&database).await.context("cannot open the restored database")?;
    for digest in &damaged {
        store.mark_damaged(digest, OffsetDateTime::now_utc()).await?;
    }
    let (rows, bytes) = store.stored_totals().await?;
    store.close().await;

    let restored = index.blob_count - damaged.len() as u64;
    match Format::or_default(format) {
        Format::Json => outln!(
            "{}",
            serde_json::to_string_pretty(&json!({
                "data": data, "madeAt": index.made_at, "blobs": restored, "bytes": bytes, "rows": rows,
                "damaged": damaged, "seconds": began.elapsed().as_secs_f64(),
            }))?
        )?,
        Format::Table => {
            let row = |what: &str, value: String| vec![what.to_owned(), value];
            let rows = [
                row("of", index.made_at.to_string()),
                row("blobs, verified", restored.to_string()),
                row("bytes", bytes.to_string()),
                row("damaged", damaged.len().to_string()),
            ];
            out!("{}", table::render(&["RESTORED", ""], &rows))?;
        }
    }
    Ok(if damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Copies every blob that the backup lists; gives those that are not what they
/// should be.
async fn copy_blobs(
    folder: &Path,
    data: &Path,
    index: &backup::Index,
) -> anyhow::Result<Vec<Digest>> {
    let source =
        FileBlobs::open(&folder.join(CONTENT_DIR)).context("cannot open the backup's blobs")?;
    let target =
        FileBlobs::open(&data.join(CONTENT_DIR)).context("cannot prepare the data directory")?;
    let bar = backup::bar(index.blob_bytes, index.blob_count);
    let list = folder.join(&index.blobs.file);
    let mut damaged = Vec::new();
    for line in BufReader::new(File::open(&list)?).lines() {
        let line = line?;
        let parsed = line.split_once(' ').and_then(|(digest, size)| {
            Some((Digest::parse(digest).ok()?, size.parse::<u64>().ok()?))
        });
        let Some((digest, size)) = parsed else { bail!("{} has a line {line:?}", list.display()) };
        bar.inc(size);
        let whole = match source.open_blob(&digest).await? {
            Some(blob) if blob.size == size => {
                backup::copy_verified(blob.stream(0..size), &target, &digest).await?
            }
            _ => false,
        };
        if !whole {
            damaged.push(digest);
        }
    }
    bar.finish_and_clear();
    Ok(damaged)
}
