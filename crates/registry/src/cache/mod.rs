//! The cache of other registries: a repository below a rule is filled as it is
//! pulled.
//!
//! ```text
//! pull by tag --- checked within the TTL? --yes--> what it stood for then
//!                    | no: HEAD upstream
//!                    +-- same digest ------------> what is here
//!                    +-- another ----------------> manifest from upstream
//!                    +-- upstream fails ---------> what is here, with a warning
//! manifest from upstream --> served at once, and in the background:
//!                            blobs, then the manifest, then its tags
//! blob --- here? --no--> from upstream, stored and served at the same time
//! ```
//!
//! A manifest becomes one of the repository when all its blobs are here, as for
//! a push, so that it is inspected whole; until then its bytes are in memory.
//! What many ask for at once is asked for once. Nothing is mounted from other
//! repositories: a foreign manifest could otherwise name a private blob and
//! make it readable.
//!
//! A cached repository takes no pushes, since the next check would move the
//! tags back; deleting in it makes room.

mod arrivals;
mod blobs;
mod flights;
pub mod manifests;
pub mod rules;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use access::{Denied, Kind, Permit, Principal, Pull, Push, Role, RoleScope, authorise};
use oci::{Digest, Reference, RepositoryName, Tag};
use store::{
    CacheRule, CacheRuleStore, CredentialSet, DeleteCredentials, PutCacheRule, StoreError,
    StoredLogin, StoredManifest,
};
use tokio::sync::Semaphore;

use crate::manifests::readable;
use crate::upstream::{Remote, RemoteManifest, Upstream, UpstreamError};
use crate::{PullError, Registry};
use arrivals::{Arrival, Growing, Tee};
use flights::Flights;
use manifests::{Fill, TagAnswer};
use rules::{RuleError, Rules};

/// Images that are fetched whole at once, in the background.
const FILLS_AT_ONCE: usize = 4;
/// Images that wait to be fetched whole; what comes beyond is fetched when it
/// is pulled the next time.
pub const FILLS_MAX: usize = 256;
/// Tags whose digests are remembered; beyond, all are checked anew.
pub const CHECKED_TAGS_MAX: usize = 100_000;
/// How long upstream is left alone about a tag after it failed.
const FAILURE_TTL: Duration = Duration::from_secs(30);
/// How often rules are read again, for those that another process made.
const RULES_EVERY: Duration = Duration::from_secs(5);

/// What the cache works with.
pub struct CacheParts {
    /// Where to.
    pub registry: Registry,
    /// From where.
    pub upstream: Arc<dyn Upstream>,
    /// Keeps the rules.
    pub store: Arc<dyn CacheRuleStore>,
    /// How long a tag stands for what it stood for when upstream was asked.
    pub tag_ttl: Duration,
}

/// Why something was not handed out.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It is not here, and for another reason than upstream.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// It is not here, and upstream does not give it.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// It broke off on its way.
    #[error("{what} did not arrive from upstream: {why}")]
    Interrupted {
        /// Which.
        what: String,
        /// What went wrong.
        why: String,
    },
    /// The cache may not write to its own repository.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl From<StoreError> for CacheError {
    fn from(error: StoreError) -> Self {
        Self::Pull(error.into())
    }
}

/// Why a rule or login was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeRuleError {
    /// It does not mean anything.
    #[error(transparent)]
    Invalid(#[from] RuleError),
    /// The name or the target is another rule's.
    #[error("a cache rule of that name or with that target exists already")]
    Taken,
    /// It names a credential set that is not there.
    #[error("there is no credential set {0:?}")]
    UnknownCredentials(String),
    /// There is none of that name.
    #[error("there is no {0:?}")]
    Unknown(String),
    /// A rule needs it.
    #[error("a cache rule uses the credential set; delete the rule first")]
    InUse,
    /// Storage failed.
    #[error("cannot change the cache rules: {0}")]
    Store(#[from] StoreError),
}

type ByTag = (RepositoryName, Tag);
type ByDigest = (RepositoryName, Digest);

/// What a tag stood for, and until when that counts.
#[derive(Debug, Clone)]
struct Checked {
    digest: Digest,
    until: Instant,
    /// Why upstream could not be asked.
    stale: Option<String>,
}

/// The cache's use cases. Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    /// Tells of uploads that grow, beside its own observer.
    registry: Registry,
    upstream: Arc<dyn Upstream>,
    store: Arc<dyn CacheRuleStore>,
    tag_ttl: Duration,
    rules: RwLock<Arc<Rules>>,
    growing: Arc<Growing>,
    checked: Mutex<HashMap<ByTag, Checked>>,
    tags: Flights<ByTag, Result<TagAnswer, UpstreamError>>,
    manifests: Flights<ByDigest, Result<RemoteManifest, UpstreamError>>,
    blobs: Flights<ByDigest, Result<Arrival, UpstreamError>>,
    arriving: Mutex<HashMap<ByDigest, Arrival>>,
    fills: Mutex<HashMap<ByDigest, Fill>>,
    fill_slots: Arc<Semaphore>,
}

impl Cache {
    /// Knows no rules before [`Cache::reload`].
    pub fn new(parts: CacheParts) -> Self {
        let CacheParts { registry, upstream, store, tag_ttl } = parts;
        let growing = Arc::new(Growing::default());
        let tee = Tee { inner: Arc::clone(&registry.observer), growing: Arc::clone(&growing) };
        let inner = Inner {
            registry: Registry { observer: Arc::new(tee), ..registry },
            upstream,
            store,
            tag_ttl,
            rules: RwLock::default(),
            growing,
            checked: Mutex::default(),
            tags: Flights::default(),
            manifests: Flights::default(),
            blobs: Flights::default(),
            arriving: Mutex::default(),
            fills: Mutex::default(),
            fill_slots: Arc::new(Semaphore::new(FILLS_AT_ONCE)),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Puts the stored rules in force.
    pub async fn reload(&self) -> Result<(), StoreError> {
        let rules = self.inner.store.cache_rules().await?;
        let sets = self.inner.store.credential_sets().await?;
        *self.inner.rules.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(Rules::new(rules, &sets));
        Ok(())
    }

    /// Follows rules that other processes change, until the future is dropped.
    pub async fn reload_forever(&self) -> StoreError {
        loop {
            tokio::time::sleep(RULES_EVERY).await;
            if let Err(error) = self.reload().await {
                return error;
            }
        }
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.inner.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a repository is a copy of, if a rule says so.
    pub fn source(&self, repository: &RepositoryName) -> Option<Remote> {
        self.rules().find(repository).map(|(_, remote)| remote)
    }

    /// Why a repository takes no pushes, if it does not.
    pub fn refusal(&self, repository: &RepositoryName) -> Option<String> {
        let rules = self.rules();
        let (rule, remote) = rules.find(repository)?;
        let name = &rule.name;
        Some(format!(
            "{repository} is a cache of {remote} by rule {name}; push to another repository"
        ))
    }

    /// The repository that stands for one of another registry, for clients
    /// that name that registry and not the repository here.
    pub fn translate(&self, host: &str, repository: &RepositoryName) -> Option<RepositoryName> {
        self.rules().translate(host, repository)
    }

    /// Makes a rule.
    pub async fn create_rule(
        &self,
        name: String,
        source: String,
        target: String,
        credential_set: Option<String>,
    ) -> Result<CacheRule, ChangeRuleError> {
        let created_at = self.inner.registry.now();
        let rule = CacheRule { name, source, target, credential_set, created_at };
        rules::check(&rule)?;
        match self.inner.store.create_cache_rule(&rule).await? {
            PutCacheRule::Stored => {}
            PutCacheRule::Taken => return Err(ChangeRuleError::Taken),
            PutCacheRule::UnknownCredentials => {
                let set = rule.credential_set.unwrap_or_default();
                return Err(ChangeRuleError::UnknownCredentials(set));
            }
        }
        self.reload().await?;
        Ok(rule)
    }

    /// Every rule, by name.
    pub async fn list_rules(&self) -> Result<Vec<CacheRule>, StoreError> {
        self.inner.store.cache_rules().await
    }

    /// Takes a rule away. What was cached stays, as images of this registry.
    pub async fn delete_rule(&self, name: &str) -> Result<(), ChangeRuleError> {
        if !self.inner.store.delete_cache_rule(name).await? {
            return Err(ChangeRuleError::Unknown(name.to_owned()));
        }
        Ok(self.reload().await?)
    }

    /// Makes or changes a login.
    pub async fn put_credentials(
        &self,
        name: String,
        login_server: String,
        login: StoredLogin,
    ) -> Result<CredentialSet, ChangeRuleError> {
        rules::check_name(&name)?;
        let changed_at = self.inner.registry.now();
        let set = CredentialSet { name, login_server, login, changed_at };
        self.inner.store.put_credential_set(&set).await?;
        self.reload().await?;
        Ok(set)
    }

    /// Every login, by name.
    pub async fn list_credentials(&self) -> Result<Vec<CredentialSet>, StoreError> {
        self.inner.store.credential_sets().await
    }

    /// Takes a login away that no rule uses.
    pub async fn delete_credentials(&self, name: &str) -> Result<(), ChangeRuleError> {
        match self.inner.store.delete_credential_set(name).await? {
            DeleteCredentials::Deleted => Ok(self.reload().await?),
            DeleteCredentials::Unknown => Err(ChangeRuleError::Unknown(name.to_owned())),
            DeleteCredentials::InUse => Err(ChangeRuleError::InUse),
        }
    }

    /// The cache's own right to write where a rule lets it.
    fn writer(&self, repository: &RepositoryName) -> Result<Permit<Push>, Denied> {
        authorise(&itself(), repository)
    }

    fn reader(&self, repository: &RepositoryName) -> Result<Permit<Pull>, Denied> {
        authorise(&itself(), repository)
    }

    /// What is here and not kept from readers, without asking anybody.
    async fn local(
        &self,
        permit: &Permit<Pull>,
        reference: &Reference,
    ) -> Result<Option<StoredManifest>, PullError> {
        let held = self.inner.registry.metadata.manifest(permit.repository(), reference).await?;
        held.map(readable).transpose()
    }
}

/// The cache acts for itself, and only where a rule says so.
fn itself() -> Principal {
    let all = RoleScope::root();
    Principal::new(Kind::Operator, WRITER).with_role(Role::Owner, &all, &all)
}

/// Who has pushed what the cache brought, as lists and events show it.
const WRITER: &str = "(cache)";
