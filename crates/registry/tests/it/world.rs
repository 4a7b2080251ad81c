//! A registry over SQLite and files in a temporary folder, as one process or
//! several see it.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use access::{Permit, Principal, Right, authorise};
use backends::files::FileBlobs;
use backends::sqlite::SqliteStore;
use bytes::Bytes;
use oci::{Digest, Hasher, Reference, RepositoryName, Tag};
use registry::collect::{CollectOptions, CollectorLock};
use registry::{
    ByteStream, Clock, CollectError, ManifestPush, PullError, PushManifestError, Registry,
};
use store::collect::CollectFigures;
use store::{BlobStore, Metadata};
use time::{Duration, OffsetDateTime};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The clock on the wall, which tests turn forward.
#[derive(Clone)]
pub struct TestClock(Arc<Mutex<Duration>>);

impl TestClock {
    pub fn new() -> Self {
        Self(Arc::default())
    }

    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    fn clock(&self) -> Clock {
        let ahead = self.0.clone();
        Arc::new(move || {
            OffsetDateTime::now_utc() + *ahead.lock().unwrap_or_else(PoisonError::into_inner)
        })
    }
}

/// What a lock on a file would be between processes.
struct OneCollector(Arc<tokio::sync::Mutex<()>>);

impl CollectorLock for OneCollector {
    fn try_lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        Ok(self.0.clone().try_lock_owned().ok().map(|guard| Box::new(guard) as Box<_>))
    }
}

pub struct World {
    pub registry: Registry,
    pub metadata: Arc<dyn Metadata>,
    pub blobs: Arc<dyn BlobStore>,
    pub clock: TestClock,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl World {
    pub async fn open(folder: &Path) -> Self {
        Self::with(folder, TestClock::new(), Arc::default()).await
    }

    /// Another process over the same folder, with connections of its own.
    pub async fn again(&self, folder: &Path) -> Self {
        Self::with(folder, self.clock.clone(), self.lock.clone()).await
    }

    async fn with(folder: &Path, clock: TestClock, lock: Arc<tokio::sync::Mutex<()>>) -> Self {
        let metadata: Arc<dyn Metadata> =
            Arc::new(SqliteStore::open(&folder.join("metadata.db")).await.unwrap());
        let blobs: Arc<dyn BlobStore> = Arc::new(FileBlobs::open(&folder.join("content")).unwrap());
        let registry = Registry::new(blobs.clone(), metadata.clone(), Arc::new(()), clock.clock())
            .with_collector_lock(Some(Arc::new(OneCollector(lock.clone()))));
        Self { registry, metadata, blobs, clock, lock }
    }

    pub async fn push_blob(&self, repository: &RepositoryName, content: &[u8]) -> Digest {
        let digest = Digest::sha256(content);
        let permit = permit(repository);
        self.registry.push_blob(&permit, body(content), digest).await.unwrap();
        digest
    }

    pub async fn push_manifest(
        &self,
        repository: &RepositoryName,
        bytes: &[u8],
        media_type: &str,
        tag: Option<&str>,
    ) -> Result<Digest, PushManifestError> {
        let digest = Digest::sha256(bytes);
        let push = ManifestPush {
            reference: Reference::Digest(digest),
            tags: tag.map(|tag| Tag::parse(tag).unwrap()).into_iter().collect(),
            media_type: Some(media_type.to_owned()),
            bytes: Bytes::copy_from_slice(bytes),
        };
        self.registry.push_manifest(&permit(repository), push).await.map(|pushed| pushed.digest)
    }

    pub async fn collect(&self, grace: Duration) -> Result<CollectFigures, CollectError> {
        let options = CollectOptions { grace: grace.unsigned_abs(), ..CollectOptions::default() };
        self.registry.collect(options, Arc::new(|_, _| {})).await
    }

    /// The digest of what a client gets; `None`: unknown to the repository.
    pub async fn pulled_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Option<Digest> {
        let blob = match self.registry.open_blob(&permit(repository), digest).await {
            Ok(blob) => blob,
            Err(PullError::UnknownBlob(_)) => return None,
            Err(error) => panic!("{digest} of {repository}: {error}"),
        };
        let bytes = blob.read_up_to(u64::MAX).await.unwrap();
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.update(&bytes);
        Some(hasher.finish())
    }

    /// Every digest that has a file.
    pub async fn files(&self) -> Vec<Digest> {
        let mut digests = Vec::new();
        for shard in 0..=u8::MAX {
            digests.extend(self.blobs.blobs(shard).await.unwrap().iter().map(|b| b.digest));
        }
        digests
    }
}

pub fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub fn permit<R: Right>(repository: &RepositoryName) -> Permit<R> {
    authorise(&admin(), repository).unwrap()
}

pub fn admin() -> Principal {
    Principal::operator()
}

pub fn body(content: &[u8]) -> ByteStream {
    let pieces: Vec<io::Result<Bytes>> =
        content.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Box::pin(futures::stream::iter(pieces))
}

/// An image manifest over blobs, the first of which is the configuration.
pub fn image(blobs: &[(Digest, usize)], note: &str) -> Vec<u8> {
    let descriptor = |kind: &str, (digest, size): &(Digest, usize)| serde_json::json!({ "mediaType": kind, "digest": digest, "size": size });
    let layers: Vec<_> = blobs[1..]
        .iter()
        .map(|blob| descriptor("application/vnd.oci.image.layer.v1.tar", blob))
        .collect();
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &blobs[0]),
        "layers": layers,
        "annotations": { "note": note },
    })
    .to_string()
    .into_bytes()
}

/// An index over manifests.
pub fn index(children: &[(Digest, usize)], note: &str) -> Vec<u8> {
    let children: Vec<_> = children
        .iter()
        .map(|(digest, size)| serde_json::json!({ "mediaType": MANIFEST, "digest": digest, "size": size }))
        .collect();
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": children,
        "annotations": { "note": note },
    })
    .to_string()
    .into_bytes()
}
