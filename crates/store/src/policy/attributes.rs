//! Flags of repositories, tags and manifests, and what is listed beside them.

use async_trait::async_trait;
use oci::{Digest, RepositoryName, Tag};
use time::OffsetDateTime;

use crate::StoreError;

/// What may be done to an object. Everything, until somebody says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// It can be pulled.
    pub read: bool,
    /// It can be changed and deleted.
    pub write: bool,
    /// It can be deleted.
    pub delete: bool,
    /// It is in lists.
    pub list: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self { read: true, write: true, delete: true, list: true }
    }
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributeChange {
    /// Whether it can be pulled.
    pub read: Option<bool>,
    /// Whether it can be changed and deleted.
    pub write: Option<bool>,
    /// Whether it can be deleted.
    pub delete: Option<bool>,
    /// Whether it is in lists.
    pub list: Option<bool>,
    /// Of a manifest: `Passed`, `Failed` and the like.
    pub quarantine_state: Option<String>,
    /// Of a manifest: JSON text.
    pub quarantine_details: Option<String>,
}

/// A repository with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryDetail {
    /// When it first held something.
    pub created_at: OffsetDateTime,
    /// The newest push or change of a tag.
    pub updated_at: OffsetDateTime,
    /// How many manifests it holds.
    pub manifests: u64,
    /// How many tags it has.
    pub tags: u64,
    /// Bytes of its blobs and manifests, those put away too.
    pub bytes: u64,
    /// What may be done to it.
    pub attributes: Attributes,
}

/// A tag with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagDetail {
    /// Its name.
    pub tag: Tag,
    /// What it points at.
    pub digest: Digest,
    /// When it was first set.
    pub created_at: OffsetDateTime,
    /// When it was last set.
    pub updated_at: OffsetDateTime,
    /// When it was last pulled.
    pub pulled_at: Option<OffsetDateTime>,
    /// Whether a signature or the like is about its manifest.
    pub signed: bool,
    /// What may be done to it.
    pub attributes: Attributes,
}

/// A manifest with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestDetail {
    /// Its digest.
    pub digest: Digest,
    /// What it was pushed as.
    pub media_type: String,
    /// Bytes of configuration and layers as it claims; of an index, of the
    /// manifests it lists.
    pub image_size: u64,
    /// Its configuration, with its media type.
    pub config: Option<(Digest, String)>,
    /// When it was pushed.
    pub created_at: OffsetDateTime,
    /// When it was pushed or its attributes changed.
    pub updated_at: OffsetDateTime,
    /// When it was last pulled.
    pub pulled_at: Option<OffsetDateTime>,
    /// The tags that point at it, sorted.
    pub tags: Vec<Tag>,
    /// What may be done to it.
    pub attributes: Attributes,
    /// As somebody said; nothing follows from it yet.
    pub quarantine_state: Option<String>,
    /// As somebody said.
    pub quarantine_details: Option<String>,
}

/// Order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By name or digest.
    #[default]
    Name,
    /// The oldest change first.
    TimeAscending,
    /// The newest change first.
    TimeDescending,
}

/// Which part of a list is wanted: at most `limit` entries that come after the
/// one named `after`, in this order.
#[derive(Debug, Clone, Copy, Default)]
pub struct TagsQuery<'a> {
    /// The last entry of the page before.
    pub after: Option<&'a str>,
    /// In which order.
    pub order: Order,
    /// Only tags that point at this manifest.
    pub digest: Option<&'a Digest>,
    /// Most entries.
    pub limit: u32,
}

/// Keeps attributes. Lists leave out what is not to be listed; single reads
/// do not.
#[async_trait]
pub trait AttributeStore: Send + Sync {
    /// One repository. `None`: it has never held anything.
    async fn repository_detail(
        &self,
        repository: &RepositoryName,
    ) -> Result<Option<RepositoryDetail>, StoreError>;
    /// Tags of a repository.
    async fn tag_details(
        &self,
        repository: &RepositoryName,
        query: TagsQuery<'_>,
    ) -> Result<Vec<TagDetail>, StoreError>;
    /// One tag.
    async fn tag_detail(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<TagDetail>, StoreError>;
    /// Manifests of a repository; `query.digest` is not looked at.
    async fn manifest_details(
        &self,
        repository: &RepositoryName,
        query: TagsQuery<'_>,
    ) -> Result<Vec<ManifestDetail>, StoreError>;
    /// One manifest.
    async fn manifest_detail(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<ManifestDetail>, StoreError>;

    /// Changes a repository's attributes; says whether it is there.
    async fn change_repository(
        &self,
        repository: &RepositoryName,
        change: &AttributeChange,
    ) -> Result<bool, StoreError>;
    /// Changes a tag's attributes; says whether it is there.
    async fn change_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        change: &AttributeChange,
    ) -> Result<bool, StoreError>;
    /// Changes a manifest's attributes; says whether it is there.
    async fn change_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        change: &AttributeChange,
        at: OffsetDateTime,
    ) -> Result<bool, StoreError>;
}
