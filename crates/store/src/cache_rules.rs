//! Cache rules: which repositories are copies of another registry's, made as
//! they are pulled.

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{StoreError, StoredLogin};

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRule {
    /// Unique.
    pub name: String,
    /// The other registry with its repository or pattern: `docker.io/library/*`.
    pub source: String,
    /// The repository or pattern here: `hub/*`.
    pub target: String,
    /// Name of the login to use there.
    pub credential_set: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// A login at another registry, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSet {
    /// Unique.
    pub name: String,
    /// The other registry's host; for the operator's eyes.
    pub login_server: String,
    /// The login itself.
    pub login: StoredLogin,
    /// When it was made or last changed.
    pub changed_at: OffsetDateTime,
}

/// What came of making a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutCacheRule {
    /// It is in force.
    Stored,
    /// Another rule has this name or this target.
    Taken,
    /// There is no credential set of that name.
    UnknownCredentials,
}

/// What came of taking a credential set away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteCredentials {
    /// It is gone.
    Deleted,
    /// There was none.
    Unknown,
    /// A rule uses it.
    InUse,
}

/// Keeps cache rules and their logins.
#[async_trait]
pub trait CacheRuleStore: Send + Sync {
    /// Makes a rule, or changes nothing.
    async fn create_cache_rule(&self, rule: &CacheRule) -> Result<PutCacheRule, StoreError>;
    /// Every rule, by name.
    async fn cache_rules(&self) -> Result<Vec<CacheRule>, StoreError>;
    /// After it returns, the rule is gone; says whether it was there.
    async fn delete_cache_rule(&self, name: &str) -> Result<bool, StoreError>;

    /// After it returns, the credential set is this one.
    async fn put_credential_set(&self, set: &CredentialSet) -> Result<(), StoreError>;
    /// Every credential set, by name.
    async fn credential_sets(&self) -> Result<Vec<CredentialSet>, StoreError>;
    /// Takes a credential set away that no rule uses.
    async fn delete_credential_set(&self, name: &str) -> Result<DeleteCredentials, StoreError>;
}
