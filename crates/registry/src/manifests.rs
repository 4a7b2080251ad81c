//! Manifests: push and pull (OCI Distribution 1.1, "Pushing Manifests").

use access::{Permit, Pull, Push};
use bytes::Bytes;
use oci::media_type::is_foreign_layer;
use oci::{Algorithm, Descriptor, Digest, Manifest, ManifestError, Reference, Tag};
use store::policy::{Flag, Refusal};
use store::{
    ManifestReference, NewManifest, PutManifest, ReferenceKind, StoreError, StoredManifest,
};

use crate::{PullError, Pulled, PushedManifest, Registry};

/// Largest manifest, in bytes; what the specification asks for at least.
pub const MANIFEST_BYTES_MAX: usize = 4 << 20;
/// Most tags that one push may set.
pub const PUSH_TAGS_MAX: usize = 64;

/// A manifest on its way in.
#[derive(Debug, Clone)]
pub struct ManifestPush {
    /// The tag to set, or the digest that the bytes must have.
    pub reference: Reference,
    /// More tags to set.
    pub tags: Vec<Tag>,
    /// `Content-Type` of the request.
    pub media_type: Option<String>,
    /// The document, stored as it is.
    pub bytes: Bytes,
}

/// Why a manifest push was refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PushManifestError {
    /// More than [`MANIFEST_BYTES_MAX`].
    #[error("manifest has {0} bytes, more than the {MANIFEST_BYTES_MAX} that are accepted")]
    TooLarge(usize),
    /// More than [`PUSH_TAGS_MAX`].
    #[error("push sets {0} tags, more than the {PUSH_TAGS_MAX} that are accepted")]
    TooManyTags(usize),
    /// Pushed under a digest that it does not have.
    #[error("content hashes to {actual}, client claimed {claimed}")]
    DigestMismatch {
        /// By the client.
        claimed: Digest,
        /// By hashing.
        actual: Digest,
    },
    /// Not a manifest.
    #[error(transparent)]
    Invalid(#[from] ManifestError),
    /// Refers to blobs that are not in the repository.
    #[error("manifest refers to {} blobs that are not in the repository, the first is {}", .0.len(), .0[0])]
    UnknownBlobs(Vec<Digest>),
    /// Something is locked or immutable, or there is no room.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Storage failed.
    #[error("cannot store the manifest: {0}")]
    Store(#[from] StoreError),
}

impl Registry {
    /// Accepts a manifest. When it returns, the manifest is durable and its
    /// tags point at it.
    pub async fn push_manifest(
        &self,
        permit: &Permit<Push>,
        push: ManifestPush,
    ) -> Result<PushedManifest, PushManifestError> {
        if push.bytes.len() > MANIFEST_BYTES_MAX {
            return Err(PushManifestError::TooLarge(push.bytes.len()));
        }
        let mut tags = push.tags;
        let digest = match push.reference {
            Reference::Tag(tag) => {
                tags.insert(0, tag);
                Digest::of(Algorithm::Sha256, &push.bytes)
            }
            Reference::Digest(claimed) => {
                let actual = Digest::of(claimed.algorithm(), &push.bytes);
                if actual != claimed {
                    return Err(PushManifestError::DigestMismatch { claimed, actual });
                }
                actual
            }
        };
        if tags.len() > PUSH_TAGS_MAX {
            return Err(PushManifestError::TooManyTags(tags.len()));
        }
        let manifest = Manifest::parse(&push.bytes, push.media_type.as_deref())?;
        let new = NewManifest {
            digest,
            media_type: manifest.media_type().to_owned(),
            bytes: push.bytes,
            artifact_type: manifest.artifact_type().filter(|t| !t.is_empty()).map(str::to_owned),
            annotations: manifest.annotations().clone(),
            subject: manifest.subject().map(|s| s.digest),
            references: references(&manifest, self.sparse_images),
            tags: tags.clone(),
            pushed_at: self.now(),
            pushed_by: permit.principal().name().to_owned(),
        };
        let rules = self.policies().await?.policies.push_rules(permit.repository());
        let is_new = match self.metadata.put_manifest(permit.repository(), &new, &rules).await? {
            PutManifest::Stored { new } => new,
            PutManifest::MissingBlobs(missing) => {
                return Err(PushManifestError::UnknownBlobs(missing));
            }
            PutManifest::Refused(refusal) => return Err(refusal.into()),
        };
        let pushed = PushedManifest {
            repository: permit.repository().clone(),
            digest,
            media_type: new.media_type,
            size: new.bytes.len() as u64,
            tags,
            subject: new.subject,
            new: is_new,
            by: new.pushed_by,
            at: new.pushed_at,
            request: permit.request().cloned(),
        };
        self.observer.manifest_pushed(&pushed);
        Ok(pushed)
    }

    /// A manifest with its bytes, as a client pulls it.
    pub async fn pull_manifest(
        &self,
        permit: &Permit<Pull>,
        reference: &Reference,
    ) -> Result<StoredManifest, PullError> {
        let manifest = self.find_manifest(permit, reference).await?;
        self.note_pull(permit, &manifest.digest, reference);
        Ok(manifest)
    }

    /// Remembers and tells of a pull.
    pub(crate) fn note_pull(&self, permit: &Permit<Pull>, digest: &Digest, reference: &Reference) {
        self.pulls.note(permit.repository(), *digest, reference, self.now());
        self.observer.pulled(&Pulled {
            repository: permit.repository().clone(),
            digest: *digest,
            reference: reference.clone(),
            by: permit.principal().name().to_owned(),
            at: self.now(),
            request: permit.request().cloned(),
        });
    }

    /// The same without its being a pull: for HEAD.
    pub async fn find_manifest(
        &self,
        permit: &Permit<Pull>,
        reference: &Reference,
    ) -> Result<StoredManifest, PullError> {
        let manifest = self.metadata.manifest(permit.repository(), reference).await?;
        readable(manifest.ok_or_else(|| PullError::UnknownManifest(reference.clone()))?)
    }
}

/// The manifest, unless a lock keeps it from readers.
pub(crate) fn readable(manifest: StoredManifest) -> Result<StoredManifest, PullError> {
    match manifest.unreadable.clone() {
        Some(object) => Err(PullError::Refused(Refusal::Locked { object, flag: Flag::Read })),
        None => Ok(manifest),
    }
}

fn references(manifest: &Manifest, sparse: bool) -> Vec<ManifestReference> {
    let of_kind = |kind, targets: &[Descriptor]| -> Vec<ManifestReference> {
        let reference = |(position, target): (usize, &Descriptor)| ManifestReference {
            kind,
            // Bounded by `oci::manifest::DESCRIPTORS_MAX`.
            position: position as u32,
            target: target.clone(),
            required: match kind {
                ReferenceKind::Config => true,
                ReferenceKind::Layer => !sparse && !is_foreign_layer(&target.media_type),
                // Indexes may be sparse: platforms nobody here runs are left out.
                ReferenceKind::Child => false,
            },
        };
        targets.iter().enumerate().map(reference).collect()
    };
    match manifest {
        Manifest::Image(image) => {
            let mut all = of_kind(ReferenceKind::Config, std::slice::from_ref(&image.config));
            all.extend(of_kind(ReferenceKind::Layer, &image.layers));
            all
        }
        Manifest::Index(index) => of_kind(ReferenceKind::Child, &index.manifests),
    }
}
