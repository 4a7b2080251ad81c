//! Where blob bytes lie: finished ones by digest, growing ones by upload.

use std::fs::File;

use async_trait::async_trait;
use bytes::Bytes;
use oci::Digest;
use uuid::Uuid;

use crate::StoreError;

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

/// A finished blob, open for reading. Stays readable if the blob is deleted.
#[derive(Debug)]
pub struct BlobFile {
    /// Positioned at the first byte.
    pub file: File,
    /// Size in bytes.
    pub size: u64,
}

/// The end of an upload, where bytes are added. One at a time per upload; the
/// caller sees to that.
#[async_trait]
pub trait UploadWriter: Send {
    /// Bytes in the upload so far.
    fn size(&self) -> u64;

    /// Adds pieces in order and returns the new size. After it returns, any
    /// reader of the upload sees them. After an error, `size` is what reached
    /// the file for certain.
    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<u64, StoreError>;
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

    /// Bytes in the upload. `None`: no such upload.
    async fn upload_size(&self, id: UploadId) -> Result<Option<u64>, StoreError>;

    /// A read-only handle that sees the upload grow, and still reads its bytes
    /// after it was committed or discarded. Blocks, briefly. `None`: no such
    /// upload.
    fn upload_reader(&self, id: UploadId) -> Result<Option<File>, StoreError>;

    /// Turns an upload into a blob and returns its size. The caller has
    /// verified that the bytes hash to `digest`. After it returns, the blob is
    /// on disk for good, under its whole name or not at all whenever power
    /// fails; the upload is gone. Two uploads of the same bytes may be
    /// committed at once.
    async fn commit_upload(&self, id: UploadId, digest: &Digest) -> Result<u64, StoreError>;

    /// After it returns, the upload is gone. Not an error if it never was.
    async fn discard_upload(&self, id: UploadId) -> Result<(), StoreError>;

    /// Every upload that has a file.
    async fn uploads(&self) -> Result<Vec<UploadId>, StoreError>;

    /// Opens a blob. `None`: no such blob.
    async fn open_blob(&self, digest: &Digest) -> Result<Option<BlobFile>, StoreError>;

    /// Size of a blob in bytes. `None`: no such blob.
    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, StoreError>;

    /// After it returns, the blob cannot be opened any more. Not an error if it
    /// never was. Only for content that no repository holds.
    async fn delete_blob(&self, digest: &Digest) -> Result<(), StoreError>;
}
