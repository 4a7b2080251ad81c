//! Blobs that repositories hold: read, and mount from one into another.

use std::time::Duration;

use access::{Permit, Principal, Pull, Push, authorise_mount};
use oci::{Digest, Reference, RepositoryName};
use store::{Blob, StoreError};
use time::OffsetDateTime;

use crate::{Registry, UploadError};

/// How many repositories that hold a blob are tried when a mount names none.
const MOUNT_CANDIDATES_MAX: u32 = 64;

/// Where a mounted blob comes from.
#[derive(Debug, Clone, Copy)]
pub enum MountSource<'a> {
    /// A repository that the caller may read.
    Repository(&'a Permit<Pull>),
    /// Any repository that this caller may read.
    Any(&'a Principal),
}

/// Why something was not handed out.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The repository has never held anything.
    #[error("repository {0} is not known")]
    UnknownRepository(RepositoryName),
    /// The repository does not hold the blob.
    #[error("blob {0} is not in the repository")]
    UnknownBlob(Digest),
    /// The repository does not hold the manifest.
    #[error("manifest {0} is not in the repository")]
    UnknownManifest(Reference),
    /// Its bytes are known to be wrong, and serving them would help nobody.
    #[error(
        "blob {digest} was found damaged at {since} and is not served; push it again, or repair it with `lazaret admin scrub --repair`"
    )]
    Damaged {
        /// The blob.
        digest: Digest,
        /// Since when it is known.
        since: OffsetDateTime,
    },
    /// It must not be read.
    #[error(transparent)]
    Refused(store::policy::Refusal),
    /// Storage failed.
    #[error("cannot read: {0}")]
    Store(#[from] StoreError),
}

impl Registry {
    /// Size in bytes of a blob that the repository holds.
    pub async fn blob_size(
        &self,
        permit: &Permit<Pull>,
        digest: &Digest,
    ) -> Result<u64, PullError> {
        let size = self.metadata.linked_blob(permit.repository(), digest).await?;
        size.ok_or(PullError::UnknownBlob(*digest))
    }

    /// Opens a blob that the repository holds.
    pub async fn open_blob(
        &self,
        permit: &Permit<Pull>,
        digest: &Digest,
    ) -> Result<Blob, PullError> {
        let size = match self.blob_size(permit, digest).await {
            Err(PullError::UnknownBlob(_)) => return Err(self.why_not(permit, digest).await?),
            other => other?,
        };
        let blob = self.blobs.open_blob(digest).await?;
        let blob = blob.ok_or_else(|| {
            StoreError::corrupt("blob", format!("{digest} has a row but no bytes"))
        })?;
        if blob.size != size {
            let detail = format!("{digest} should have {size} bytes and has {}", blob.size);
            return Err(StoreError::corrupt("blob", detail).into());
        }
        Ok(blob)
    }

    /// An address from which a blob that the repository holds can be read for
    /// the next `ttl` by whoever has it. `None`: the store gives out none.
    pub async fn blob_url(
        &self,
        permit: &Permit<Pull>,
        digest: &Digest,
        ttl: Duration,
    ) -> Result<Option<String>, PullError> {
        self.blob_size(permit, digest).await?;
        Ok(self.blobs.blob_url(digest, ttl).await?)
    }

    /// Why a blob is not handed out that looked unknown.
    async fn why_not(
        &self,
        permit: &Permit<Pull>,
        digest: &Digest,
    ) -> Result<PullError, StoreError> {
        let Some(since) = self.metadata.damaged_since(digest).await? else {
            return Ok(PullError::UnknownBlob(*digest));
        };
        // Who may not see the blob does not hear of it either.
        if !self.metadata.holds_blob(permit.repository(), digest).await? {
            return Ok(PullError::UnknownBlob(*digest));
        }
        Ok(PullError::Damaged { digest: *digest, since })
    }

    /// Lets the permit's repository hold a blob that another one holds. `None`:
    /// there is none such that the caller may read, so it has to be uploaded.
    /// The answer does not say whether the blob exists where the caller may
    /// not look.
    pub async fn mount_blob(
        &self,
        permit: &Permit<Push>,
        digest: &Digest,
        source: MountSource<'_>,
    ) -> Result<Option<u64>, UploadError> {
        let from = match source {
            MountSource::Repository(from) => Some(from.repository().clone()),
            MountSource::Any(principal) => self.find_readable(principal, digest).await?,
        };
        let Some(from) = from else { return Ok(None) };
        let Some(size) = self.metadata.linked_blob(&from, digest).await? else { return Ok(None) };
        if self.blobs.blob_size(digest).await? != Some(size) {
            return Ok(None);
        }
        self.admit_blob(permit.repository(), digest, size).await?;
        // Looked at again where it is written: the source may have let go of
        // the blob, and its bytes be gone, since.
        self.metadata
            .mount_blob(&from, permit.repository(), digest, self.now())
            .await
            .map_err(Into::into)
    }

    async fn find_readable(
        &self,
        principal: &Principal,
        digest: &Digest,
    ) -> Result<Option<RepositoryName>, StoreError> {
        for repository in self.metadata.repositories_with_blob(digest, MOUNT_CANDIDATES_MAX).await?
        {
            if authorise_mount(principal, &repository).is_ok() {
                return Ok(Some(repository));
            }
        }
        Ok(None)
    }
}
