//! Quotas on bytes. Blobs are compared before they are accepted; concurrent
//! uploads can each pass then, so the manifest that needs them is compared once
//! more in its own transaction.

use oci::{Digest, RepositoryName};
use store::StoreError;
use store::policy::{Refusal, UsageDifference};

use crate::Registry;

/// Why a blob is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdmitError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is held, and what may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all blobs, each once, and of all manifests.
    pub registry_bytes: u64,
    /// Most of them.
    pub registry_bytes_max: Option<u64>,
    /// The largest repositories: name, bytes of blobs and manifests, most bytes.
    pub repositories: Vec<(RepositoryName, u64, Option<u64>)>,
}

/// Repositories that [`Registry::usage`] tells of.
pub const USAGE_REPOSITORIES_MAX: u32 = 100;

impl Registry {
    /// Whether a repository may hold a blob, as far as its size goes.
    pub(crate) async fn admit_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
    ) -> Result<(), AdmitError> {
        let current = self.policies().await?;
        let (ours, all) =
            (current.policies.repository_quota(repository), current.policies.quotas.registry_bytes);
        if ours.is_none() && all.is_none() {
            return Ok(());
        }
        if self.metadata.linked_blob(repository, digest).await?.is_some() {
            return Ok(());
        }
        let refuse = |used: u64, limit: u64, repository: Option<RepositoryName>| {
            Refusal::OverQuota { repository, used, limit, wanted: size }
        };
        if let Some(limit) = ours {
            let used = self.metadata.repository_bytes(repository).await?.unwrap_or(0);
            if used.saturating_add(size) > limit {
                return Err(refuse(used, limit, Some(repository.clone())).into());
            }
        }
        if let Some(limit) = all {
            let used = self.metadata.registry_bytes().await?;
            let adds = self.blobs.blob_size(digest).await?.is_none();
            if adds && used.saturating_add(size) > limit {
                return Err(refuse(used, limit, None).into());
            }
        }
        Ok(())
    }

    /// What is held, and what may be.
    pub async fn usage(&self, _permit: &access::Catalog) -> Result<Usage, StoreError> {
        let current = self.policies().await?;
        let largest = self.metadata.largest_repositories(USAGE_REPOSITORIES_MAX).await?;
        let with_limit = |(name, bytes)| {
            let limit = current.policies.repository_quota(&name);
            (name, bytes, limit)
        };
        Ok(Usage {
            registry_bytes: self.metadata.registry_bytes().await?,
            registry_bytes_max: current.policies.quotas.registry_bytes,
            repositories: largest.into_iter().map(with_limit).collect(),
        })
    }

    /// Counts what is held and compares it with the counters.
    pub async fn check_usage(&self, repair: bool) -> Result<Vec<UsageDifference>, StoreError> {
        self.metadata.recount_bytes(repair).await
    }
}
