//! Use cases: push, pull, tag, delete.
//!
//! ```text
//! start_upload -> append* -> finish_upload --> blob held by the repository
//!      |             |            |                       |
//!      +-- cancel, expiry --------+             push_manifest --> manifest, tags
//! ```
//!
//! What is acknowledged is on disk: a use case returns after the bytes are
//! synchronised and their row is committed, in this order, so that a row never
//! speaks of bytes that are not there. Whoever dies in between leaves an
//! unfinished upload or a blob that no repository holds, and neither is visible.

pub mod attributes;
pub mod blobs;
mod body;
pub mod cache;
pub mod collect;
pub mod delete;
pub mod events;
pub mod import;
pub mod lists;
pub mod manifests;
pub mod policies;
mod pulls;
pub mod quota;
pub mod retention;
pub mod scrub;
mod sessions;
pub mod trash;
pub mod uploads;
pub mod upstream;
pub mod webhooks;

use std::sync::Arc;

use store::{BlobStore, Metadata};
use time::OffsetDateTime;

pub use attributes::AttributesError;
pub use blobs::{MountSource, PullError};
pub use body::ByteStream;
pub use cache::manifests::CachedManifest;
pub use cache::{Cache, CacheError, CacheParts, ChangeRuleError};
pub use collect::{CollectError, CollectOptions, CollectorLock};
pub use delete::{DeleteError, DeletedContents};
pub use events::{
    DeletedManifest, DeletedTag, Pulled, PushedManifest, RegistryObserver, UploadOpener,
};
pub use import::{ImportError, ImportParts, ImportSource, Imports, NewImport, Principals};
pub use lists::{ListError, Page};
pub use manifests::{ManifestPush, PushManifestError};
pub use policies::{ChangePoliciesError, Policies, VersionedPolicies};
pub use pulls::{PULLS_BUFFERED_MAX, PULLS_FLUSH_EVERY};
pub use retention::{RetentionReport, RetentionRule};
pub use trash::RestoreError;
pub use uploads::{Chunk, CommittedBlob, UPLOAD_AGE_MAX, UploadError, UploadStatus};

/// Tells the time. Tests turn it by hand.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// The clock on the wall.
pub fn wall_clock() -> Clock {
    Arc::new(OffsetDateTime::now_utc)
}

/// The registry's use cases over some storage. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    blobs: Arc<dyn BlobStore>,
    metadata: Arc<dyn Metadata>,
    observer: Arc<dyn RegistryObserver>,
    clock: Clock,
    sessions: Arc<sessions::Sessions>,
    sparse_images: bool,
    collector_lock: Option<Arc<dyn collect::CollectorLock>>,
    policies: Arc<policies::Cache>,
    pulls: Arc<pulls::PullTimes>,
}

impl Registry {
    /// Call [`Registry::recover`] once before serving.
    pub fn new(
        blobs: Arc<dyn BlobStore>,
        metadata: Arc<dyn Metadata>,
        observer: Arc<dyn RegistryObserver>,
        clock: Clock,
    ) -> Self {
        Self {
            blobs,
            metadata,
            observer,
            clock,
            sessions: Arc::default(),
            sparse_images: false,
            collector_lock: None,
            policies: Arc::default(),
            pulls: Arc::default(),
        }
    }

    /// Whether images are accepted although some of their layers are not there.
    /// Nobody can pull such an image whole before somebody has pushed those.
    pub fn with_sparse_images(self, accepted: bool) -> Self {
        Self { sparse_images: accepted, ..self }
    }

    /// Uses a lock that tells at once that an earlier collector is dead.
    /// Without one, the records of the database have to do.
    pub fn with_collector_lock(self, lock: Option<Arc<dyn CollectorLock>>) -> Self {
        Self { collector_lock: lock, ..self }
    }

    fn now(&self) -> OffsetDateTime {
        (self.clock)()
    }
}
