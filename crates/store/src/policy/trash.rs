//! What was put away and can be restored.

use async_trait::async_trait;
use oci::{Digest, RepositoryName, Tag};
use time::OffsetDateTime;

use super::{DeleteRules, Refusal};
use crate::registry::DeletedEntry;
use crate::{Pattern, StoreError};

/// What came of deleting a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteRepository {
    /// It is gone, with these.
    Deleted(Vec<DeletedEntry>),
    /// There was none.
    Unknown,
    /// Something in it must stay, so all of it does.
    Refused(Refusal),
}

/// A manifest that was put away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedManifestEntry {
    /// Its digest.
    pub digest: Digest,
    /// What it was pushed as.
    pub media_type: String,
    /// Its own bytes.
    pub size: u64,
    /// The tags that it had, sorted.
    pub tags: Vec<Tag>,
    /// When it was pushed.
    pub pushed_at: OffsetDateTime,
    /// When it was put away.
    pub deleted_at: OffsetDateTime,
    /// By whom.
    pub deleted_by: String,
    /// What went together carries the same.
    pub deletion: String,
}

/// A tag that was put away with its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTagEntry {
    /// Its name.
    pub tag: Tag,
    /// What it pointed at.
    pub digest: Digest,
    /// When it was put away.
    pub deleted_at: OffsetDateTime,
}

/// What came of restoring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restore {
    /// These are there again, with the tags that they got back.
    Restored(Vec<DeletedEntry>),
    /// Nothing was changed: these tags have been set again meanwhile.
    TagsTaken(Vec<Tag>),
    /// Nothing of that name was put away.
    Unknown,
}

/// Keeps what was put away. Deleting into it is
/// [`crate::RegistryStore::delete_manifest`].
#[async_trait]
pub trait TrashStore: Send + Sync {
    /// Deletes a repository with everything in it, all or nothing. With
    /// `DeleteMode::PutAway` its manifests can be restored.
    async fn delete_repository(
        &self,
        repository: &RepositoryName,
        rules: &DeleteRules,
    ) -> Result<DeleteRepository, StoreError>;
    /// Repositories of which something was put away, by name.
    async fn deleted_repositories(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, StoreError>;
    /// Manifests of a repository that were put away, by digest.
    async fn deleted_manifests(
        &self,
        repository: &RepositoryName,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<DeletedManifestEntry>, StoreError>;
    /// Tags of a repository that were put away, by name and then digest.
    async fn deleted_tags(
        &self,
        repository: &RepositoryName,
        after: Option<(&str, &str)>,
        limit: u32,
    ) -> Result<Vec<DeletedTagEntry>, StoreError>;
    /// Brings back a manifest with what belongs to it and all tags that they
    /// had. A tag that has meanwhile been set again is taken only with `force`,
    /// and never if it is locked or immutable.
    async fn restore_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        force: bool,
        immutable_tags: &[Pattern],
        at: OffsetDateTime,
    ) -> Result<Restore, StoreError>;
    /// Removes for good what was put away before `before`, at most `limit`
    /// manifests; says how many.
    async fn purge_deleted(&self, before: OffsetDateTime, limit: u32) -> Result<u64, StoreError>;
}
