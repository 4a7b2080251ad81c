//! Unnamed temporary files: copies of uploads while they arrive, so that layers
//! can be analysed meanwhile, and of blobs for those who need a descriptor. The
//! system frees them when the last handle is closed, also after a crash.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use store::{Blob, StoreError, UploadId};
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Copies of blobs that exist at once; further readers wait.
const SPOOLS_MAX: usize = 8;

/// Uploads that are copied while they arrive; the layers of others are
/// analysed from the store.
const TEES_MAX: u64 = 64;

/// An upload that nobody continues here for this long loses its copy.
const TEE_IDLE_MAX: Duration = Duration::from_secs(600);

/// A folder of this machine.
pub(super) struct Scratch {
    folder: PathBuf,
    spools: Arc<Semaphore>,
    tees: moka::sync::Cache<UploadId, Arc<Tee>>,
}

/// The copy of an upload of which every byte went through this process.
struct Tee {
    file: File,
    written: AtomicU64,
}

impl Scratch {
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(folder)
            .map_err(StoreError::io(format!("make the scratch folder {}", folder.display())))?;
        let tees = moka::sync::Cache::builder()
            .max_capacity(TEES_MAX)
            .time_to_idle(TEE_IDLE_MAX)
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            .build();
        Ok(Self { folder: folder.to_owned(), spools: Arc::new(Semaphore::new(SPOOLS_MAX)), tees })
    }

    async fn unnamed(&self) -> io::Result<File> {
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder)).await?
    }

    /// Begins the copy of an empty upload.
    pub async fn begin_tee(&self, id: UploadId) {
        match self.unnamed().await {
            Ok(file) => {
                self.tees.insert(id, Arc::new(Tee { file, written: AtomicU64::new(0) }));
            }
            Err(error) => tracing::warn!(%error, "an upload has no local copy"),
        }
    }

    /// Adds to the copy, if it is complete up to there.
    pub async fn tee(&self, id: UploadId, at: u64, pieces: Vec<Bytes>) {
        let Some(tee) = self.tees.get(&id) else { return };
        if tee.written.load(Ordering::Acquire) != at {
            return self.end_tee(id);
        }
        let write = move || {
            let mut at = at;
            for piece in pieces {
                tee.file.write_all_at(&piece, at)?;
                at += piece.len() as u64;
            }
            tee.written.store(at, Ordering::Release);
            Ok(())
        };
        let written = tokio::task::spawn_blocking(write).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error))) {
            // Whoever follows it finds it too short and reads the blob instead.
            tracing::warn!(%error, "an upload lost its local copy");
            self.end_tee(id);
        }
    }

    pub fn end_tee(&self, id: UploadId) {
        self.tees.invalidate(&id);
    }

    pub fn tee_reader(&self, id: UploadId) -> io::Result<Option<File>> {
        self.tees.get(&id).map(|tee| read_only(&tee.file)).transpose()
    }

    /// Waits until a copy may be made; for as long as it exists.
    pub async fn spool_turn(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes it.
        Arc::clone(&self.spools).acquire_owned().await.ok()
    }

    /// Copies a blob.
    pub async fn spool(&self, blob: &Blob) -> io::Result<File> {
        let file = self.unnamed().await?;
        let copy = read_only(&file)?;
        let mut file = tokio::fs::File::from_std(file);
        let mut pieces = blob.stream(0..blob.size);
        while let Some(piece) = pieces.try_next().await? {
            file.write_all(&piece).await?;
        }
        file.flush().await?;
        Ok(copy)
    }
}

/// The same file, open for reading only and with a position of its own.
fn read_only(file: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
