//! What inspection is doing, for those who watch.

use matching::Status;
use oci::{Digest, RepositoryName};
use store::scan::Millis;

use crate::scan::Trigger;

/// Where a scan under way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScanStage {
    /// Waiting for its turn.
    Queued,
    /// Layers are read.
    Layers,
    /// Packages are matched with advisories.
    Matching,
}

impl ScanStage {
    /// As shown to machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Layers => "layers",
            Self::Matching => "matching",
        }
    }
}

/// A scan under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanProgress {
    /// Digest of the image's manifest.
    pub digest: Digest,
    /// A repository that holds it.
    pub repository: RepositoryName,
    /// Where it is.
    pub stage: ScanStage,
    /// What asked for it.
    pub trigger: Trigger,
    /// When it was asked for.
    pub since: Millis,
}

/// Something that watchers show at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanEvent {
    /// A scan got on.
    Progress(ScanProgress),
    /// An image's findings or state are new.
    Image {
        /// Digest of its manifest.
        digest: Digest,
        /// Its state now.
        status: Status,
    },
    /// A scan failed.
    Failed {
        /// Digest of the image's manifest.
        digest: Digest,
    },
    /// Other advisories are in force.
    Advisories,
}
