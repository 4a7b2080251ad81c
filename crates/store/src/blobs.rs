//! Where blob bytes lie: finished ones by digest, growing ones by upload.

use std::fs::File;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use oci::Digest;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Blob, BlobFile, StoreError};

/// Names an upload. Unguessable, since it stands in the client's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(pub Uuid);

impl UploadId {
    /// A fresh one.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Reads what [`std::fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl std::fmt::Display for UploadId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A blob as a listing has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedBlob {
    /// Its digest.
    pub digest: Digest,
    /// When it was stored.
    pub stored_at: OffsetDateTime,
}

/// The end of an upload, where bytes are added. One at a time per upload; the
/// caller sees to that.
#[async_trait]
pub trait UploadWriter: Send {
    /// Bytes in the upload so far.
    fn size(&self) -> u64;

    /// Adds pieces in order and returns the new size. After it returns, any
    /// reader of the upload on this machine sees them. After an error the writer
    /// is of no more use, and what is in the upload is for
    /// [`BlobStore::upload_size`] to say.
    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<u64, StoreError>;

    /// After it returns, any process that has the store open can go on with the
    /// upload where this writer stands, also if this one dies. Until then, only
    /// [`BlobStore::commit_upload`] and [`BlobStore::seal_upload`] of this
    /// process are sure to see the last of it.
    async fn flush(&mut self) -> Result<(), StoreError>;
}

/// Keeps blob bytes.
///
/// Deliberately ignorant of repositories: whether somebody may see a blob is
/// written in [`crate::RegistryStore`].
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// After it returns, the upload exists and is empty.
    async fn begin_upload(&self, id: UploadId) -> Result<(), StoreError>;

    /// Opens the end of an upload. `None`: no such upload.
    async fn continue_upload(
        &self,
        id: UploadId,
    ) -> Result<Option<Box<dyn UploadWriter>>, StoreError>;

    /// Bytes in the upload that will not be lost. `None`: no such upload.
    async fn upload_size(&self, id: UploadId) -> Result<Option<u64>, StoreError>;

    /// A read-only handle that sees the upload grow, and still reads its bytes
    /// after it was committed or discarded. Blocks, briefly. `None`: no such
    /// upload, or not all of its bytes went through this process and it has no
    /// local file.
    fn upload_reader(&self, id: UploadId) -> Result<Option<File>, StoreError>;

    /// Says that nothing will be appended any more, and gives what is there to
    /// be read back. The upload can still be committed or discarded. `None`: no
    /// such upload.
    async fn seal_upload(&self, id: UploadId) -> Result<Option<Blob>, StoreError>;

    /// Turns an upload into a blob and returns its size. The caller has
    /// verified that the bytes hash to `digest`. After it returns, the blob is
    /// stored for good, under its whole name or not at all whenever power
    /// fails; the upload is gone. Two uploads of the same bytes may be
    /// committed at once. A blob that is there already and has the right size
    /// may be kept: to heal one, delete it first.
    async fn commit_upload(&self, id: UploadId, digest: &Digest) -> Result<u64, StoreError>;

    /// After it returns, the upload is gone. Not an error if it never was.
    async fn discard_upload(&self, id: UploadId) -> Result<(), StoreError>;

    /// Every upload of which there is a trace, also one that a crash left half
    /// made or half removed: [`BlobStore::discard_upload`] clears it away.
    async fn uploads(&self) -> Result<Vec<UploadId>, StoreError>;

    /// Opens a blob. `None`: no such blob.
    async fn open_blob(&self, digest: &Digest) -> Result<Option<Blob>, StoreError>;

    /// A blob as a file of this machine: itself, or a copy that is gone when
    /// the file is closed. May wait for others that make copies. `None`: no
    /// such blob.
    async fn blob_file(&self, digest: &Digest) -> Result<Option<BlobFile>, StoreError>;

    /// An address from which whoever has it reads the whole blob for the next
    /// `ttl`. `None`: no such blob, or the store gives out no addresses.
    async fn blob_url(&self, digest: &Digest, ttl: Duration) -> Result<Option<String>, StoreError>;

    /// Size of a blob in bytes. `None`: no such blob.
    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, StoreError>;

    /// After it returns, the blob cannot be opened any more. Not an error if it
    /// never was. Only for content that no repository holds.
    async fn delete_blob(&self, digest: &Digest) -> Result<(), StoreError>;

    /// Every blob whose hexadecimal digest begins with the two digits of
    /// `shard`, in no order: 256 calls give them all. Blobs that come and go
    /// meanwhile may be in it or not.
    async fn blobs(&self, shard: u8) -> Result<Vec<ListedBlob>, StoreError>;
}
