//! Imports: copies from another registry, made by a job that survives a crash.
//!
//! ```text
//! create --> queued --claim--> running --> done
//!                      ^          |  \---> failed
//!                      +-- lease runs out, restart
//! ```
//!
//! A run reads every manifest first (`plan`), then brings the blobs that are
//! missing, then the manifests, the one that gets the tags last. What has
//! arrived is found again by the next run, which is all the state it needs.
//! Everything goes through the use cases of a push, so that locks, quotas,
//! events and inspection hold for it.

mod itself;
mod plan;
mod run;

use std::sync::Arc;
use std::time::Duration;

use access::{Denied, Kind, Permit, Principal, Pull, Push};
use async_trait::async_trait;
use oci::{Digest, ManifestError, Reference, RepositoryName, Tag};
use store::{
    Import, ImportId, ImportProgress, ImportRequest, ImportState, ImportStore, ImportTarget,
    StoreError, StoredLogin,
};
use tokio::sync::{Notify, Semaphore};

use crate::upstream::{Upstream, UpstreamError};
use crate::{Cache, PushManifestError, Registry, UploadError};

/// Most target tags and repositories of one import.
pub const IMPORT_TARGETS_MAX: usize = 64;
/// Most platforms that one import names.
pub const IMPORT_PLATFORMS_MAX: usize = 32;
/// Imports that run at once in one process.
pub const IMPORTS_AT_ONCE: usize = 4;
/// How long an import that ended can be asked about.
pub const IMPORT_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How often an import is begun before it is given up: one that brings the
/// server down must not do so for ever.
pub const IMPORT_ATTEMPTS_MAX: u32 = 5;
/// How long a runner that is silent keeps an import.
const LEASE: Duration = Duration::from_secs(30);
/// How often a runner says that it is alive, and how far it is.
const LEASE_RENEWED_EVERY: Duration = Duration::from_secs(1);
/// How often others' abandoned imports are looked for.
const SEARCH_EVERY: Duration = Duration::from_secs(5);

/// Where an import comes from.
#[derive(Debug, Clone)]
pub enum ImportSource {
    /// Another registry.
    Elsewhere {
        /// Its host, as people write it.
        host: String,
        /// The repository there.
        repository: RepositoryName,
    },
    /// Another repository here, which the caller may read.
    Here(Permit<Pull>),
}

/// An import that somebody asks for.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// From where.
    pub source: ImportSource,
    /// What.
    pub reference: Reference,
    /// To where; by digest alone where there is no tag.
    pub targets: Vec<(Permit<Push>, Option<Tag>)>,
    /// Platforms of an index, as `os/arch[/variant]`; empty: all.
    pub platforms: Vec<String>,
    /// Whether tags that exist may be moved.
    pub force: bool,
    /// Whether signatures, SBOMs and other referrers come along.
    pub referrers: bool,
    /// The login there.
    pub login: Option<StoredLogin>,
}

/// Why an import was not begun, or given up.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Without a target there is nothing to do.
    #[error("an import needs at least one target tag or repository")]
    NoTarget,
    /// More than [`IMPORT_TARGETS_MAX`] or [`IMPORT_PLATFORMS_MAX`].
    #[error("an import may name {limit} {what} at most")]
    TooMany {
        /// Targets or platforms.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// The tag exists and nobody said that it may be moved.
    #[error("tag {repository}:{tag} exists already; force the import to move it")]
    Conflict {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
    },
    /// The target is a cache of another registry.
    #[error("{0}")]
    Cached(String),
    /// The other registry.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The index has no such platform.
    #[error("the index has no image for {asked}; it has {there}")]
    NoPlatform {
        /// What was asked for.
        asked: String,
        /// What there is.
        there: String,
    },
    /// A manifest there is not one that can be kept here.
    #[error("manifest {digest} of the source cannot be kept: {source}")]
    Invalid {
        /// Which.
        digest: Digest,
        /// Why.
        source: ManifestError,
    },
    /// More manifests, or more bytes of them, than an honest image has.
    #[error("the source has more than the {limit} {what} that one import may have")]
    TooLarge {
        /// Manifests, or bytes of them.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// The one who asked for it may not push there any more.
    #[error("the account that asked for the import may not do it any more: {0}")]
    Denied(#[from] Denied),
    /// The one who asked for it is gone.
    #[error("account {0:?}, which asked for the import, is gone")]
    NoAccount(String),
    /// Somebody whom only another issuer knows cannot be asked about later.
    #[error(
        "an import outlives the sign-in that asks for it, so it needs an account of this registry"
    )]
    NoOwner,
    /// It was begun too often.
    #[error(
        "the import was begun {IMPORT_ATTEMPTS_MAX} times and never ended; the server's log may say why"
    )]
    Abandoned,
    /// A manifest was refused.
    #[error(transparent)]
    Manifest(Box<PushManifestError>),
    /// A blob was refused.
    #[error(transparent)]
    Blob(Box<UploadError>),
    /// Storage failed.
    #[error("cannot import: {0}")]
    Store(#[from] StoreError),
}

impl ImportError {
    /// A word that programs can act on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoTarget | Self::TooMany { .. } => "invalid_request",
            Self::Conflict { .. } => "conflict",
            Self::Cached(_) => "denied",
            Self::Upstream(UpstreamError::Refused { .. }) => "source_unauthorized",
            Self::Upstream(UpstreamError::Unknown { .. }) => "source_not_found",
            Self::Upstream(UpstreamError::Throttled { .. }) => "source_throttled",
            Self::Upstream(UpstreamError::Forbidden { .. }) => "source_not_allowed",
            Self::Upstream(_) => "source_failed",
            Self::NoPlatform { .. } => "no_platform",
            Self::Invalid { .. } | Self::TooLarge { .. } => "source_invalid",
            Self::Denied(_) | Self::NoAccount(_) | Self::NoOwner => "denied",
            Self::Manifest(_) | Self::Blob(_) => "refused",
            Self::Abandoned | Self::Store(_) => "internal",
        }
    }
}

impl From<UploadError> for ImportError {
    /// What broke a body is the other registry's doing.
    fn from(error: UploadError) -> Self {
        if let UploadError::BodyBroke { source, .. } = &error
            && let Some(upstream) = source.get_ref().and_then(|e| e.downcast_ref::<UpstreamError>())
        {
            return Self::Upstream(upstream.clone());
        }
        Self::Blob(Box::new(error))
    }
}

impl From<PushManifestError> for ImportError {
    fn from(error: PushManifestError) -> Self {
        Self::Manifest(Box::new(error))
    }
}

/// Knows accounts as they are now: an import runs with the rights that its
/// owner has while it runs.
#[async_trait]
pub trait Principals: Send + Sync {
    /// The account of this name. `None`: there is none any more.
    async fn principal(&self, name: &str) -> Result<Option<Principal>, StoreError>;
}

/// What imports work with.
pub struct ImportParts {
    /// Where to.
    pub registry: Registry,
    /// From where.
    pub upstream: Arc<dyn Upstream>,
    /// Keeps the jobs.
    pub store: Arc<dyn ImportStore>,
    /// Who asked.
    pub principals: Arc<dyn Principals>,
    /// Which repositories are copies already, and take no others.
    pub cache: Cache,
    /// Names this installation's process, the same after a restart.
    pub runner: String,
}

/// The use cases of imports. Cheap to clone.
#[derive(Clone)]
pub struct Imports {
    parts: Arc<ImportParts>,
    due: Arc<Notify>,
    slots: Arc<Semaphore>,
}

impl Imports {
    /// Runs nothing before [`Imports::run_forever`].
    pub fn new(parts: ImportParts) -> Self {
        let slots = Arc::new(Semaphore::new(IMPORTS_AT_ONCE));
        Self { parts: Arc::new(parts), due: Arc::default(), slots }
    }

    /// Notes an import. When it returns, the import will run.
    pub async fn create(&self, new: NewImport) -> Result<Import, ImportError> {
        let (first, _) = new.targets.first().ok_or(ImportError::NoTarget)?;
        if new.targets.len() > IMPORT_TARGETS_MAX {
            return Err(ImportError::TooMany { what: "targets", limit: IMPORT_TARGETS_MAX });
        }
        if new.platforms.len() > IMPORT_PLATFORMS_MAX {
            return Err(ImportError::TooMany { what: "platforms", limit: IMPORT_PLATFORMS_MAX });
        }
        if first.principal().kind() == Kind::Federated {
            return Err(ImportError::NoOwner);
        }
        let registry = &self.parts.registry;
        for (permit, tag) in &new.targets {
            if let Some(refusal) = self.parts.cache.refusal(permit.repository()) {
                return Err(ImportError::Cached(refusal));
            }
            let Some(tag) = tag.as_ref().filter(|_| !new.force) else { continue };
            let (repository, tag) = (permit.repository().clone(), tag.clone());
            if registry.metadata.manifest(&repository, &tag.clone().into()).await?.is_some() {
                return Err(ImportError::Conflict { repository, tag });
            }
        }
        let created_by = first.principal().name().to_owned();
        let (host, repository) = match new.source {
            ImportSource::Elsewhere { host, repository } => (Some(host), repository),
            ImportSource::Here(permit) => (None, permit.repository().clone()),
        };
        let target = |(permit, tag): (Permit<Push>, Option<Tag>)| ImportTarget {
            repository: permit.repository().clone(),
            tag,
        };
        let import = Import {
            id: ImportId::random(),
            request: ImportRequest {
                host,
                repository,
                reference: new.reference,
                targets: new.targets.into_iter().map(target).collect(),
                platforms: new.platforms,
                force: new.force,
                referrers: new.referrers,
            },
            state: ImportState::Queued,
            progress: ImportProgress::default(),
            digest: None,
            failure: None,
            attempts: 0,
            created_by,
            created_at: registry.now(),
            finished_at: None,
        };
        self.parts.store.create_import(&import, new.login.as_ref()).await?;
        self.due.notify_one();
        Ok(import)
    }

    /// One import, for whoever asked for it or may see everything.
    pub async fn find(&self, id: ImportId) -> Result<Option<Import>, StoreError> {
        self.parts.store.import(id).await
    }

    /// The newest imports first.
    pub async fn list(&self, limit: u32) -> Result<Vec<Import>, StoreError> {
        self.parts.store.imports(limit).await
    }
}
