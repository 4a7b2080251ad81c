//! Where blobs lie.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectStoreExt, UpdateVersion};
use oci::Digest;
use serde::{Deserialize, Serialize};
use store::StoreError;
use uuid::Uuid;

use super::client::ObjectClient;
use super::error::{found, remote};
use super::keys::Keys;

/// Blobs whose place is remembered.
const PLACES_MAX: u64 = 100_000;

/// How long a place is remembered, and so how long another server may still
/// believe in a blob that was deleted.
const PLACE_AGE_MAX: Duration = Duration::from_secs(60);

/// The object with a blob's bytes.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub key: Path,
    pub size: u64,
}

/// What the pointer to a large blob says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pointer {
    /// The upload that brought the bytes.
    pub content: Uuid,
    pub size: u64,
}

/// Finds blobs, and remembers those that it found.
pub(super) struct Finder {
    pub client: ObjectClient,
    keys: Keys,
    places: moka::sync::Cache<Digest, Place>,
    /// Counts deletions, so that a look-up that began before one does not bring
    /// its finding back.
    deletions: AtomicU64,
}

impl std::fmt::Debug for Finder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finder").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Finder {
    pub fn new(client: ObjectClient, keys: Keys) -> Self {
        let places = moka::sync::Cache::builder()
            .max_capacity(PLACES_MAX)
            .time_to_live(PLACE_AGE_MAX)
            .build();
        Self { client, keys, places, deletions: AtomicU64::new(0) }
    }

    /// `None`: no such blob.
    pub async fn find(&self, digest: &Digest) -> Result<Option<Place>, StoreError> {
        if let Some(place) = self.places.get(digest) {
            return Ok(Some(place));
        }
        let deletions = self.deletions.load(Ordering::SeqCst);
        // Which of the two it is, its digest does not say.
        let (small, large) = (self.keys.small(digest), self.pointer(digest));
        let (small, large) = tokio::join!(self.client.store.head(&small), large);
        let small = found(small).map_err(remote(format!("look for blob {digest}")))?;
        let place = match (small, large?) {
            (Some(there), _) => Place { key: there.location, size: there.size },
            (None, Some((pointer, _))) => {
                Place { key: self.keys.content(pointer.content), size: pointer.size }
            }
            (None, None) => return Ok(None),
        };
        self.remember(digest, place.clone());
        if self.deletions.load(Ordering::SeqCst) != deletions {
            self.places.invalidate(digest);
        }
        Ok(Some(place))
    }

    /// The pointer to a large blob and which writing of it this is.
    pub async fn pointer(
        &self,
        digest: &Digest,
    ) -> Result<Option<(Pointer, UpdateVersion)>, StoreError> {
        let attempted = || remote(format!("look for blob {digest}"));
        let got = found(self.client.store.get(&self.keys.pointer(digest)).await);
        let Some(got) = got.map_err(attempted())? else { return Ok(None) };
        let version =
            UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
        let bytes = got.bytes().await.map_err(attempted())?;
        let pointer = serde_json::from_slice(&bytes)
            .map_err(|error| StoreError::corrupt("pointer", format!("to {digest}: {error}")))?;
        Ok(Some((pointer, version)))
    }

    pub fn remember(&self, digest: &Digest, place: Place) {
        self.places.insert(*digest, place);
    }

    /// What was found is not there.
    pub fn forget(&self, digest: &Digest) {
        self.places.invalidate(digest);
    }

    /// The blob was deleted.
    pub fn deleted(&self, digest: &Digest) {
        self.deletions.fetch_add(1, Ordering::SeqCst);
        self.places.invalidate(digest);
    }
}
