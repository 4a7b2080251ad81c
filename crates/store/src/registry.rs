//! What repositories hold: blobs, manifests, tags, and uploads under way.

use async_trait::async_trait;
use oci::descriptor::Annotations;
use oci::{Algorithm, Descriptor, Digest, Reference, RepositoryName, Tag};
use time::OffsetDateTime;

use crate::policy::{DeleteRules, Lockable, PushRules, Refusal};
use crate::{Pattern, StoreError, UploadId};

/// An upload under way. How much of it has arrived is known by the
/// [`crate::BlobStore`] alone, so that the two can never disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredUpload {
    /// Its name.
    pub id: UploadId,
    /// The repository that the blob will belong to.
    pub repository: RepositoryName,
    /// What the client said it will close with.
    pub algorithm: Algorithm,
    /// When it was begun.
    pub started_at: OffsetDateTime,
    /// Who began it.
    pub started_by: String,
}

/// What one manifest is to another document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReferenceKind {
    /// A blob: the configuration.
    Config,
    /// A blob: a layer.
    Layer,
    /// A manifest, listed in an index.
    Child,
}

impl ReferenceKind {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Layer => "layer",
            Self::Child => "child",
        }
    }

    /// Reads what [`ReferenceKind::as_str`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Config, Self::Layer, Self::Child].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One reference from a manifest to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestReference {
    /// What it is to the manifest.
    pub kind: ReferenceKind,
    /// 0-based position among those of its kind.
    pub position: u32,
    /// What it points at.
    pub target: Descriptor,
    /// Whether the target must be in the repository for the manifest to be accepted.
    pub required: bool,
}

/// A manifest to be stored.
#[derive(Debug, Clone)]
pub struct NewManifest {
    /// Of `bytes`.
    pub digest: Digest,
    /// What it is served as.
    pub media_type: String,
    /// Exactly as the client sent them.
    pub bytes: bytes::Bytes,
    /// What the referrers list shows it as.
    pub artifact_type: Option<String>,
    /// Its annotations, which the referrers list repeats.
    pub annotations: Annotations,
    /// The manifest that it is about, there or not.
    pub subject: Option<Digest>,
    /// What it refers to.
    pub references: Vec<ManifestReference>,
    /// Tags that are to point at it.
    pub tags: Vec<Tag>,
    /// When it was pushed.
    pub pushed_at: OffsetDateTime,
    /// Who pushed it.
    pub pushed_by: String,
}

/// What came of storing a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutManifest {
    /// It is stored and its tags point at it.
    Stored {
        /// Whether the repository did not have it before.
        new: bool,
    },
    /// Nothing was changed: these blobs are not in the repository.
    MissingBlobs(Vec<Digest>),
    /// Nothing was changed: something must stay as it is, or there is no room.
    Refused(Refusal),
}

/// A manifest that is gone, or back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedEntry {
    /// Its digest.
    pub digest: Digest,
    /// What it was pushed as.
    pub media_type: String,
    /// Tags that went with it, sorted.
    pub tags: Vec<Tag>,
}

/// What came of deleting a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteManifest {
    /// Gone: the manifest first, then what went with it.
    Deleted(Vec<DeletedEntry>),
    /// There was none.
    Unknown,
    /// Nothing was changed: something must stay as it is.
    Refused(Refusal),
}

/// What came of deleting a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteTag {
    /// Gone; it pointed at this.
    Deleted(Digest),
    /// There was none.
    Unknown,
    /// Nothing was changed: it must stay.
    Refused(Refusal),
}

/// What came of giving a blob to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkBlob {
    /// The repository holds it.
    Linked,
    /// Nothing was changed: nothing kept the blob's bytes from being removed
    /// meanwhile, since the upload has ended or never held it.
    NotHeld,
}

/// A manifest as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// Of `bytes`.
    pub digest: Digest,
    /// What it was pushed as.
    pub media_type: String,
    /// As the client sent them.
    pub bytes: bytes::Bytes,
    /// What must not be read: the manifest itself, the tag it was asked for by,
    /// or its repository. Only a client's pull is refused for it.
    pub unreadable: Option<Lockable>,
}

/// A manifest without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSummary {
    /// Its digest.
    pub digest: Digest,
    /// What it was pushed as.
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: Annotations,
    /// The manifest that it is about.
    pub subject: Option<Digest>,
    /// The tags that point at it, sorted.
    pub tags: Vec<Tag>,
    /// When it was first pushed.
    pub pushed_at: OffsetDateTime,
    /// Who pushed it first.
    pub pushed_by: String,
}

/// Keeps what repositories hold.
///
/// Every method that changes something is one transaction; when it returns,
/// the change is on disk. Lists are sorted by bytes and hold at most `limit`
/// entries that come after `after`.
#[async_trait]
pub trait RegistryStore: Send + Sync {
    /// After it returns, the upload is known.
    async fn create_upload(&self, upload: &StoredUpload) -> Result<(), StoreError>;
    /// One upload. `None`: no such upload, or it has ended.
    async fn upload(&self, id: UploadId) -> Result<Option<StoredUpload>, StoreError>;
    /// Every upload under way, oldest first.
    async fn uploads(&self) -> Result<Vec<StoredUpload>, StoreError>;
    /// After it returns, the upload is not known any more; says whether it was.
    async fn remove_upload(&self, id: UploadId) -> Result<bool, StoreError>;

    /// After it returns, the repository exists and holds the blob, and the
    /// upload that brought it, if any, is not known any more. The upload must
    /// hold the blob ([`crate::CollectStore::hold_blob`]); without one, the
    /// caller sees to it that the bytes are there and stay.
    async fn link_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
        upload: Option<UploadId>,
        now: OffsetDateTime,
    ) -> Result<LinkBlob, StoreError>;
    /// Size in bytes of a blob that the repository holds and that is not known
    /// to be damaged.
    async fn linked_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>, StoreError>;
    /// Repositories that hold the blob.
    async fn repositories_with_blob(
        &self,
        digest: &Digest,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, StoreError>;
    /// After it returns, the repository does not hold the blob, unless one of
    /// its manifests refers to it, which is decided in the same transaction;
    /// says whether it was taken away. Its bytes stay until nobody holds it.
    async fn unlink_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError>;
    /// Whether a manifest of the repository refers to the blob.
    async fn blob_is_used(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError>;

    /// Stores a manifest and moves its tags, all or nothing. Whether the
    /// required blobs are there and the rules are kept is decided in the same
    /// transaction. A manifest that was put away is there again, as if new.
    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        manifest: &NewManifest,
        rules: &PushRules,
    ) -> Result<PutManifest, StoreError>;
    /// A manifest with its bytes.
    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<StoredManifest>, StoreError>;
    /// A manifest without its bytes.
    async fn manifest_summary(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<ManifestSummary>, StoreError>;
    /// Manifests of a repository by digest, tagged or not.
    async fn manifests(
        &self,
        repository: &RepositoryName,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<ManifestSummary>, StoreError>;
    /// After it returns `Deleted`, the manifest and every tag that pointed at
    /// it are gone from the repository, and with some modes what belongs to it.
    /// Locks and rules are checked in the same transaction.
    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        rules: &DeleteRules,
    ) -> Result<DeleteManifest, StoreError>;
    /// After it returns `Deleted`, the tag is gone and its manifest is not.
    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        immutable_tags: &[Pattern],
    ) -> Result<DeleteTag, StoreError>;

    /// Whether the repository has ever held anything.
    async fn has_repository(&self, repository: &RepositoryName) -> Result<bool, StoreError>;
    /// Names of repositories that may be listed.
    async fn repositories(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, StoreError>;
    /// Tags of a repository that may be listed.
    async fn tags(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Tag>, StoreError>;
    /// Manifests of the repository that are about `subject`, by digest; only
    /// those of `artifact_type` if one is given. `subject` need not exist.
    /// About it are those that say so themselves, and those that the index
    /// under [`Tag::of_referrers`] lists.
    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<ManifestSummary>, StoreError>;
}
