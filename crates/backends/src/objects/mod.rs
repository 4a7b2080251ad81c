//! Blobs in an object store: S3, Azure Blob Storage, Google Cloud Storage.
//!
//! ```text
//! PREFIX/format                          which layout this is
//! PREFIX/blobs/sha256/ab/abcd…           a small blob: its bytes
//! PREFIX/large/sha256/ab/abcd…           a large blob: a pointer to content/ID
//! PREFIX/content/ID                      its bytes, written once, in parts
//! PREFIX/uploads/ID/state                where an upload stands
//! PREFIX/uploads/ID/tail-…               bytes that do not make a part yet
//! ```
//!
//! Nothing is ever renamed, which such stores can only do by copying: a large
//! upload grows under a key of its own, and the pointer to it is written last.
//!
//! ```text
//! begun --> growing --> sealed --> complete --> pointed at --> state removed
//!   |          |           |           |
//!   +----------+-----------+-----------+--> discarded --> traces removed
//! ```
//!
//! Each arrow is one write, and `state` is the last thing to go: whoever dies
//! on the way leaves either no blob or the whole blob, and an upload that
//! [`BlobStore::uploads`] still lists. `state` is written conditionally where
//! the store can do that, so that of two servers that write to one upload the
//! slower one hears of it. A pointer is checked against a discarder on another
//! server as in Dekker's algorithm: one writes the pointer and then looks at
//! the state, the other marks the state and then looks at the pointer.

mod client;
mod commit;
mod error;
mod find;
mod keys;
mod reader;
mod scratch;
mod session;
mod state;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, PutMode, PutOptions};
use oci::{Algorithm, Digest};
use store::{
    Blob, BlobFile, BlobSource, BlobStore, ListedBlob, StoreError, UploadId, UploadWriter,
};
use time::OffsetDateTime;

pub use client::{Credentials, ObjectClient, ObjectSettings, Provider, SettingsError};
use error::{found, remote};
use find::Finder;
use keys::Keys;
use reader::ObjectReader;
use scratch::Scratch;
use session::Session;
use state::{Saved, UploadState};

/// The layout that this version reads and writes.
const FORMAT: &str = "1\n";

/// Bytes of uploads that nobody is writing to, kept so that the next request
/// need not fetch them again.
const IDLE_BYTES_MAX: u64 = 64 << 20;

type Shared = Arc<tokio::sync::Mutex<Session>>;

/// Keeps blobs in an object store. Cheap to clone.
#[derive(Clone)]
pub struct ObjectBlobs {
    inner: Arc<Inner>,
}

struct Inner {
    client: ObjectClient,
    keys: Keys,
    finder: Arc<Finder>,
    scratch: Scratch,
    /// Uploads with bytes that only this process has.
    open: Mutex<HashMap<UploadId, Shared>>,
    /// Uploads that are as their state says.
    idle: moka::sync::Cache<UploadId, Shared>,
}

impl ObjectBlobs {
    /// Over a client that is reachable and may write; both are tried.
    /// `scratch` is a folder of this machine for unnamed temporary files.
    pub async fn open(client: ObjectClient, scratch: &Path) -> Result<Self, StoreError> {
        let keys = Keys::new(client.prefix.clone());
        let blobs = Self {
            inner: Arc::new(Inner {
                finder: Arc::new(Finder::new(client.clone(), keys.clone())),
                scratch: Scratch::open(scratch)?,
                keys,
                client,
                open: Mutex::default(),
                idle: moka::sync::Cache::builder()
                    .max_capacity(IDLE_BYTES_MAX)
                    .weigher(|_, session: &Shared| match session.try_lock() {
                        Ok(session) => u32::try_from(session.held_bytes()).unwrap_or(u32::MAX),
                        Err(_) => u32::MAX,
                    })
                    .eviction_policy(moka::policy::EvictionPolicy::lru())
                    .build(),
            }),
        };
        blobs.inner.claim().await?;
        Ok(blobs)
    }
}

impl Inner {
    /// Finds the layout that this version knows, or writes that it is.
    async fn claim(&self) -> Result<(), StoreError> {
        let (key, attempted) = (self.keys.format(), "open the blob store");
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.client.store.put_opts(&key, FORMAT.into(), create).await {
            Ok(_) => return Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(object_store::Error::NotImplemented { .. }) => {
                if found(self.client.store.head(&key).await).map_err(remote(attempted))?.is_none() {
                    let put = self.client.store.put(&key, FORMAT.into()).await;
                    return put.map(drop).map_err(remote(attempted));
                }
            }
            Err(error) => return Err(remote(attempted)(error)),
        }
        let there = self.client.store.get(&key).await.map_err(remote(attempted))?;
        let there = there.bytes().await.map_err(remote(attempted))?;
        match there == FORMAT.as_bytes() {
            true => Ok(()),
            false => Err(StoreError::corrupt(
                "blob store",
                format!(
                    "{key} says layout {:?}, and this version knows {:?} only",
                    String::from_utf8_lossy(&there[..there.len().min(20)]).trim(),
                    FORMAT.trim()
                ),
            )),
        }
    }

    fn open_sessions(&self) -> MutexGuard<'_, HashMap<UploadId, Shared>> {
        // The map is whole between any two statements that touch it.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this process remembers of an upload, if it is still true.
    async fn session(&self, id: UploadId) -> Result<Option<Shared>, StoreError> {
        let remembered = self.open_sessions().get(&id).cloned();
        let remembered = remembered.or_else(|| self.idle.get(&id));
        let saved = Saved::load(&self.client, &self.keys, id).await?;
        let Some(saved) = saved.filter(|saved| !saved.state.discarded) else {
            self.forget(id);
            return Ok(None);
        };
        let session = match remembered {
            Some(session) if session.lock().await.is_at(&saved) => session,
            _ => {
                self.forget_bytes(id);
                let session = Session::resume(self.client.clone(), self.keys.clone(), id, saved);
                Arc::new(tokio::sync::Mutex::new(session.await?))
            }
        };
        self.idle.invalidate(&id);
        self.open_sessions().insert(id, Arc::clone(&session));
        Ok(Some(session))
    }

    fn forget_bytes(&self, id: UploadId) {
        self.open_sessions().remove(&id);
        self.idle.invalidate(&id);
    }

    fn forget(&self, id: UploadId) {
        self.forget_bytes(id);
        self.scratch.end_tee(id);
    }
}

/// The end of an upload that grows in the object store.
struct ObjectUpload {
    inner: Arc<Inner>,
    session: Shared,
    id: UploadId,
    size: u64,
}

#[async_trait]
impl UploadWriter for ObjectUpload {
    fn size(&self) -> u64 {
        self.size
    }

    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<u64, StoreError> {
        // Before the bytes can be read from the local copy, nobody hears of them.
        self.inner.scratch.tee(self.id, self.size, pieces.clone()).await;
        let mut session = self.session.lock().await;
        match session.append(pieces).await {
            Ok(()) => {
                self.size = session.size();
                Ok(self.size)
            }
            Err(error) => {
                // What is in the state is sure; what is in memory is not.
                self.inner.forget(self.id);
                Err(error)
            }
        }
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let flushed = self.session.lock().await.flush().await;
        match flushed {
            Ok(()) => {
                self.inner.open_sessions().remove(&self.id);
                self.inner.idle.insert(self.id, Arc::clone(&self.session));
            }
            Err(_) => self.inner.forget(self.id),
        }
        flushed
    }
}

#[async_trait]
impl BlobStore for ObjectBlobs {
    async fn begin_upload(&self, id: UploadId) -> Result<(), StoreError> {
        let inner = &self.inner;
        let saved = Saved::create(&inner.client, &inner.keys, id, UploadState::default()).await?;
        let session = Session::new(inner.client.clone(), inner.keys.clone(), id, saved);
        inner.idle.insert(id, Arc::new(tokio::sync::Mutex::new(session)));
        inner.scratch.begin_tee(id).await;
        Ok(())
    }

    async fn continue_upload(
        &self,
        id: UploadId,
    ) -> Result<Option<Box<dyn UploadWriter>>, StoreError> {
        let Some(session) = self.inner.session(id).await? else { return Ok(None) };
        let size = session.lock().await.size();
        Ok(Some(Box::new(ObjectUpload { inner: Arc::clone(&self.inner), session, id, size })))
    }

    async fn upload_size(&self, id: UploadId) -> Result<Option<u64>, StoreError> {
        let saved = Saved::load(&self.inner.client, &self.inner.keys, id).await?;
        Ok(saved.filter(|saved| !saved.state.discarded).map(|saved| saved.state.size()))
    }

    fn upload_reader(&self, id: UploadId) -> Result<Option<File>, StoreError> {
        self.inner.scratch.tee_reader(id).map_err(StoreError::io(format!("read upload {id}")))
    }

    async fn seal_upload(&self, id: UploadId) -> Result<Option<Blob>, StoreError> {
        let Some(session) = self.inner.session(id).await? else { return Ok(None) };
        let mut session = session.lock().await;
        let outcome = async {
            session.flush().await?;
            if let Some(bytes) = session.small_bytes() {
                let size = bytes.len() as u64;
                return Ok(Blob { size, source: BlobSource::Object(Arc::new(bytes)) });
            }
            let size = session.seal(None).await?;
            let content = self.inner.keys.content(id.0);
            let reader = ObjectReader::of_key(Arc::clone(&self.inner.finder), content);
            Ok(Blob { size, source: BlobSource::Object(Arc::new(reader)) })
        };
        let outcome = outcome.await;
        if outcome.is_err() {
            self.inner.forget(id);
        }
        outcome.map(Some)
    }

    async fn commit_upload(&self, id: UploadId, digest: &Digest) -> Result<u64, StoreError> {
        let Some(session) = self.inner.session(id).await? else {
            return Err(StoreError::Conflict { what: format!("upload {id}, which has ended") });
        };
        let committed = self.inner.commit(&mut *session.lock().await, id, digest).await;
        self.inner.forget(id);
        committed
    }

    async fn discard_upload(&self, id: UploadId) -> Result<(), StoreError> {
        self.inner.forget(id);
        self.inner.discard(id).await
    }

    async fn uploads(&self) -> Result<Vec<UploadId>, StoreError> {
        let folder = self.inner.keys.uploads();
        let listed = self.inner.client.store.list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(remote("list the uploads"))?;
        let names = listed.common_prefixes.iter();
        Ok(names.filter_map(|key| UploadId::parse(key.parts().next_back()?.as_ref())).collect())
    }

    async fn open_blob(&self, digest: &Digest) -> Result<Option<Blob>, StoreError> {
        let Some(place) = self.inner.finder.find(digest).await? else { return Ok(None) };
        let size = place.size;
        let reader = ObjectReader::of_blob(Arc::clone(&self.inner.finder), *digest, place);
        Ok(Some(Blob { size, source: BlobSource::Object(Arc::new(reader)) }))
    }

    async fn blob_file(&self, digest: &Digest) -> Result<Option<BlobFile>, StoreError> {
        let turn = self.inner.scratch.spool_turn().await;
        let Some(blob) = self.open_blob(digest).await? else { return Ok(None) };
        let file = self.inner.scratch.spool(&blob).await;
        let file =
            file.map_err(StoreError::io(format!("copy blob {digest} to the scratch folder")))?;
        Ok(Some(BlobFile { file, size: blob.size, held: Some(Box::new(turn)) }))
    }

    async fn blob_url(&self, digest: &Digest, ttl: Duration) -> Result<Option<String>, StoreError> {
        let Some(signer) = &self.inner.client.signer else { return Ok(None) };
        let Some(place) = self.inner.finder.find(digest).await? else { return Ok(None) };
        let signed = signer.signed_url(http::Method::GET, &place.key, ttl).await;
        let signed = signed.map_err(remote(format!("sign an address of blob {digest}")))?;
        Ok(Some(signed.into()))
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        Ok(self.inner.finder.find(digest).await?.map(|place| place.size))
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        self.inner.delete(digest).await
    }

    async fn blobs(&self, shard: u8) -> Result<Vec<ListedBlob>, StoreError> {
        let mut listed: HashMap<Digest, OffsetDateTime> = HashMap::new();
        for algorithm in Algorithm::ALL {
            for folder in self.inner.keys.shards(algorithm, shard) {
                let mut objects = self.inner.client.store.list(Some(&folder));
                let attempted = || format!("list the blobs of shard {shard:02x}");
                while let Some(object) = objects.try_next().await.map_err(remote(attempted()))? {
                    let hex = object.location.parts().next_back();
                    let digest =
                        hex.map(|hex| Digest::parse(&format!("{algorithm}:{}", hex.as_ref())));
                    // Whatever else lies there is no blob.
                    let Some(Ok(digest)) = digest else { continue };
                    let seconds = object.last_modified.timestamp();
                    let stored_at = OffsetDateTime::from_unix_timestamp(seconds)
                        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
                    listed.insert(digest, stored_at);
                }
            }
        }
        Ok(listed.into_iter().map(|(digest, stored_at)| ListedBlob { digest, stored_at }).collect())
    }
}
