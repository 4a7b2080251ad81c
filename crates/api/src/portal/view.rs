//! What the API asks of the running inspection. The server implements it over
//! `scanner`; tests have a fake.

use std::sync::Arc;

use advisories::Index;
use oci::{Digest, RepositoryName};
use store::scan::Millis;
use tokio::sync::broadcast;

use super::types::{ScanStage, ScanTrigger};

/// Where the scan of an image stands that waits or runs. One that is neither
/// has no progress: its end is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanProgress {
    /// What it does; `None` while it waits.
    pub stage: Option<ScanStage>,
    /// When it began; `None` while it waits.
    pub started_at: Option<Millis>,
}

/// A scan that waits or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedScan {
    /// The image.
    pub digest: Digest,
    /// A repository that holds it.
    pub repository: RepositoryName,
    /// What asked for it.
    pub trigger: ScanTrigger,
    /// How often it was tried before.
    pub attempts: u32,
    /// When it was queued.
    pub queued_at: Option<Millis>,
    /// Where it stands.
    pub progress: ScanProgress,
}

/// Something that those who look on want to know at once. A hint to read again,
/// never the state itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanEvent {
    /// An image appeared, its scan moved on, or its verdict changed.
    Image {
        /// Digest of its manifest.
        digest: Digest,
        /// Where its scan stands now; `None` where it has ended.
        progress: Option<ScanProgress>,
    },
    /// A repository appeared, or what it holds changed.
    Repository(RepositoryName),
    /// A new index is in use.
    Advisories {
        /// Its name.
        snapshot: String,
    },
}

/// The running inspection, as far as it can be looked at.
pub trait ScanView: Send + Sync {
    /// The advisories in use now.
    fn index(&self) -> Arc<Index>;

    /// The scan of an image, where one waits or runs.
    fn progress(&self, digest: &Digest) -> Option<ScanProgress>;

    /// Scans that wait or run, oldest first.
    fn queue(&self) -> Vec<QueuedScan>;

    /// Events from now on. The streams of the API end when the sender is gone,
    /// so drop it to let the server stop.
    fn subscribe(&self) -> broadcast::Receiver<ScanEvent>;
}
