//! What looking after stored bytes asks of metadata (`registry::scrub`,
//! `admin backup`).

use async_trait::async_trait;
use oci::{Digest, RepositoryName};
use time::OffsetDateTime;

use crate::collect::{SizedBlob, Walked};
use crate::{StoreError, StoredManifest, UploadId};

/// Where a manifest lies, for walking through all of them. Means nothing
/// outside its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestPlace(pub i64);

/// A blob that a manifest needs and its repository does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingLink {
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub manifest: Digest,
    /// The blob.
    pub blob: Digest,
    /// What the manifest says it is.
    pub media_type: String,
}

/// Walks through what is stored, and remembers what was found wrong.
#[async_trait]
pub trait ScrubStore: Send + Sync {
    /// Blobs that should have bytes, at most `limit`.
    async fn stored_blobs(
        &self,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<SizedBlob>, StoreError>;
    /// Number and bytes of those blobs.
    async fn stored_totals(&self) -> Result<(u64, u64), StoreError>;
    /// The size that a blob should have; `None` if it has no row or is being
    /// removed.
    async fn stored_size(&self, digest: &Digest) -> Result<Option<u64>, StoreError>;
    /// From now on the blob is not served, counts as absent for those who ask
    /// before a push, and cannot be mounted. False: it is not stored (any more).
    async fn mark_damaged(&self, digest: &Digest, now: OffsetDateTime) -> Result<bool, StoreError>;
    /// Since when it is known to be damaged.
    async fn damaged_since(&self, digest: &Digest) -> Result<Option<OffsetDateTime>, StoreError>;
    /// Whether the repository holds the blob, damaged or not.
    async fn holds_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError>;
    /// The blob is whole. With an upload: that upload placed its bytes anew, and
    /// ends; false if it does not hold the blob (any more).
    async fn mark_whole(
        &self,
        digest: &Digest,
        upload: Option<UploadId>,
    ) -> Result<bool, StoreError>;
    /// Manifests of all repositories, also those in the trash, at most `limit`.
    async fn stored_manifests(
        &self,
        after: Option<ManifestPlace>,
        limit: u32,
    ) -> Result<Vec<(ManifestPlace, RepositoryName, StoredManifest)>, StoreError>;
    /// Replaces the bytes of a manifest by those that its digest speaks of.
    /// False: it is not there (any more).
    async fn heal_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<bool, StoreError>;
    /// Looks through `limit` manifests for references to blobs that their
    /// repository does not hold. Some need not be there: foreign layers.
    async fn missing_links(
        &self,
        after: Option<ManifestPlace>,
        limit: u32,
    ) -> Result<Walked<MissingLink, ManifestPlace>, StoreError>;
}
