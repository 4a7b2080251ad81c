//! Lists: repositories, tags, referrers, a page at a time.

use access::{Catalog, Permit, Pull};
use oci::{Digest, RepositoryName, Tag};
use store::{ManifestSummary, StoreError};

use crate::Registry;

/// Entries on a page, whatever the client asks for.
pub const PAGE_ENTRIES_MAX: u32 = 1000;
/// Referrers on a page. Each may carry annotations of its own.
pub const REFERRERS_PAGE_MAX: u32 = 100;
/// Bytes of annotations on a page of referrers, beyond which it ends: a
/// manifest may be no larger than 4 MiB, and neither may this list.
pub const REFERRERS_PAGE_BYTES: usize = 2 << 20;

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// In order.
    pub entries: Vec<T>,
    /// Whether there is more after the last entry.
    pub more: bool,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The repository has never held anything.
    #[error("repository {0} is not known")]
    UnknownRepository(RepositoryName),
    /// Storage failed.
    #[error("cannot list: {0}")]
    Store(#[from] StoreError),
}

impl Registry {
    /// Repositories after `after`, at most `limit`.
    pub async fn repositories(
        &self,
        _permit: &Catalog,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<RepositoryName>, ListError> {
        let limit = limit.min(PAGE_ENTRIES_MAX);
        Ok(page(self.metadata.repositories(after, limit + 1).await?, limit))
    }

    /// Tags after `after`, at most `limit`.
    pub async fn tags(
        &self,
        permit: &Permit<Pull>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Tag>, ListError> {
        let limit = limit.min(PAGE_ENTRIES_MAX);
        let tags = self.metadata.tags(permit.repository(), after, limit + 1).await?;
        if tags.is_empty() && !self.metadata.has_repository(permit.repository()).await? {
            return Err(ListError::UnknownRepository(permit.repository().clone()));
        }
        Ok(page(tags, limit))
    }

    /// Manifests that are about `subject`, after `after`. An empty list for a
    /// subject that nobody has heard of.
    pub async fn referrers(
        &self,
        permit: &Permit<Pull>,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
    ) -> Result<Page<ManifestSummary>, ListError> {
        let found = self
            .metadata
            .referrers(permit.repository(), subject, artifact_type, after, REFERRERS_PAGE_MAX + 1)
            .await?;
        let mut page = page(found, REFERRERS_PAGE_MAX);
        let mut bytes = 0;
        let fits = page.entries.iter().take_while(|m| {
            bytes += m.annotations.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
            bytes <= REFERRERS_PAGE_BYTES
        });
        // At least one, or the list would never end.
        let fits = fits.count().max(1);
        if fits < page.entries.len() {
            page.entries.truncate(fits);
            page.more = true;
        }
        Ok(page)
    }
}

pub(crate) fn page<T>(mut entries: Vec<T>, limit: u32) -> Page<T> {
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    // A page of nothing has no last entry to go on from.
    Page { more: more && limit > 0, entries }
}
