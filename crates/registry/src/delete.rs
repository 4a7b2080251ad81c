//! Deletes tags, manifests and blobs (OCI Distribution 1.1, "Content Management").

use access::{Delete, Permit};
use oci::{Digest, Reference};
use store::StoreError;

use crate::{DeletedManifest, DeletedTag, Registry};

/// Why nothing was deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The repository does not hold the manifest or tag.
    #[error("manifest {0} is not in the repository")]
    UnknownManifest(Reference),
    /// The repository does not hold the blob.
    #[error("blob {0} is not in the repository")]
    UnknownBlob(Digest),
    /// A manifest of the repository needs the blob.
    #[error("blob {0} belongs to a manifest of the repository; delete the manifest first")]
    BlobInUse(Digest),
    /// Storage failed.
    #[error("cannot delete: {0}")]
    Store(#[from] StoreError),
}

impl Registry {
    /// By tag: takes the tag away and leaves the manifest. By digest: takes the
    /// manifest away with every tag that points at it.
    pub async fn delete_manifest(
        &self,
        permit: &Permit<Delete>,
        reference: &Reference,
    ) -> Result<(), DeleteError> {
        let repository = permit.repository();
        let unknown = || DeleteError::UnknownManifest(reference.clone());
        match reference {
            Reference::Tag(tag) => {
                let digest =
                    self.metadata.delete_tag(repository, tag).await?.ok_or_else(unknown)?;
                self.observer.tag_deleted(&DeletedTag {
                    repository: repository.clone(),
                    tag: tag.clone(),
                    digest,
                    by: permit.principal().name().to_owned(),
                    at: self.now(),
                    request: permit.request().cloned(),
                });
            }
            Reference::Digest(digest) => {
                let before = self.metadata.manifest_summary(repository, digest).await?;
                let tags =
                    self.metadata.delete_manifest(repository, digest).await?.ok_or_else(unknown)?;
                self.observer.manifest_deleted(&DeletedManifest {
                    repository: repository.clone(),
                    digest: *digest,
                    media_type: before.map(|m| m.media_type).unwrap_or_default(),
                    tags,
                    by: permit.principal().name().to_owned(),
                    at: self.now(),
                    request: permit.request().cloned(),
                });
            }
        }
        Ok(())
    }

    /// Takes a blob away from the repository. Refused while a manifest needs
    /// it, since that image could not be pulled any more. Its bytes go when no
    /// repository holds them.
    pub async fn delete_blob(
        &self,
        permit: &Permit<Delete>,
        digest: &Digest,
    ) -> Result<(), DeleteError> {
        if self.metadata.blob_is_used(permit.repository(), digest).await? {
            return Err(DeleteError::BlobInUse(*digest));
        }
        if self.metadata.unlink_blob(permit.repository(), digest).await? {
            return Ok(());
        }
        // A manifest may have begun to need it in between.
        if self.metadata.blob_is_used(permit.repository(), digest).await? {
            return Err(DeleteError::BlobInUse(*digest));
        }
        Err(DeleteError::UnknownBlob(*digest))
    }
}
