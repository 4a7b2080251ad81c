//! Looks after stored bytes: reads every blob and manifest again, online.
//!
//! A blob that is found damaged is marked, and from then on it is not served: a
//! client verifies what it pulls, so that wrong bytes help nobody, while an
//! error says what to do. Who asks whether it is there before a push hears that
//! it is not, and so heals it by pushing it; a mount is refused for the same
//! reason. A blob that turns out to be whole is unmarked.
//!
//! What looks wrong is looked at again before it is said: the blob may have
//! been collected meanwhile, or pushed a moment ago.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use oci::media_type::is_foreign_layer;
use oci::{Digest, Hasher, RepositoryName};
use store::collect::{HoldBlob, SizedBlob};
use store::scrub::ManifestPlace;
use store::{StoreError, StoredUpload, UploadId};

use crate::{ByteStream, Registry};

/// Rows that are read at a time.
const PAGE_ROWS: u32 = 500;
/// Manifests that are read at a time, with their bytes.
const PAGE_MANIFESTS: u32 = 50;
/// Repositories that hold a blob and are named to who may have another copy.
const REPOSITORIES_MAX: u32 = 8;
/// Where repairs are accounted while they are under way.
const REPAIR_REPOSITORY: &str = "lazaret/scrub";

/// Somewhere that may have another copy of what is stored here. What it gives
/// is verified.
#[async_trait]
pub trait CopySource: Send + Sync {
    /// A blob that these repositories hold here.
    async fn blob(
        &self,
        repositories: &[RepositoryName],
        digest: &Digest,
    ) -> Result<Option<ByteStream>, StoreError>;
    /// The bytes of a manifest.
    async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<bytes::Bytes>, StoreError>;
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Defect {
    /// A blob has a row and no bytes.
    MissingBlob,
    /// A blob has another size than its row says.
    WrongSize {
        /// As the row has it.
        expected: u64,
        /// As it is.
        actual: u64,
    },
    /// A blob's bytes have another digest.
    WrongBytes {
        /// What they hash to.
        actual: Digest,
    },
    /// A blob cannot be read.
    Unreadable {
        /// What the system says.
        error: String,
    },
    /// Bytes that no row speaks of; the next collection removes them.
    StrayBlob,
    /// A manifest's bytes have another digest.
    WrongManifest {
        /// Where.
        repository: RepositoryName,
        /// What they hash to.
        actual: Digest,
    },
    /// A manifest needs the blob, and its repository does not hold it.
    MissingLink {
        /// Where.
        repository: RepositoryName,
        /// Which manifest.
        manifest: Digest,
    },
}

impl Defect {
    /// A word for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MissingBlob => "missing-blob",
            Self::WrongSize { .. } => "wrong-size",
            Self::WrongBytes { .. } => "wrong-bytes",
            Self::Unreadable { .. } => "unreadable",
            Self::StrayBlob => "stray-blob",
            Self::WrongManifest { .. } => "wrong-manifest",
            Self::MissingLink { .. } => "missing-link",
        }
    }
}

/// Something wrong, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Of the blob or manifest.
    pub digest: Digest,
    /// What is wrong.
    pub defect: Defect,
    /// Whether it is right again.
    pub repaired: bool,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scrubbed {
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Manifests.
    pub manifests: u64,
}

/// How to go about it.
#[derive(Default)]
pub struct ScrubOptions<'a> {
    /// Blobs up to this one were looked at by a run that was cut off.
    pub after: Option<Digest>,
    /// The most that is read in a second.
    pub bytes_per_second: Option<u64>,
    /// Where repairs come from; without any, nothing is repaired.
    pub sources: Vec<&'a dyn CopySource>,
}

/// Hears how far a run is: the last blob that is done, and what was looked at.
pub type ScrubProgress<'a> = &'a (dyn Fn(Option<&Digest>, &Scrubbed) + Send + Sync);

impl Registry {
    /// Looks at everything. `found` hears each defect as soon as it is known.
    pub async fn scrub(
        &self,
        options: &ScrubOptions<'_>,
        progress: ScrubProgress<'_>,
        found: &(dyn Fn(Found) + Send + Sync),
    ) -> Result<Scrubbed, StoreError> {
        let mut scrubbed = Scrubbed::default();
        let began = Instant::now();
        let mut after = options.after;
        loop {
            let page = self.metadata.stored_blobs(after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.digest);
            for blob in page {
                if let Some(defect) = self.scrub_blob(blob).await? {
                    let repaired = self.repair_blob(&blob.digest, &options.sources).await?;
                    found(Found { digest: blob.digest, defect, repaired });
                }
                scrubbed.blobs += 1;
                scrubbed.bytes += blob.size;
                progress(Some(&blob.digest), &scrubbed);
                throttle(began, scrubbed.bytes, options.bytes_per_second).await;
            }
        }
        self.scrub_strays(found).await?;
        self.scrub_manifests(options, &mut scrubbed, progress, found).await?;
        self.scrub_links(found).await?;
        Ok(scrubbed)
    }

    /// What is wrong with a blob's bytes; marks it, or takes the mark away.
    async fn scrub_blob(&self, blob: SizedBlob) -> Result<Option<Defect>, StoreError> {
        let mut defect = self.read_blob(blob).await;
        if defect.is_some() {
            // Collected, or placed anew, since its row was read?
            let Some(size) = self.metadata.stored_size(&blob.digest).await? else {
                return Ok(None);
            };
            defect = self.read_blob(SizedBlob { size, ..blob }).await;
        }
        if defect.is_none() {
            if self.metadata.damaged_since(&blob.digest).await?.is_some() {
                self.metadata.mark_whole(&blob.digest, None).await?;
            }
            return Ok(None);
        }
        let is_stored = self.metadata.mark_damaged(&blob.digest, self.now()).await?;
        Ok(defect.filter(|_| is_stored))
    }

    async fn read_blob(&self, blob: SizedBlob) -> Option<Defect> {
        let unreadable = |error: String| Some(Defect::Unreadable { error });
        let source = match self.blobs.open_blob(&blob.digest).await {
            Ok(Some(source)) => source,
            Ok(None) => return Some(Defect::MissingBlob),
            Err(error) => return unreadable(error.to_string()),
        };
        if source.size != blob.size {
            return Some(Defect::WrongSize { expected: blob.size, actual: source.size });
        }
        let mut pieces = source.stream(0..source.size);
        let mut hasher = Hasher::new(blob.digest.algorithm());
        while let Some(piece) = pieces.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => return unreadable(error.to_string()),
            };
            let hashing = tokio::task::spawn_blocking(move || {
                hasher.update(&piece);
                hasher
            });
            hasher = match hashing.await {
                Ok(hasher) => hasher,
                Err(error) => return unreadable(error.to_string()),
            };
        }
        let actual = hasher.finish();
        (actual != blob.digest).then_some(Defect::WrongBytes { actual })
    }

    /// Fetches a damaged blob from the first source that has it.
    async fn repair_blob(
        &self,
        digest: &Digest,
        sources: &[&dyn CopySource],
    ) -> Result<bool, StoreError> {
        if sources.is_empty() {
            return Ok(false);
        }
        let holders = self.metadata.repositories_with_blob(digest, REPOSITORIES_MAX).await?;
        for source in sources {
            match source.blob(&holders, digest).await {
                Ok(Some(body)) => {
                    if self.replace_blob(digest, body).await? {
                        return Ok(true);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%digest, %error, "a blob cannot be fetched for repair")
                }
            }
        }
        Ok(false)
    }

    /// Puts verified bytes in place of a blob's. Goes the way of an upload, so
    /// that no collection meets it (`crate::collect`).
    async fn replace_blob(&self, digest: &Digest, body: ByteStream) -> Result<bool, StoreError> {
        let Ok(repository) = RepositoryName::parse(REPAIR_REPOSITORY) else { return Ok(false) };
        let upload = StoredUpload {
            id: UploadId::random(),
            repository,
            algorithm: digest.algorithm(),
            started_at: self.now(),
            started_by: "scrub".to_owned(),
        };
        self.metadata.create_upload(&upload).await?;
        let replaced = self.place_verified(upload.id, digest, body).await;
        if !matches!(replaced, Ok(true)) {
            self.metadata.remove_upload(upload.id).await?;
            self.blobs.discard_upload(upload.id).await?;
        }
        replaced
    }

    async fn place_verified(
        &self,
        id: UploadId,
        digest: &Digest,
        mut body: ByteStream,
    ) -> Result<bool, StoreError> {
        self.blobs.begin_upload(id).await?;
        let Some(mut writer) = self.blobs.continue_upload(id).await? else { return Ok(false) };
        let mut hasher = Hasher::new(digest.algorithm());
        while let Some(piece) = body.next().await {
            let Ok(piece) = piece else { return Ok(false) };
            hasher.update(&piece);
            writer.append(vec![piece]).await?;
        }
        drop(writer);
        if hasher.finish() != *digest
            || self.metadata.hold_blob(id, digest).await? != HoldBlob::Held
        {
            return Ok(false);
        }
        // A store may keep what is there already.
        self.blobs.delete_blob(digest).await?;
        self.blobs.commit_upload(id, digest).await?;
        self.metadata.mark_whole(digest, Some(id)).await
    }

    async fn scrub_strays(&self, found: &(dyn Fn(Found) + Send + Sync)) -> Result<(), StoreError> {
        for shard in 0..=u8::MAX {
            let listed = self.blobs.blobs(shard).await?;
            let digests: Vec<Digest> = listed.iter().map(|blob| blob.digest).collect();
            for digests in digests.chunks(PAGE_ROWS as usize) {
                for digest in self.metadata.unknown_blobs(digests).await? {
                    // Linked, or collected, since it was listed?
                    let known = self.metadata.unknown_blobs(&[digest]).await?.is_empty();
                    if !known && self.blobs.blob_size(&digest).await?.is_some() {
                        found(Found { digest, defect: Defect::StrayBlob, repaired: false });
                    }
                }
            }
        }
        Ok(())
    }

    async fn scrub_manifests(
        &self,
        options: &ScrubOptions<'_>,
        scrubbed: &mut Scrubbed,
        progress: ScrubProgress<'_>,
        found: &(dyn Fn(Found) + Send + Sync),
    ) -> Result<(), StoreError> {
        let mut after: Option<ManifestPlace> = None;
        loop {
            let page = self.metadata.stored_manifests(after, PAGE_MANIFESTS).await?;
            let Some((last, ..)) = page.last() else { return Ok(()) };
            after = Some(*last);
            for (_, repository, manifest) in page {
                scrubbed.manifests += 1;
                let actual = Digest::of(manifest.digest.algorithm(), &manifest.bytes);
                if actual == manifest.digest {
                    continue;
                }
                let repaired =
                    self.repair_manifest(&repository, &manifest.digest, &options.sources).await?;
                let defect = Defect::WrongManifest { repository, actual };
                found(Found { digest: manifest.digest, defect, repaired });
            }
            progress(None, scrubbed);
        }
    }

    async fn repair_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        sources: &[&dyn CopySource],
    ) -> Result<bool, StoreError> {
        for source in sources {
            match source.manifest(repository, digest).await {
                Ok(Some(bytes)) if Digest::of(digest.algorithm(), &bytes) == *digest => {
                    return self.metadata.heal_manifest(repository, digest, &bytes).await;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%digest, %error, "a manifest cannot be fetched for repair");
                }
            }
        }
        Ok(false)
    }

    async fn scrub_links(&self, found: &(dyn Fn(Found) + Send + Sync)) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.metadata.missing_links(after, PAGE_ROWS).await?;
            for link in page.found {
                if self.sparse_images || is_foreign_layer(&link.media_type) {
                    continue;
                }
                let defect =
                    Defect::MissingLink { repository: link.repository, manifest: link.manifest };
                found(Found { digest: link.blob, defect, repaired: false });
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

/// Waits until so many bytes may have been read.
async fn throttle(began: Instant, bytes: u64, per_second: Option<u64>) {
    let Some(per_second) = per_second.filter(|n| *n > 0) else { return };
    let due = Duration::from_secs_f64(bytes as f64 / per_second as f64);
    tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
}
