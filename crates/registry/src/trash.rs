//! What was put away: list it, bring it back, let it go in the end.
//!
//! ```text
//! live --delete--> put away --restore, or pushed again--> live
//!                     |
//!                     +--after retentionDays--> gone; collection frees its blobs
//! ```

use access::{DeletedCatalog, DeletedRead, DeletedRestore, Permit, RegistryPermit};
use oci::{Digest, RepositoryName, Tag};
use store::StoreError;
use store::policy::{DeletedManifestEntry, DeletedTagEntry, Restore};
use time::Duration;

use crate::Registry;
use crate::delete::DeletedContents;
use crate::lists::{ListError, PAGE_ENTRIES_MAX, Page, page};

/// Manifests removed in one transaction.
const PURGE_BATCH: u32 = 200;

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// No such manifest was put away.
    #[error("manifest {0} is not among the deleted ones of the repository")]
    Unknown(Digest),
    /// They would be taken from what they name now.
    #[error("{} of its tags have been set again since, the first is {}; restore with force to move them back (those that are locked or immutable cannot be)", .0.len(), .0[0])]
    TagsTaken(Vec<Tag>),
    /// Storage failed.
    #[error("cannot restore: {0}")]
    Store(#[from] StoreError),
}

impl Registry {
    /// Repositories of which something was put away.
    pub async fn deleted_repositories(
        &self,
        _permit: &RegistryPermit<DeletedCatalog>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<RepositoryName>, ListError> {
        let limit = limit.min(PAGE_ENTRIES_MAX);
        Ok(page(self.metadata.deleted_repositories(after, limit + 1).await?, limit))
    }

    /// Manifests that were put away, by digest.
    pub async fn deleted_manifests(
        &self,
        permit: &Permit<DeletedRead>,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Page<DeletedManifestEntry>, ListError> {
        let limit = limit.min(PAGE_ENTRIES_MAX);
        let entries =
            self.metadata.deleted_manifests(permit.repository(), after, limit + 1).await?;
        Ok(page(entries, limit))
    }

    /// Tags that were put away, by name and digest.
    pub async fn deleted_tags(
        &self,
        permit: &Permit<DeletedRead>,
        after: Option<(&str, &str)>,
        limit: u32,
    ) -> Result<Page<DeletedTagEntry>, ListError> {
        let limit = limit.min(PAGE_ENTRIES_MAX);
        Ok(page(self.metadata.deleted_tags(permit.repository(), after, limit + 1).await?, limit))
    }

    /// Brings back a manifest with what belongs to it, and their tags.
    pub async fn restore_manifest(
        &self,
        permit: &Permit<DeletedRestore>,
        digest: &Digest,
        force: bool,
    ) -> Result<DeletedContents, RestoreError> {
        let repository = permit.repository();
        let immutable = self.policies().await?.policies.immutable_tags(repository);
        let restored = self
            .metadata
            .restore_manifest(repository, digest, force, &immutable, self.now())
            .await?;
        match restored {
            Restore::Restored(entries) => {
                let mut contents = DeletedContents::default();
                for entry in entries {
                    contents.manifests.push(entry.digest);
                    contents.tags.extend(entry.tags);
                }
                contents.tags.sort_unstable();
                self.observer.restored(repository);
                Ok(contents)
            }
            Restore::TagsTaken(tags) => Err(RestoreError::TagsTaken(tags)),
            Restore::Unknown => Err(RestoreError::Unknown(*digest)),
        }
    }

    /// Removes for good what has been put away for long enough; says how many
    /// manifests.
    pub async fn purge_deleted(&self) -> Result<u64, StoreError> {
        let days = self.policies().await?.policies.soft_delete.retention_days;
        let before = self.now() - Duration::days(i64::from(days));
        let mut purged = 0;
        loop {
            match self.metadata.purge_deleted(before, PURGE_BATCH).await? {
                0 => return Ok(purged),
                some => purged += some,
            }
        }
    }
}
