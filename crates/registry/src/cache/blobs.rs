//! Blobs through the cache: from the store, or stored while they are served.

use std::sync::{Arc, PoisonError};

use access::{Permit, Pull};
use oci::{Digest, RepositoryName};
use store::Blob;
use tokio::sync::watch;

use super::arrivals::{Arrival, Arrived};
use super::{ByDigest, Cache, CacheError};
use crate::PullError;
use crate::upstream::{Remote, UpstreamError};

impl Cache {
    /// Size in bytes of a blob, here or upstream.
    pub async fn blob_size(
        &self,
        permit: &Permit<Pull>,
        remote: &Remote,
        digest: &Digest,
    ) -> Result<u64, CacheError> {
        match self.inner.registry.blob_size(permit, digest).await {
            Err(PullError::UnknownBlob(_) | PullError::UnknownRepository(_)) => {
                Ok(self.inner.upstream.blob_size(remote, digest).await?)
            }
            known => Ok(known?),
        }
    }

    /// A blob, which may still be on its way while it is read.
    pub async fn open_blob(
        &self,
        permit: &Permit<Pull>,
        remote: &Remote,
        digest: &Digest,
    ) -> Result<Blob, CacheError> {
        match self.inner.registry.open_blob(permit, digest).await {
            Err(PullError::UnknownBlob(_) | PullError::UnknownRepository(_)) => {}
            known => return Ok(known?),
        }
        let arrival = self.arrive(permit.repository(), remote, digest).await?;
        if let Some(blob) = arrival.blob() {
            return Ok(blob);
        }
        wait(arrival, digest).await?;
        Ok(self.inner.registry.open_blob(permit, digest).await?)
    }

    /// Sees to it that a blob is in the repository.
    pub(super) async fn bring(
        &self,
        repository: &RepositoryName,
        remote: &Remote,
        digest: &Digest,
    ) -> Result<(), CacheError> {
        match self.inner.registry.blob_size(&self.reader(repository)?, digest).await {
            Err(PullError::UnknownBlob(_) | PullError::UnknownRepository(_)) => {}
            known => return Ok(known.map(drop)?),
        }
        wait(self.arrive(repository, remote, digest).await?, digest).await
    }

    /// Joins a blob on its way, or asks upstream for it.
    async fn arrive(
        &self,
        repository: &RepositoryName,
        remote: &Remote,
        digest: &Digest,
    ) -> Result<Arrival, CacheError> {
        let key: ByDigest = (repository.clone(), *digest);
        let under_way = {
            let all = self.inner.arriving.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(&key).cloned()
        };
        if let Some(arrival) = under_way {
            return Ok(arrival);
        }
        let (cache, remote, own) = (self.clone(), remote.clone(), key.clone());
        let flight = self.inner.blobs.join(key, move || cache.begin(own, remote));
        let died = UpstreamError::BrokeOff {
            host: remote_host(),
            what: digest.to_string(),
            why: "the task that asked upstream died".to_owned(),
        };
        Ok(flight.await.unwrap_or(Err(died))?)
    }

    /// Asks upstream, and stores what comes.
    async fn begin(self, key: ByDigest, remote: Remote) -> Result<Arrival, UpstreamError> {
        // It may have come between the look and this request.
        let under_way = {
            let all = self.inner.arriving.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(&key).cloned()
        };
        if let Some(arrival) = under_way {
            return Ok(arrival);
        }
        let registry = &self.inner.registry;
        let ours = |error: &dyn std::fmt::Display| UpstreamError::Failed {
            host: remote_host(),
            what: key.1.to_string(),
            status: 500,
            words: error.to_string(),
        };
        if let Ok(reader) = self.reader(&key.0)
            && let Ok(blob) = registry.open_blob(&reader, &key.1).await
        {
            return Ok(whole(blob));
        }
        let blob = self.inner.upstream.blob(&remote, &key.1).await?;
        let permit = self.writer(&key.0).map_err(|error| ours(&error))?;
        let upload = registry.start_upload(&permit, key.1.algorithm()).await;
        let upload = upload.map_err(|error| ours(&error))?.id;
        let (sender, arrived) = watch::channel(Arrived::Part(0));
        self.inner.growing.follow(upload, sender);
        let file = registry.blobs.upload_reader(upload).ok().flatten().map(Arc::new);
        let arrival = Arrival { size: blob.size, file, arrived };
        self.inner
            .arriving
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.clone(), arrival.clone());
        let cache = self.clone();
        tokio::spawn(async move {
            let registry = &cache.inner.registry;
            let outcome = registry.finish_upload(&permit, upload, None, blob.body, key.1).await;
            let arrived = match outcome {
                Ok(_) => Arrived::Whole,
                Err(error) => {
                    tracing::warn!(repository = %key.0, digest = %key.1, %error, "a blob was not cached");
                    let _ = registry.cancel_upload(&permit, upload).await;
                    Arrived::Failed(error.to_string())
                }
            };
            cache.inner.arriving.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            cache.inner.growing.end(upload, arrived);
        });
        Ok(arrival)
    }
}

/// A blob that came before it was asked for.
fn whole(blob: Blob) -> Arrival {
    let file = match blob.source {
        store::BlobSource::File(file) => Some(file),
        store::BlobSource::Object(_) => None,
    };
    // The sender may go: the last word stays.
    let (_, arrived) = watch::channel(Arrived::Whole);
    Arrival { size: Some(blob.size), file, arrived }
}

/// What errors call this side.
fn remote_host() -> String {
    "the cache".to_owned()
}

async fn wait(arrival: Arrival, digest: &Digest) -> Result<(), CacheError> {
    let what = format!("blob {digest}");
    arrival.whole().await.map_err(|why| CacheError::Interrupted { what, why })
}
