//! Names of objects.

use object_store::path::Path;
use oci::{Algorithm, Digest};
use store::UploadId;
use uuid::Uuid;

/// Makes names below a prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: Path,
}

impl Keys {
    pub fn new(prefix: Path) -> Self {
        Self { prefix }
    }

    fn of(&self, names: &[&str]) -> Path {
        names.iter().fold(self.prefix.clone(), |path, name| path.join(*name))
    }

    pub fn format(&self) -> Path {
        self.of(&["format"])
    }

    /// The bytes of a small blob.
    pub fn small(&self, digest: &Digest) -> Path {
        let hex = digest.hex();
        self.of(&["blobs", digest.algorithm().as_str(), &hex[..2], &hex])
    }

    /// The pointer to a large blob.
    pub fn pointer(&self, digest: &Digest) -> Path {
        let hex = digest.hex();
        self.of(&["large", digest.algorithm().as_str(), &hex[..2], &hex])
    }

    /// The folders with the blobs whose digest begins with this byte.
    pub fn shards(&self, algorithm: Algorithm, shard: u8) -> [Path; 2] {
        let shard = format!("{shard:02x}");
        ["blobs", "large"].map(|kind| self.of(&[kind, algorithm.as_str(), &shard]))
    }

    /// The bytes of a large blob; by the upload that brought them.
    pub fn content(&self, id: Uuid) -> Path {
        self.of(&["content", &id.to_string()])
    }

    pub fn uploads(&self) -> Path {
        self.of(&["uploads"])
    }

    pub fn upload(&self, id: UploadId) -> Path {
        self.of(&["uploads", &id.to_string()])
    }

    pub fn state(&self, id: UploadId) -> Path {
        self.upload(id).join("state")
    }

    pub fn tail(&self, id: UploadId, name: Uuid) -> Path {
        self.upload(id).join(format!("tail-{name}"))
    }
}
