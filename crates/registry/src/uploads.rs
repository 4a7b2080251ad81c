//! Uploads: begin, append, resume, finish, cancel, expire
//! (OCI Distribution 1.1, "Pushing blobs").

use std::collections::HashSet;
use std::time::{Duration, Instant};

use access::{Permit, Push};
use futures::StreamExt;
use oci::{Algorithm, Digest, Hasher};
use store::collect::HoldBlob;
use store::{LinkBlob, StoreError, StoredUpload, UploadId, UploadWriter};
use time::OffsetDateTime;

use crate::body::pump;
use crate::quota::AdmitError;
use crate::sessions::{Lease, Running};
use crate::{ByteStream, CollectError, Registry, UploadOpener};

/// An upload that was begun longer ago, and into which nobody is writing, is
/// dropped by [`Registry::sweep_uploads`].
pub const UPLOAD_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The file of an upload is there this long after its row, or never will be.
const UPLOAD_BEGINS_WITHIN: Duration = Duration::from_secs(60 * 60);
/// Largest blob.
pub const BLOB_BYTES_MAX: u64 = 1 << 40;
/// How long the end of an upload waits for the removal of the same blob, which
/// takes moments unless the collector died in its middle.
const REMOVAL_WAIT_MAX: Duration = Duration::from_secs(90);
/// When it asks whether that collector is dead.
const REMOVAL_WAIT_USUAL: Duration = Duration::from_millis(250);

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadStatus {
    /// Its name.
    pub id: UploadId,
    /// Bytes received so far.
    pub size: u64,
}

/// A blob that is stored and held by the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommittedBlob {
    /// Its verified digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Which bytes of the blob a body says it is. `first <= last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Position of its first byte.
    pub first: u64,
    /// Position of its last byte.
    pub last: u64,
}

impl Chunk {
    /// Number of bytes.
    pub fn size(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

/// Why an upload did not go on.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Never begun, in another repository, finished, cancelled, or expired.
    #[error("upload {0} is not known: it may have ended or expired; begin another one")]
    Unknown(UploadId),
    /// Two requests write to it at once.
    #[error("another request is writing to upload {0}; ask for its status and try again")]
    Busy(UploadId),
    /// The chunk does not begin where the upload ends.
    #[error("chunk begins at byte {first}, but the upload holds {size} bytes")]
    OutOfOrder {
        /// Where the chunk begins.
        first: u64,
        /// Where it would have to begin.
        size: u64,
        /// The upload.
        id: UploadId,
    },
    /// The body is not as long as its range.
    #[error("chunk is said to have {declared} bytes, but {received} arrived")]
    ChunkSize {
        /// By Content-Range.
        declared: u64,
        /// By counting.
        received: u64,
    },
    /// The body goes on after the end of its range.
    #[error("chunk is said to have {declared} bytes, but more arrived")]
    ChunkTooLong {
        /// By Content-Range.
        declared: u64,
    },
    /// More than allowed.
    #[error("body is larger than the {limit} bytes that it may have")]
    TooManyBytes {
        /// The limit.
        limit: u64,
    },
    /// The client went away in the middle.
    #[error("body broke off after {received} bytes: {source}")]
    BodyBroke {
        /// Bytes that are in the upload now.
        received: u64,
        /// What the transport said.
        source: std::io::Error,
    },
    /// The bytes are not what the client said. The upload is dropped.
    #[error("content hashes to {actual}, client claimed {claimed}")]
    DigestMismatch {
        /// By the client.
        claimed: Digest,
        /// By hashing.
        actual: Digest,
    },
    /// There is no room for it.
    #[error(transparent)]
    Refused(#[from] store::policy::Refusal),
    /// Storage failed.
    #[error("cannot store the blob: {0}")]
    Store(#[from] StoreError),
    /// The same blob is being removed, for longer than this could wait.
    #[error("blob {0} is still being removed since nobody needed it; push it again in a minute")]
    BeingRemoved(Digest),
    /// The task that wrote was stopped.
    #[error("the upload was interrupted; ask for its status and go on")]
    Interrupted,
}

impl From<AdmitError> for UploadError {
    fn from(error: AdmitError) -> Self {
        match error {
            AdmitError::Refused(refusal) => Self::Refused(refusal),
            AdmitError::Store(error) => Self::Store(error),
        }
    }
}

/// What [`Registry::recover`] cleared away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Uploads that can go on.
    pub resumable: usize,
    /// Files that belonged to no upload.
    pub stray_files: usize,
    /// Uploads whose file was gone.
    pub lost_uploads: usize,
}

/// An upload to which a body was added.
struct Appended {
    lease: Lease,
    upload: StoredUpload,
    writer: Box<dyn UploadWriter>,
}

impl Appended {
    /// Before a client hears how much arrived.
    async fn flush(&mut self) -> Result<(), StoreError> {
        let flushed = self.writer.flush().await;
        if flushed.is_err() {
            // It may cover bytes that the upload has lost.
            self.lease.running = None;
        }
        flushed
    }
}

impl Registry {
    /// Begins an upload. `algorithm` is what it will be closed with, as far as
    /// the client has said; closing with another costs reading it once more.
    pub async fn start_upload(
        &self,
        permit: &Permit<Push>,
        algorithm: Algorithm,
    ) -> Result<UploadStatus, UploadError> {
        let upload = StoredUpload {
            id: UploadId::random(),
            repository: permit.repository().clone(),
            algorithm,
            started_at: self.now(),
            started_by: permit.principal().name().to_owned(),
        };
        // The row before the file: a file without a row is swept at the next start.
        self.metadata.create_upload(&upload).await?;
        self.blobs.begin_upload(upload.id).await?;
        if let Some(mut lease) = self.sessions.lease(upload.id) {
            lease.running = Some(Running { hasher: Hasher::new(algorithm), hashed: 0 });
        }
        self.observer.upload_started(self.opener(upload.id));
        Ok(UploadStatus { id: upload.id, size: 0 })
    }

    /// Where an upload stands.
    pub async fn upload_status(
        &self,
        permit: &Permit<Push>,
        id: UploadId,
    ) -> Result<UploadStatus, UploadError> {
        self.open_upload(permit, id).await?;
        let size = self.blobs.upload_size(id).await?.ok_or(UploadError::Unknown(id))?;
        Ok(UploadStatus { id, size })
    }

    /// Adds a body to an upload: a chunk at a stated place, or whatever comes.
    ///
    /// Runs to its end even if the caller goes away, so that nobody ever writes
    /// to an upload behind its next writer's back.
    pub async fn append(
        &self,
        permit: &Permit<Push>,
        id: UploadId,
        chunk: Option<Chunk>,
        body: ByteStream,
    ) -> Result<UploadStatus, UploadError> {
        let (registry, permit) = (self.clone(), permit.clone());
        let task = tokio::spawn(async move {
            let mut appended = registry.append_leased(&permit, id, chunk, body).await?;
            appended.flush().await?;
            Ok(UploadStatus { id, size: appended.writer.size() })
        });
        task.await.unwrap_or(Err(UploadError::Interrupted))
    }

    /// Adds the last body, possibly empty, verifies the whole and makes it a
    /// blob of the repository. When it returns, the blob is durable.
    pub async fn finish_upload(
        &self,
        permit: &Permit<Push>,
        id: UploadId,
        chunk: Option<Chunk>,
        body: ByteStream,
        claimed: Digest,
    ) -> Result<CommittedBlob, UploadError> {
        let (registry, permit) = (self.clone(), permit.clone());
        let task = tokio::spawn(async move {
            let appended = registry.append_leased(&permit, id, chunk, body).await?;
            registry.commit(appended.lease, &appended.upload, claimed).await
        });
        task.await.unwrap_or(Err(UploadError::Interrupted))
    }

    /// Begins an upload and finishes it with one body.
    pub async fn push_blob(
        &self,
        permit: &Permit<Push>,
        body: ByteStream,
        claimed: Digest,
    ) -> Result<CommittedBlob, UploadError> {
        let upload = self.start_upload(permit, claimed.algorithm()).await?;
        let outcome = self.finish_upload(permit, upload.id, None, body, claimed).await;
        if outcome.is_err() {
            // The client does not know the upload's name and cannot resume it.
            let _ = self.cancel_upload(permit, upload.id).await;
        }
        outcome
    }

    /// Ends an upload without a blob.
    pub async fn cancel_upload(
        &self,
        permit: &Permit<Push>,
        id: UploadId,
    ) -> Result<(), UploadError> {
        self.open_upload(permit, id).await?;
        let lease = self.sessions.lease(id).ok_or(UploadError::Busy(id))?;
        self.drop_upload(lease, id).await?;
        Ok(())
    }

    /// Clears away what a crash left behind; before serving. Unless this server
    /// is `alone`, others may be at work on the same stores, and an upload that
    /// has no file yet may be one that they are beginning.
    ///
    /// An upload that died between its bytes' becoming a blob and the blob's
    /// row has none either; until it goes, it holds those bytes.
    pub async fn recover(&self, alone: bool) -> Result<Recovered, StoreError> {
        let mut recovered = Recovered::default();
        // Files first: the row of an upload is there before its file.
        let files = self.blobs.uploads().await?;
        let known = self.metadata.uploads().await?;
        let ids: HashSet<_> = known.iter().map(|upload| upload.id).collect();
        for id in files.into_iter().filter(|id| !ids.contains(id)) {
            self.blobs.discard_upload(id).await?;
            recovered.stray_files += 1;
        }
        let now = self.now();
        for upload in known {
            if self.blobs.upload_size(upload.id).await?.is_some() {
                recovered.resumable += 1;
            } else if alone || now - upload.started_at > UPLOAD_BEGINS_WITHIN {
                self.metadata.remove_upload(upload.id).await?;
                recovered.lost_uploads += 1;
            }
        }
        Ok(recovered)
    }

    /// Drops uploads begun more than [`UPLOAD_AGE_MAX`] before `now`, except
    /// those that are being written to. Returns how many.
    pub async fn sweep_uploads(&self, now: OffsetDateTime) -> Result<usize, StoreError> {
        let mut dropped = 0;
        for upload in self.metadata.uploads().await? {
            if now - upload.started_at <= UPLOAD_AGE_MAX {
                continue;
            }
            let Some(lease) = self.sessions.lease(upload.id) else { continue };
            self.drop_upload(lease, upload.id).await?;
            dropped += 1;
        }
        Ok(dropped)
    }

    /// The upload, if it belongs to the permit's repository.
    async fn open_upload(
        &self,
        permit: &Permit<Push>,
        id: UploadId,
    ) -> Result<StoredUpload, UploadError> {
        let upload = self.metadata.upload(id).await?;
        upload.filter(|u| &u.repository == permit.repository()).ok_or(UploadError::Unknown(id))
    }

    async fn append_leased(
        &self,
        permit: &Permit<Push>,
        id: UploadId,
        chunk: Option<Chunk>,
        body: ByteStream,
    ) -> Result<Appended, UploadError> {
        let mut lease = self.sessions.lease(id).ok_or(UploadError::Busy(id))?;
        // Looked up under the lease: a request that ended the upload has let go of it.
        let upload = self.open_upload(permit, id).await?;
        let mut writer = match self.blobs.continue_upload(id).await {
            // By another server.
            Err(error) if error.is_busy() => return Err(UploadError::Busy(id)),
            writer => writer?.ok_or(UploadError::Unknown(id))?,
        };
        let size = writer.size();
        if let Some(Chunk { first, .. }) = chunk.filter(|c| c.first != size) {
            return Err(UploadError::OutOfOrder { first, size, id });
        }
        if !lease.known {
            self.observer.upload_started(self.opener(id));
            self.observer.upload_grew(id, size);
        }
        // A hash that does not cover the file is of no use; nor is a lost one,
        // unless the upload begins here.
        let mut running = lease.running.take().filter(|r| r.hashed == size);
        if size == 0 && running.is_none() {
            running = Some(Running { hasher: Hasher::new(upload.algorithm), hashed: 0 });
        }
        let limit = chunk.map_or(u64::MAX, |c| c.size()).min(BLOB_BYTES_MAX.saturating_sub(size));
        let pumped = pump(body, writer.as_mut(), &mut running, limit, |size| {
            self.observer.upload_grew(id, size)
        })
        .await;
        lease.running = running;
        let mut appended = Appended { lease, upload, writer };
        let received = match pumped {
            Ok(received) => received,
            // The client may come back and go on: what it was told counts.
            Err(error @ (UploadError::BodyBroke { .. } | UploadError::TooManyBytes { .. })) => {
                appended.flush().await?;
                return Err(match (error, chunk) {
                    (UploadError::TooManyBytes { limit }, Some(chunk)) if limit == chunk.size() => {
                        UploadError::ChunkTooLong { declared: limit }
                    }
                    (error, _) => error,
                });
            }
            Err(error) => return Err(error),
        };
        if let Some(chunk) = chunk.filter(|c| c.size() != received) {
            appended.flush().await?;
            return Err(UploadError::ChunkSize { declared: chunk.size(), received });
        }
        Ok(appended)
    }

    async fn commit(
        &self,
        mut lease: Lease,
        upload: &StoredUpload,
        claimed: Digest,
    ) -> Result<CommittedBlob, UploadError> {
        let actual = match lease.running.take() {
            Some(running) if running.hasher.algorithm() == claimed.algorithm() => {
                running.hasher.finish()
            }
            _ => self.hash_upload(upload.id, claimed.algorithm()).await?,
        };
        if actual != claimed {
            self.drop_upload(lease, upload.id).await?;
            return Err(UploadError::DigestMismatch { claimed, actual });
        }
        let received = self.blobs.upload_size(upload.id).await?.unwrap_or(0);
        if let Err(error) = self.admit_blob(&upload.repository, &actual, received).await {
            if matches!(error, AdmitError::Refused(_)) {
                self.drop_upload(lease, upload.id).await?;
            }
            return Err(error.into());
        }
        self.hold(upload.id, &actual).await?;
        if self.metadata.damaged_since(&actual).await?.is_some() {
            // A store may keep what is there already, and this heals it.
            self.blobs.delete_blob(&actual).await?;
        }
        let size = self.blobs.commit_upload(upload.id, &actual).await?;
        let linked = self
            .metadata
            .link_blob(&upload.repository, &actual, size, Some(upload.id), self.now())
            .await?;
        if linked == LinkBlob::NotHeld {
            // Another server dropped the upload; what it placed is garbage.
            return Err(UploadError::Unknown(upload.id));
        }
        self.observer.blob_committed(upload.id, &actual, size);
        lease.end();
        Ok(CommittedBlob { digest: actual, size })
    }

    /// Sees to it that bytes that are placed now are not removed
    /// ([`crate::collect`]).
    async fn hold(&self, id: UploadId, digest: &Digest) -> Result<(), UploadError> {
        let (began, mut pause) = (Instant::now(), Duration::from_millis(5));
        loop {
            match self.metadata.hold_blob(id, digest).await? {
                HoldBlob::Held => return Ok(()),
                HoldBlob::UploadEnded => return Err(UploadError::Unknown(id)),
                HoldBlob::Condemned if began.elapsed() > REMOVAL_WAIT_MAX => {
                    return Err(UploadError::BeingRemoved(*digest));
                }
                HoldBlob::Condemned if began.elapsed() > REMOVAL_WAIT_USUAL => {
                    // Somebody who is still at it is as good as doing it here.
                    match self.finish_condemned().await {
                        Ok(_) | Err(CollectError::Busy { .. } | CollectError::SeatLost) => {}
                        Err(error) => tracing::warn!(%error, "a removal cannot be finished"),
                    }
                }
                HoldBlob::Condemned => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Hashes an upload whose running hash was lost, or is of another algorithm.
    async fn hash_upload(&self, id: UploadId, algorithm: Algorithm) -> Result<Digest, UploadError> {
        let upload = self.blobs.seal_upload(id).await?.ok_or(UploadError::Unknown(id))?;
        let mut pieces = upload.stream(0..upload.size);
        let mut hasher = Hasher::new(algorithm);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(StoreError::io(format!("read upload {id} to hash it")))?;
            let hashing = tokio::task::spawn_blocking(move || {
                hasher.update(&piece);
                hasher
            });
            hasher = hashing.await.map_err(|_| UploadError::Interrupted)?;
        }
        Ok(hasher.finish())
    }

    async fn drop_upload(&self, lease: Lease, id: UploadId) -> Result<(), StoreError> {
        self.metadata.remove_upload(id).await?;
        self.blobs.discard_upload(id).await?;
        self.observer.upload_dropped(id);
        lease.end();
        Ok(())
    }

    fn opener(&self, id: UploadId) -> UploadOpener {
        UploadOpener { blobs: self.blobs.clone(), id }
    }
}
