//! How many bytes are held, and when what was pulled.

use async_trait::async_trait;
use oci::{Digest, RepositoryName, Tag};
use time::OffsetDateTime;

use crate::StoreError;

/// A pull that is to be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// From where.
    pub repository: RepositoryName,
    /// What was handed out.
    pub digest: Digest,
    /// If it was asked for by tag, that one.
    pub tag: Option<Tag>,
    /// The newest time.
    pub at: OffsetDateTime,
}

/// A counter that was not what counting gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageDifference {
    /// Whose; `None` for the registry's.
    pub repository: Option<RepositoryName>,
    /// Bytes as it said.
    pub counter: i64,
    /// Bytes as counted.
    pub counted: u64,
}

/// Knows sizes without adding them up.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// Bytes of all blobs, each once, and of all manifests.
    async fn registry_bytes(&self) -> Result<u64, StoreError>;
    /// Bytes of the blobs and manifests of one repository. `None`: it has never
    /// held anything.
    async fn repository_bytes(
        &self,
        repository: &RepositoryName,
    ) -> Result<Option<u64>, StoreError>;
    /// The largest repositories, with their bytes.
    async fn largest_repositories(
        &self,
        limit: u32,
    ) -> Result<Vec<(RepositoryName, u64)>, StoreError>;
    /// Counts everything, says where a counter was wrong, and sets those right
    /// if asked to. No other writer is let in meanwhile.
    async fn recount_bytes(&self, repair: bool) -> Result<Vec<UsageDifference>, StoreError>;
    /// Remembers pulls. A time never goes back; what is gone is passed over.
    async fn record_pulls(&self, pulls: &[Pull]) -> Result<(), StoreError>;
}
