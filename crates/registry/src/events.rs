//! What the registry tells others about: `server` wires the scanner to it.

use std::fs::File;
use std::sync::Arc;

use access::RequestInfo;
use oci::{Digest, Reference, RepositoryName, Tag};
use store::{BlobStore, StoreError, UploadId};
use time::OffsetDateTime;

/// A manifest that was accepted and is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedManifest {
    /// Where it was pushed.
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// What it is served as.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// The tags that point at it by this push; empty for a push by digest.
    pub tags: Vec<Tag>,
    /// The manifest that it is about.
    pub subject: Option<Digest>,
    /// Whether the repository did not have it before.
    pub new: bool,
    /// Who pushed it.
    pub by: String,
    /// When.
    pub at: OffsetDateTime,
    /// By which request.
    pub request: Option<Arc<RequestInfo>>,
}

/// A manifest that is gone, with the tags that pointed at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedManifest {
    /// From where.
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// What it was served as.
    pub media_type: String,
    /// The tags that went with it.
    pub tags: Vec<Tag>,
    /// Who deleted it.
    pub by: String,
    /// When.
    pub at: OffsetDateTime,
    /// By which request.
    pub request: Option<Arc<RequestInfo>>,
}

/// A tag that was removed; its manifest is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTag {
    /// From where.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// What it pointed at.
    pub digest: Digest,
    /// Who removed it.
    pub by: String,
    /// When.
    pub at: OffsetDateTime,
    /// By which request.
    pub request: Option<Arc<RequestInfo>>,
}

/// A manifest that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// From where.
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// What the client asked for.
    pub reference: Reference,
    /// Who pulled it.
    pub by: String,
    /// When.
    pub at: OffsetDateTime,
    /// By which request.
    pub request: Option<Arc<RequestInfo>>,
}

/// Opens an upload for reading while it grows.
#[derive(Clone)]
pub struct UploadOpener {
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) id: UploadId,
}

impl UploadOpener {
    /// The upload.
    pub fn id(&self) -> UploadId {
        self.id
    }

    /// A read-only handle that sees the bytes arrive, and still reads them
    /// after the upload was committed or dropped. Blocks, briefly. `None`: the
    /// upload has ended already.
    pub fn open(&self) -> Result<Option<File>, StoreError> {
        self.blobs.upload_reader(self.id)
    }
}

/// Hears what happens. Called on the request's path: implementations must not
/// block (hand over to a queue) and cannot fail.
///
/// Each upload is started, grows to sizes that never shrink, and is then either
/// committed or dropped. After a restart of the server, an upload that goes on
/// is started again and grows at once to what it had.
pub trait RegistryObserver: Send + Sync {
    /// An upload begins, or goes on after a restart.
    fn upload_started(&self, _upload: UploadOpener) {}
    /// `size` bytes of it can be read now.
    fn upload_grew(&self, _id: UploadId, _size: u64) {}
    /// It is complete, verified, and durable.
    fn blob_committed(&self, _id: UploadId, _digest: &Digest, _size: u64) {}
    /// It was cancelled, was not what the client said, or expired.
    fn upload_dropped(&self, _id: UploadId) {}
    /// A manifest was accepted.
    fn manifest_pushed(&self, _manifest: &PushedManifest) {}
    /// A manifest was deleted, with the tags that pointed at it.
    fn manifest_deleted(&self, _deleted: &DeletedManifest) {}
    /// A tag was removed; its manifest is still there.
    fn tag_deleted(&self, _deleted: &DeletedTag) {}
    /// Manifests and tags that had been deleted are there again.
    fn restored(&self, _repository: &RepositoryName) {}
    /// A manifest was handed out.
    fn pulled(&self, _pulled: &Pulled) {}
}

/// Nobody listens.
impl RegistryObserver for () {}
