//! `lazaret admin scrub`: reads everything that is stored again, beside a
//! running server, and repairs what another copy can repair.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use async_trait::async_trait;
use backends::files::FileBlobs;
use backends::sqlite::SqliteStore;
use bytes::Bytes;
use oci::{Digest, Reference, RepositoryName};
use registry::scrub::{CopySource, Defect, Found, ScrubOptions};
use registry::{ByteStream, Registry};
use serde_json::{Value, json};
use store::{BlobStore, RegistryStore, StoreError};
use tokio::sync::mpsc;

use super::backup;
use crate::cli::{Format, ScrubArgs};
use crate::commands::table;
use crate::output::{out, outln};
use crate::storage::Storage;

/// Setting that holds the last blob that a run was done with.
const CURSOR: &str = "scrub.cursor";
/// How often it is written.
const CURSOR_EVERY: Duration = Duration::from_secs(5);
/// Most defects that are listed one by one; all are counted.
const FOUND_MAX: usize = 100_000;

/// Looks at everything.
pub async fn run(
    storage: &Storage,
    args: ScrubArgs,
    format: Option<Format>,
) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let registry = Registry::new(
        storage.blobs.clone(),
        storage.database.clone(),
        Arc::new(()),
        registry::wall_clock(),
    );
    let mut copies = Vec::new();
    for folder in &args.from {
        copies.push(CopyFolder::open(folder).await?);
    }
    let after = if args.resume {
        let cursor = storage.database.setting(CURSOR).await?;
        cursor
            .map(|text| Digest::parse(&text).context("the cursor of the last run is damaged"))
            .transpose()?
    } else {
        None
    };
    let options = ScrubOptions {
        after,
        bytes_per_second: args.bytes_per_second,
        sources: if args.repair {
            copies.iter().map(|c| c as &dyn CopySource).collect()
        } else {
            vec![]
        },
    };
    let (blobs, bytes) = storage.database.stored_totals().await?;
    let bar = backup::bar(bytes, blobs);
    let found: Mutex<(Vec<Found>, u64)> = Mutex::default();
    let (sender, receiver) = mpsc::channel(1);
    let keeping = tokio::spawn(keep_cursor(storage.database.clone(), receiver));
    let outcome = registry
        .scrub(
            &options,
            &|digest, scrubbed| {
                bar.set_position(scrubbed.bytes);
                if let Some(digest) = digest {
                    // A full queue: the next one is as good.
                    let _ = sender.try_send(*digest);
                }
            },
            &|one| {
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.1 += 1;
                if found.0.len() < FOUND_MAX {
                    found.0.push(one);
                }
            },
        )
        .await;
    drop(sender);
    keeping.await?;
    bar.finish_and_clear();
    let scrubbed = outcome?;
    storage.database.set_setting(CURSOR, None).await?;

    let (found, count) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    match Format::or_default(format) {
        Format::Json => outln!(
            "{}",
            serde_json::to_string_pretty(&json!({
                "blobs": scrubbed.blobs, "bytes": scrubbed.bytes, "manifests": scrubbed.manifests,
                "defects": count, "repaired": found.iter().filter(|f| f.repaired).count(),
                "found": found.iter().map(document).collect::<Vec<_>>(),
                "seconds": began.elapsed().as_secs_f64(),
            }))?
        )?,
        Format::Table => {
            let rows: Vec<Vec<String>> = found
                .iter()
                .map(|f| {
                    let repaired = if f.repaired { "yes" } else { "no" };
                    vec![
                        f.defect.kind().to_owned(),
                        f.digest.to_string(),
                        detail(&f.defect),
                        repaired.to_owned(),
                    ]
                })
                .collect();
            if !rows.is_empty() {
                out!("{}", table::render(&["WRONG", "DIGEST", "DETAIL", "REPAIRED"], &rows))?;
            }
            outln!(
                "{} blobs with {} bytes and {} manifests read, {count} defects",
                scrubbed.blobs,
                scrubbed.bytes,
                scrubbed.manifests
            )?;
        }
    }
    Ok(if count == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Writes down how far the run is, now and then.
async fn keep_cursor(settings: Arc<dyn store::Database>, mut done: mpsc::Receiver<Digest>) {
    let mut written = Instant::now();
    while let Some(digest) = done.recv().await {
        if written.elapsed() >= CURSOR_EVERY {
            if let Err(error) = settings.set_setting(CURSOR, Some(&digest.to_string())).await {
                tracing::warn!(%error, "where the run stands cannot be written down");
            }
            written = Instant::now();
        }
    }
}

fn document(found: &Found) -> Value {
    let mut document = json!({
        "defect": found.defect.kind(), "digest": found.digest, "repaired": found.repaired,
    });
    match &found.defect {
        Defect::MissingBlob | Defect::StrayBlob => {}
        Defect::WrongSize { expected, actual } => {
            document["expectedSize"] = (*expected).into();
            document["actualSize"] = (*actual).into();
        }
        Defect::WrongBytes { actual } => document["actualDigest"] = json!(actual),
        Defect::Unreadable { error } => document["error"] = error.as_str().into(),
        Defect::WrongManifest { repository, actual } => {
            document["repository"] = json!(repository);
            document["actualDigest"] = json!(actual);
        }
        Defect::MissingLink { repository, manifest } => {
            document["repository"] = json!(repository);
            document["manifest"] = json!(manifest);
        }
    }
    document
}

fn detail(defect: &Defect) -> String {
    match defect {
        Defect::MissingBlob => "has a row and no bytes".into(),
        Defect::WrongSize { expected, actual } => format!("{actual} bytes instead of {expected}"),
        Defect::WrongBytes { actual } => format!("hashes to {actual}"),
        Defect::Unreadable { error } => error.clone(),
        Defect::StrayBlob => "no row speaks of it; `admin gc` removes it".into(),
        Defect::WrongManifest { repository, actual } => {
            format!("in {repository}, hashes to {actual}")
        }
        Defect::MissingLink { repository, manifest } => {
            format!("needed by {manifest} of {repository}")
        }
    }
}

/// A backup, or the content of another data directory.
struct CopyFolder {
    blobs: FileBlobs,
    /// The database of a backup, for manifests; kept as long as it is read.
    database: Option<(SqliteStore, tempfile::TempDir)>,
}

impl CopyFolder {
    async fn open(folder: &Path) -> anyhow::Result<Self> {
        let content = folder.join(backup::CONTENT_DIR);
        anyhow::ensure!(
            content.is_dir(),
            "{} is neither a backup nor a data directory: there is no {}",
            folder.display(),
            content.display()
        );
        let blobs = FileBlobs::open(&content).context("cannot open the other copy")?;
        let database = match backup::read_index(folder) {
            // A copy of it, since opening one may change it.
            Ok(index) => {
                let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
                let copy = scratch.path().join("database.db");
                std::fs::copy(folder.join(&index.database.file), &copy)?;
                Some((SqliteStore::open(&copy).await?, scratch))
            }
            Err(_) => None,
        };
        Ok(Self { blobs, database })
    }
}

#[async_trait]
impl CopySource for CopyFolder {
    async fn blob(
        &self,
        _: &[RepositoryName],
        digest: &Digest,
    ) -> Result<Option<ByteStream>, StoreError> {
        let blob = self.blobs.open_blob(digest).await?;
        Ok(blob.map(|blob| -> ByteStream { blob.stream(0..blob.size) }))
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Bytes>, StoreError> {
        let Some((database, _)) = &self.database else { return Ok(None) };
        let found = database.manifest(repository, &Reference::Digest(*digest)).await?;
        Ok(found.map(|manifest| manifest.bytes))
    }
}
