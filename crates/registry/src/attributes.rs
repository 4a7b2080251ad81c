//! Attributes of repositories, tags and manifests: read, list, lock, unlock.
//!
//! A lock is a flag that is off. `writeEnabled` and `deleteEnabled` must both be
//! on for anything to be deleted, of the object itself and of what holds it;
//! the store checks them in the transaction of the change.

use access::{MetadataRead, MetadataWrite, Permit};
use oci::{Digest, Manifest, Reference, RepositoryName, Tag, media_type};
use serde::Deserialize;
use store::StoreError;
use store::policy::{AttributeChange, ManifestDetail, RepositoryDetail, TagDetail, TagsQuery};

use crate::Registry;
use crate::lists::{PAGE_ENTRIES_MAX, Page, page};

/// Longest quarantine state, in bytes.
pub const QUARANTINE_STATE_BYTES_MAX: usize = 64;
/// Longest quarantine details, in bytes.
pub const QUARANTINE_DETAILS_BYTES_MAX: usize = 64 << 10;

/// Largest image configuration that is read for its platform, in bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Configurations that are an image's.
const CONFIG_TYPES: [&str; 2] =
    [media_type::OCI_CONFIG, "application/vnd.docker.container.image.v1+json"];

/// The part of an image configuration that is shown.
#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

/// A manifest that an index lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferencedManifest {
    /// Its digest; it need not be in the repository.
    pub digest: Digest,
    /// Architecture and operating system, as the index claims.
    pub platform: Option<(String, String)>,
}

/// Why attributes were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AttributesError {
    /// The repository has never held anything, or is deleted.
    #[error("repository {0} is not known")]
    UnknownRepository(RepositoryName),
    /// It has no such tag.
    #[error("tag {0} is not in the repository")]
    UnknownTag(Tag),
    /// It holds no such manifest.
    #[error("manifest {0} is not in the repository")]
    UnknownManifest(Digest),
    /// A text is longer than what is kept.
    #[error("{what} has {bytes} bytes, more than the {limit} that are kept")]
    TooLong {
        /// Which.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// Storage failed.
    #[error("cannot read or change attributes: {0}")]
    Store(#[from] StoreError),
}

impl Registry {
    /// A repository with its attributes.
    pub async fn repository_detail(
        &self,
        permit: &Permit<MetadataRead>,
    ) -> Result<RepositoryDetail, AttributesError> {
        let detail = self.metadata.repository_detail(permit.repository()).await?;
        detail.ok_or_else(|| AttributesError::UnknownRepository(permit.repository().clone()))
    }

    /// Tags with their attributes, but for those that are not to be listed.
    pub async fn tag_details(
        &self,
        permit: &Permit<MetadataRead>,
        query: TagsQuery<'_>,
    ) -> Result<Page<TagDetail>, AttributesError> {
        let limit = query.limit.min(PAGE_ENTRIES_MAX);
        let query = TagsQuery { limit: limit + 1, ..query };
        let tags = self.metadata.tag_details(permit.repository(), query).await?;
        self.known_if_empty(permit, tags.is_empty()).await?;
        Ok(page(tags, limit))
    }

    /// One tag with its attributes.
    pub async fn tag_detail(
        &self,
        permit: &Permit<MetadataRead>,
        tag: &Tag,
    ) -> Result<TagDetail, AttributesError> {
        let detail = self.metadata.tag_detail(permit.repository(), tag).await?;
        detail.ok_or_else(|| AttributesError::UnknownTag(tag.clone()))
    }

    /// Manifests with their attributes, but for those that are not to be listed.
    pub async fn manifest_details(
        &self,
        permit: &Permit<MetadataRead>,
        query: TagsQuery<'_>,
    ) -> Result<Page<ManifestDetail>, AttributesError> {
        let limit = query.limit.min(PAGE_ENTRIES_MAX);
        let query = TagsQuery { limit: limit + 1, ..query };
        let manifests = self.metadata.manifest_details(permit.repository(), query).await?;
        self.known_if_empty(permit, manifests.is_empty()).await?;
        Ok(page(manifests, limit))
    }

    /// One manifest with its attributes.
    pub async fn manifest_detail(
        &self,
        permit: &Permit<MetadataRead>,
        digest: &Digest,
    ) -> Result<ManifestDetail, AttributesError> {
        let detail = self.metadata.manifest_detail(permit.repository(), digest).await?;
        detail.ok_or(AttributesError::UnknownManifest(*digest))
    }

    /// Architecture and operating system of an image, as its configuration
    /// says; `None` for what has none, or none that can be read.
    pub async fn platform(&self, detail: &ManifestDetail) -> Option<(String, String)> {
        let (config, kind) = detail.config.as_ref()?;
        if !CONFIG_TYPES.contains(&kind.as_str()) {
            return None;
        }
        let blob = self.blobs.open_blob(config).await.ok()??;
        if blob.size > CONFIG_BYTES_MAX {
            return None;
        }
        let bytes = blob.read_up_to(CONFIG_BYTES_MAX).await.ok()?;
        let platform: Platform = serde_json::from_slice(&bytes).ok()?;
        Some((platform.architecture, platform.os))
    }

    /// What an index lists; nothing for others.
    pub async fn listed_manifests(
        &self,
        permit: &Permit<MetadataRead>,
        digest: &Digest,
    ) -> Result<Vec<ReferencedManifest>, AttributesError> {
        let reference = Reference::Digest(*digest);
        let Some(stored) = self.metadata.manifest(permit.repository(), &reference).await? else {
            return Err(AttributesError::UnknownManifest(*digest));
        };
        let Ok(Manifest::Index(index)) = Manifest::parse(&stored.bytes, Some(&stored.media_type))
        else {
            return Ok(Vec::new());
        };
        let listed = index.manifests.into_iter().map(|child| ReferencedManifest {
            digest: child.digest,
            platform: child.platform.map(|platform| (platform.architecture, platform.os)),
        });
        Ok(listed.collect())
    }

    /// Locks or unlocks a repository.
    pub async fn change_repository(
        &self,
        permit: &Permit<MetadataWrite>,
        change: &AttributeChange,
    ) -> Result<(), AttributesError> {
        let known = self.metadata.change_repository(permit.repository(), change).await?;
        let unknown = || AttributesError::UnknownRepository(permit.repository().clone());
        known.then_some(()).ok_or_else(unknown)
    }

    /// Locks or unlocks a tag.
    pub async fn change_tag(
        &self,
        permit: &Permit<MetadataWrite>,
        tag: &Tag,
        change: &AttributeChange,
    ) -> Result<(), AttributesError> {
        let known = self.metadata.change_tag(permit.repository(), tag, change).await?;
        known.then_some(()).ok_or_else(|| AttributesError::UnknownTag(tag.clone()))
    }

    /// Locks or unlocks a manifest, or says what became of its quarantine.
    pub async fn change_manifest(
        &self,
        permit: &Permit<MetadataWrite>,
        digest: &Digest,
        change: &AttributeChange,
    ) -> Result<(), AttributesError> {
        for (what, text, limit) in [
            ("quarantineState", &change.quarantine_state, QUARANTINE_STATE_BYTES_MAX),
            ("quarantineDetails", &change.quarantine_details, QUARANTINE_DETAILS_BYTES_MAX),
        ] {
            let bytes = text.as_ref().map_or(0, String::len);
            if bytes > limit {
                return Err(AttributesError::TooLong { what, bytes, limit });
            }
        }
        let repository = permit.repository();
        let known = self.metadata.change_manifest(repository, digest, change, self.now()).await?;
        known.then_some(()).ok_or(AttributesError::UnknownManifest(*digest))
    }

    async fn known_if_empty(
        &self,
        permit: &Permit<MetadataRead>,
        empty: bool,
    ) -> Result<(), AttributesError> {
        if empty && !self.metadata.has_repository(permit.repository()).await? {
            return Err(AttributesError::UnknownRepository(permit.repository().clone()));
        }
        Ok(())
    }
}
