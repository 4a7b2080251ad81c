//! What retention decides on, and how it takes away.

use async_trait::async_trait;
use oci::{Digest, RepositoryName, Tag};
use time::OffsetDateTime;

use super::DeleteRules;
use crate::StoreError;
use crate::registry::DeletedEntry;

/// A tag as retention sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionTag {
    /// Its name.
    pub tag: Tag,
    /// When it was last set.
    pub updated_at: OffsetDateTime,
    /// When it was last pulled.
    pub pulled_at: Option<OffsetDateTime>,
    /// It may not be deleted.
    pub locked: bool,
}

/// A manifest as retention sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionManifest {
    /// Its digest.
    pub digest: Digest,
    /// When it was pushed.
    pub pushed_at: OffsetDateTime,
    /// When it was last pulled.
    pub pulled_at: Option<OffsetDateTime>,
    /// It may not be deleted.
    pub locked: bool,
    /// The manifest that it is about.
    pub subject: Option<Digest>,
    /// What it lists, if it is an index.
    pub children: Vec<Digest>,
    /// The tags that point at it, sorted.
    pub tags: Vec<RetentionTag>,
}

/// Takes a manifest away as long as it is what it was when that was decided.
#[derive(Debug, Clone)]
pub struct Retire<'a> {
    /// Where.
    pub repository: &'a RepositoryName,
    /// Which.
    pub digest: &'a Digest,
    /// The tags that it must have, no more and no fewer, each as last set then.
    pub tags: &'a [(Tag, OffsetDateTime)],
    /// It must not have been pulled after this.
    pub pulled_before: Option<OffsetDateTime>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetireOutcome {
    /// Gone, with what belongs to it.
    Retired(Vec<DeletedEntry>),
    /// It stays, and why.
    Kept(String),
}

/// What retention asks of storage.
#[async_trait]
pub trait RetentionStore: Send + Sync {
    /// Every manifest of a repository that was not put away, and whether the
    /// repository itself may be changed.
    async fn retention_manifests(
        &self,
        repository: &RepositoryName,
    ) -> Result<(Vec<RetentionManifest>, bool), StoreError>;
    /// Names of all repositories, listed or not.
    async fn all_repositories(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, StoreError>;
    /// Decides again and takes away, in one transaction. `rules.mode` is a
    /// graph's.
    async fn retire_manifest(
        &self,
        retire: Retire<'_>,
        rules: &DeleteRules,
    ) -> Result<RetireOutcome, StoreError>;
    /// Removes a tag if it was not set after `updated_at`.
    async fn retire_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        updated_at: OffsetDateTime,
        rules: &DeleteRules,
    ) -> Result<RetireOutcome, StoreError>;
}
