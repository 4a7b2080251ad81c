//! `lazaret admin backup`: a copy of an installation while its server runs.
//!
//! ```text
//! DIR/backup.json              what belongs together; written last, by rename
//! DIR/database-RUN.db          the database of one moment
//! DIR/blobs-RUN.txt            digest and size of every blob that it speaks of
//! DIR/content/blobs/...        their bytes, as in the data directory
//! DIR/tls/                     certificates of the installation's own
//! ```
//!
//! The collector's seat is taken first, so that no bytes go away; then comes the
//! database, of one moment; then the bytes it speaks of, which are all there
//! since a row is written after its bytes. A second backup into the same folder
//! copies what is new, and removes what the new database does not speak of once
//! it is in force: a backup that dies leaves the one before it whole.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use backends::files::FileBlobs;
use backends::sqlite::SqliteStore;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use oci::{Algorithm, Digest, Hasher};
use registry::collect::Seat;
use registry::{CollectError, Registry};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::collect::{CollectFigures, Purpose, SizedBlob};
use store::{BlobSource, BlobStore, Database, ScrubStore, UploadId};
use time::OffsetDateTime;

use crate::cli::{BackupArgs, Format};
use crate::collector;
use crate::commands::table;
use crate::config::Config;
use crate::output::{out, outln};
use crate::storage::Storage;

/// Names what belongs together.
pub const INDEX_FILE: &str = "backup.json";
/// Bytes of blobs, as in a data directory.
pub const CONTENT_DIR: &str = "content";
/// Certificates, as in a data directory.
pub const TLS_DIR: &str = "tls";
/// Rows that are read at a time.
const PAGE_ROWS: u32 = 1000;
/// How long a collection that is under way is waited for.
const COLLECTION_WAIT_MAX: Duration = Duration::from_secs(600);
/// Bytes of a file that are hashed at a time.
const HASH_BUFFER_BYTES: usize = 1 << 20;

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Of this format.
    pub format: u32,
    /// The program that wrote it.
    pub program: String,
    /// The moment that the database is of.
    #[serde(with = "time::serde::rfc3339")]
    pub made_at: OffsetDateTime,
    /// File of the database.
    pub database: Named,
    /// File with a line `DIGEST SIZE` for each blob.
    pub blobs: Named,
    /// How many there are.
    pub blob_count: u64,
    /// Their bytes.
    pub blob_bytes: u64,
}

/// A file with its digest.
#[derive(Debug, Serialize, Deserialize)]
pub struct Named {
    /// Its name in the folder.
    pub file: String,
    /// Of its bytes.
    pub digest: Digest,
}

/// The format that this program writes and reads.
pub const FORMAT: u32 = 1;

/// What a backup did.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    blobs: u64,
    bytes: u64,
    copied: u64,
    copied_bytes: u64,
    removed: u64,
    damaged: Vec<Digest>,
}

/// Makes a backup, or brings one up to date.
pub async fn run(
    storage: &Storage,
    config: &Config,
    args: BackupArgs,
    format: Option<Format>,
) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    fs::create_dir_all(&args.directory)
        .with_context(|| format!("cannot make {}", args.directory.display()))?;
    let registry = Registry::new(
        storage.blobs.clone(),
        storage.database.clone(),
        Arc::new(()),
        registry::wall_clock(),
    )
    .with_collector_lock(collector::lock(config, &*storage.database));
    let seat = take_seat(&registry).await?;
    let outcome = seat.keep_while(copy(storage, config, &args, &seat)).await;
    let error = match &outcome {
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(error) => Some(error.to_string()),
        Ok(Ok(_)) => None,
    };
    seat.leave(&CollectFigures::default(), error.as_deref()).await?;
    let figures = outcome??;
    let seconds = began.elapsed().as_secs_f64();
    match Format::or_default(format) {
        Format::Json => {
            let mut document = json!(figures);
            document["directory"] = json!(args.directory);
            document["seconds"] = seconds.into();
            outln!("{}", serde_json::to_string_pretty(&document)?)?;
        }
        Format::Table => {
            let row = |what: &str, n: u64| vec![what.to_owned(), n.to_string()];
            let rows = [
                row("blobs", figures.blobs),
                row("bytes", figures.bytes),
                row("blobs copied now", figures.copied),
                row("bytes copied now", figures.copied_bytes),
                row("blobs removed that are of no more use", figures.removed),
                row("damaged blobs that are left out", figures.damaged.len() as u64),
            ];
            out!("{}", table::render(&["BACKUP", ""], &rows))?;
        }
    }
    for digest in &figures.damaged {
        eprintln!(
            "lazaret: blob {digest} is damaged and not in the backup; see `lazaret admin scrub`"
        );
    }
    Ok(if figures.damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Waits for a collection that is under way.
async fn take_seat(registry: &Registry) -> anyhow::Result<Seat> {
    let began = Instant::now();
    loop {
        match registry.take_seat(Purpose::Backup).await {
            Ok(seat) => return Ok(seat),
            Err(CollectError::Busy { .. }) if began.elapsed() < COLLECTION_WAIT_MAX => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error).context("cannot keep garbage collection away"),
        }
    }
}

async fn copy(
    storage: &Storage,
    config: &Config,
    args: &BackupArgs,
    seat: &Seat,
) -> anyhow::Result<Figures> {
    let folder = &args.directory;
    let previous = read_index(folder).ok();
    let made_at = OffsetDateTime::now_utc();
    let database = folder.join(format!("database-{}.db", seat.run()));
    if !storage.database.snapshot(&database).await.context("cannot copy the database")? {
        bail!(
            "this database is backed up by its own means: take a pg_dump first and a version or copy of the object store \
             after it, with `collection.interval_secs = 0` until both are there"
        );
    }
    let snapshot =
        SqliteStore::open(&database).await.context("cannot read the copy of the database")?;
    let list = folder.join(format!("blobs-{}.txt", seat.run()));
    let copied = copy_blobs(storage, config, args, &snapshot, &list).await;
    snapshot.close().await;
    let (mut figures, kept) = copied?;
    if config.data.join(TLS_DIR).is_dir() {
        copy_folder(&config.data.join(TLS_DIR), &folder.join(TLS_DIR))
            .context("cannot copy the certificates")?;
    }
    let index = Index {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        made_at,
        database: named(&database)?,
        blobs: named(&list)?,
        blob_count: figures.blobs,
        blob_bytes: figures.bytes,
    };
    put_in_force(folder, &index).context("cannot finish the backup")?;
    // From here on the new one counts.
    if let Some(previous) = previous {
        for file in [previous.database.file, previous.blobs.file] {
            let _ = fs::remove_file(folder.join(file));
        }
    }
    figures.removed = remove_others(&folder.join(CONTENT_DIR), &kept).await?;
    Ok(figures)
}

async fn copy_blobs(
    storage: &Storage,
    config: &Config,
    args: &BackupArgs,
    snapshot: &SqliteStore,
    list: &Path,
) -> anyhow::Result<(Figures, HashSet<Digest>)> {
    let target =
        FileBlobs::open(&args.directory.join(CONTENT_DIR)).context("cannot prepare the folder")?;
    let originals = config.data.join(CONTENT_DIR);
    let (total, bytes) = snapshot.stored_totals().await?;
    let bar = bar(bytes, total);
    let mut lines = BufWriter::new(File::create(list)?);
    let (mut figures, mut kept, mut after) = (Figures::default(), HashSet::new(), None);
    loop {
        let page = snapshot.stored_blobs(after.as_ref(), PAGE_ROWS).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.digest);
        for blob in page {
            bar.inc(blob.size);
            if target.blob_size(&blob.digest).await? != Some(blob.size) {
                if !copy_blob(storage, &target, args.link.then_some(originals.as_path()), blob)
                    .await?
                {
                    figures.damaged.push(blob.digest);
                    continue;
                }
                figures.copied += 1;
                figures.copied_bytes += blob.size;
            }
            writeln!(lines, "{} {}", blob.digest, blob.size)?;
            kept.insert(blob.digest);
            figures.blobs += 1;
            figures.bytes += blob.size;
        }
    }
    bar.finish_and_clear();
    lines.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok((figures, kept))
}

/// Copies and verifies one blob; false if it is not what it should be.
async fn copy_blob(
    storage: &Storage,
    target: &FileBlobs,
    link_from: Option<&Path>,
    blob: SizedBlob,
) -> anyhow::Result<bool> {
    let Some(source) = storage.blobs.open_blob(&blob.digest).await? else { return Ok(false) };
    if let (Some(from), BlobSource::File(_)) = (link_from, &source.source) {
        // Its own folder may be on another file system: then it is copied.
        if source.size == blob.size && target.link_blob_from(from, &blob.digest).await.is_ok() {
            return Ok(true);
        }
    }
    copy_verified(source.stream(0..source.size), target, &blob.digest).await
}

/// Stores a stream as a blob if it is that blob.
pub async fn copy_verified(
    mut pieces: impl futures::Stream<Item = io::Result<bytes::Bytes>> + Unpin,
    target: &FileBlobs,
    digest: &Digest,
) -> anyhow::Result<bool> {
    let id = UploadId::random();
    target.begin_upload(id).await?;
    let mut writer =
        target.continue_upload(id).await?.context("a file that was just made is gone")?;
    let mut hasher = Hasher::new(digest.algorithm());
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else {
            target.discard_upload(id).await?;
            return Ok(false);
        };
        hasher.update(&piece);
        writer.append(vec![piece]).await?;
    }
    if hasher.finish() != *digest {
        target.discard_upload(id).await?;
        return Ok(false);
    }
    drop(writer);
    target.commit_upload(id, digest).await?;
    Ok(true)
}

/// Drawn at a terminal only.
pub fn bar(bytes: u64, blobs: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}");
    ProgressBar::new(bytes)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(format!("{blobs} blobs"))
}

/// Reads what is in force in a folder.
pub fn read_index(folder: &Path) -> anyhow::Result<Index> {
    let path = folder.join(INDEX_FILE);
    let text =
        fs::read(&path).with_context(|| format!("there is no backup in {}", folder.display()))?;
    let index: Index = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not the index of a backup", path.display()))?;
    if index.format != FORMAT {
        bail!(
            "{} is of format {}, this program reads format {FORMAT}",
            path.display(),
            index.format
        );
    }
    Ok(index)
}

/// The digest of a file.
pub fn digest_file(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer) = (Hasher::new(Algorithm::Sha256), vec![0; HASH_BUFFER_BYTES]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Copies the files of a folder that has no folders in it.
pub fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn named(path: &Path) -> anyhow::Result<Named> {
    File::open(path)?.sync_all()?;
    let file = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
    Ok(Named { file, digest: digest_file(path)? })
}

fn put_in_force(folder: &Path, index: &Index) -> anyhow::Result<()> {
    let new: PathBuf = folder.join(format!("{INDEX_FILE}.new"));
    let mut file = File::create(&new)?;
    file.write_all(serde_json::to_string_pretty(index)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, folder.join(INDEX_FILE))?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Removes blobs and unfinished files that no backup speaks of.
async fn remove_others(content: &Path, kept: &HashSet<Digest>) -> anyhow::Result<u64> {
    let blobs = FileBlobs::open(content)?;
    let mut removed = 0;
    for shard in 0..=u8::MAX {
        for listed in blobs.blobs(shard).await? {
            if !kept.contains(&listed.digest) {
                blobs.delete_blob(&listed.digest).await?;
                removed += 1;
            }
        }
    }
    for id in blobs.uploads().await? {
        blobs.discard_upload(id).await?;
    }
    Ok(removed)
}
