//! Deletes tags, manifests, repositories and blobs (OCI Distribution 1.1,
//! "Content Management").

use access::{Delete, Permit};
use oci::{Digest, Reference, Tag};
use store::policy::{DeleteMode, DeleteRepository, DeleteRules, Refusal};
use store::{DeleteManifest, DeleteTag, DeletedEntry, StoreError};

use crate::{DeletedManifest, DeletedTag, Registry};

/// Why nothing was deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The repository does not hold the manifest or tag.
    #[error("manifest {0} is not in the repository")]
    UnknownManifest(Reference),
    /// The repository has never held anything, or is deleted.
    #[error("repository {0} is not known")]
    UnknownRepository(oci::RepositoryName),
    /// The repository does not hold the blob.
    #[error("blob {0} is not in the repository")]
    UnknownBlob(Digest),
    /// A manifest of the repository needs the blob.
    #[error("blob {0} belongs to a manifest of the repository; delete the manifest first")]
    BlobInUse(Digest),
    /// It is locked or immutable.
    #[error(transparent)]
    Refused(Refusal),
    /// Storage failed.
    #[error("cannot delete: {0}")]
    Store(#[from] StoreError),
}

/// What went with a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeletedContents {
    /// Its manifests, by digest.
    pub manifests: Vec<Digest>,
    /// Its tags, by name.
    pub tags: Vec<Tag>,
}

impl Registry {
    /// By tag: takes the tag away and leaves the manifest. By digest: takes the
    /// manifest away with every tag that points at it, and with soft deletion
    /// puts it away with everything that belongs to it.
    pub async fn delete_manifest(
        &self,
        permit: &Permit<Delete>,
        reference: &Reference,
    ) -> Result<(), DeleteError> {
        let repository = permit.repository();
        let unknown = || DeleteError::UnknownManifest(reference.clone());
        let rules = self.delete_rules(permit, DeleteMode::Single).await?;
        match reference {
            Reference::Tag(tag) => {
                let deleted =
                    self.metadata.delete_tag(repository, tag, &rules.immutable_tags).await?;
                let digest = match deleted {
                    DeleteTag::Deleted(digest) => digest,
                    DeleteTag::Unknown => return Err(unknown()),
                    DeleteTag::Refused(refusal) => return Err(DeleteError::Refused(refusal)),
                };
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
                match self.metadata.delete_manifest(repository, digest, &rules).await? {
                    DeleteManifest::Deleted(gone) => self.tell_deleted(permit, gone),
                    DeleteManifest::Unknown => return Err(unknown()),
                    DeleteManifest::Refused(refusal) => return Err(DeleteError::Refused(refusal)),
                }
            }
        }
        Ok(())
    }

    /// Takes a repository away with everything in it, all or nothing.
    pub async fn delete_repository(
        &self,
        permit: &Permit<Delete>,
    ) -> Result<DeletedContents, DeleteError> {
        let rules = self.delete_rules(permit, DeleteMode::Graph).await?;
        let gone = match self.metadata.delete_repository(permit.repository(), &rules).await? {
            DeleteRepository::Deleted(gone) => gone,
            DeleteRepository::Unknown => {
                return Err(DeleteError::UnknownRepository(permit.repository().clone()));
            }
            DeleteRepository::Refused(refusal) => return Err(DeleteError::Refused(refusal)),
        };
        let mut contents = DeletedContents::default();
        for entry in &gone {
            contents.manifests.push(entry.digest);
            contents.tags.extend(entry.tags.iter().cloned());
        }
        contents.tags.sort_unstable();
        self.tell_deleted(permit, gone);
        Ok(contents)
    }

    /// `hard` is how far a deletion goes where nothing can be restored.
    async fn delete_rules(
        &self,
        permit: &Permit<Delete>,
        hard: DeleteMode,
    ) -> Result<DeleteRules, StoreError> {
        let current = self.policies().await?;
        let soft = current.policies.soft_delete.enabled;
        Ok(DeleteRules {
            immutable_tags: current.policies.immutable_tags(permit.repository()),
            mode: if soft { DeleteMode::PutAway } else { hard },
            at: self.now(),
            by: permit.principal().name().to_owned(),
        })
    }

    fn tell_deleted(&self, permit: &Permit<Delete>, gone: Vec<DeletedEntry>) {
        for entry in gone {
            self.observer.manifest_deleted(&DeletedManifest {
                repository: permit.repository().clone(),
                digest: entry.digest,
                media_type: entry.media_type,
                tags: entry.tags,
                by: permit.principal().name().to_owned(),
                at: self.now(),
                request: permit.request().cloned(),
            });
        }
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
