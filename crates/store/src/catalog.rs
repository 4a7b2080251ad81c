//! Reads across repositories, for those who look rather than pull: summaries
//! with sizes, the manifests of a repository with what they refer to, and where
//! a digest stands.

use async_trait::async_trait;
use oci::{Digest, Platform, RepositoryName, Tag};

use crate::StoreError;
use crate::scan::Millis;

/// A repository in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositorySummary {
    /// Its name.
    pub name: RepositoryName,
    /// Number of tags.
    pub tags: u64,
    /// Newest first push of a manifest that it still holds.
    pub last_push_at: Option<Millis>,
    /// Bytes of its blobs, each counted once.
    pub size: u64,
}

/// Part of the list of repositories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryPage {
    /// How many match in all.
    pub total: u64,
    /// Those of this page, by name.
    pub entries: Vec<RepositorySummary>,
}

/// All repositories together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RegistrySummary {
    /// Number of repositories.
    pub repositories: u64,
    /// Newest first push of a manifest that is still held.
    pub last_push_at: Option<Millis>,
}

/// A manifest that an index lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexChild {
    /// Its digest; it need not be in the repository.
    pub digest: Digest,
    /// As the index claims.
    pub media_type: String,
    /// As the index claims.
    pub platform: Option<Platform>,
}

/// A blob that a manifest refers to as a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerEntry {
    /// Its digest.
    pub digest: Digest,
    /// As the manifest claims.
    pub media_type: String,
    /// Bytes, as the manifest claims.
    pub size: u64,
}

/// A manifest as a repository holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogManifest {
    /// Its digest.
    pub digest: Digest,
    /// What it was pushed as.
    pub media_type: String,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// The manifest that it is about.
    pub subject: Option<Digest>,
    /// The tags that point at it, sorted.
    pub tags: Vec<Tag>,
    /// When it was first pushed here.
    pub pushed_at: Millis,
    /// Who pushed it first.
    pub pushed_by: String,
    /// Media type of its configuration; `None` for an index.
    pub config_media_type: Option<String>,
    /// Number of its layers.
    pub layers: u64,
    /// How many of them have the media type of a file system layer.
    pub file_system_layers: u64,
    /// Bytes of configuration and layers, as the manifest claims.
    pub content_size: u64,
    /// What an index lists; empty for others.
    pub children: Vec<IndexChild>,
}

/// Where a digest stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A repository that holds it.
    pub repository: RepositoryName,
    /// The tags there that point at it, sorted.
    pub tags: Vec<Tag>,
}

/// Reads across repositories. Every answer is of one moment.
#[async_trait]
pub trait CatalogStore: Send + Sync {
    /// All repositories together.
    async fn registry_summary(&self) -> Result<RegistrySummary, StoreError>;

    /// Repositories whose name contains a text (in any case of letters), by
    /// name, from position `offset` on.
    async fn repository_page(
        &self,
        contains: Option<&str>,
        offset: u64,
        limit: u32,
    ) -> Result<RepositoryPage, StoreError>;

    /// One repository. `None`: it has never held anything.
    async fn repository_summary(
        &self,
        repository: &RepositoryName,
    ) -> Result<Option<RepositorySummary>, StoreError>;

    /// Every manifest of a repository, the newest push first.
    async fn catalog_manifests(
        &self,
        repository: &RepositoryName,
    ) -> Result<Vec<CatalogManifest>, StoreError>;

    /// One manifest of a repository.
    async fn catalog_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<CatalogManifest>, StoreError>;

    /// Layers of a manifest, lowest first. Empty where it is not known or lists none.
    async fn manifest_layers(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<LayerEntry>, StoreError>;

    /// Digest of a manifest's configuration.
    async fn manifest_config(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Digest>, StoreError>;

    /// Repositories that hold a manifest of this digest, by name.
    async fn places(&self, digest: &Digest) -> Result<Vec<Place>, StoreError>;

    /// Digests of the inspected images of all repositories, as pairs of
    /// repository and digest, after `after`, at most `limit`, sorted by both.
    async fn inspected_images(
        &self,
        after: Option<(&str, &str)>,
        limit: u32,
    ) -> Result<Vec<(RepositoryName, Digest)>, StoreError>;

    /// Images whose last scan failed, as pairs of repository and digest, sorted
    /// by both.
    async fn failed_scans(&self, limit: u32) -> Result<Vec<(RepositoryName, Digest)>, StoreError>;

    /// Newest end of a scan of an image that a repository holds; of all
    /// repositories, or of one.
    async fn last_scan(
        &self,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Millis>, StoreError>;
}
