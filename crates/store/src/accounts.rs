//! Principals, their secrets, roles and scope maps; and what the server signs
//! with.

use access::Kind;
use async_trait::async_trait;
use time::OffsetDateTime;

use crate::StoreError;

/// Somebody who can sign in. Names are unique over all kinds and compared byte
/// for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What is sent as user name.
    pub name: String,
    /// Which kind; never anonymous, operator or federated.
    pub kind: Kind,
    /// What people call it; a service principal's name is a GUID.
    pub display_name: String,
    /// Whether it may sign in.
    pub enabled: bool,
    /// The scope map of a repository token.
    pub scope_map: Option<String>,
    /// Grows with whatever must cut off tokens issued before: a new secret, a
    /// deleted one, a switch. Never that of an earlier account of this name.
    pub generation: i64,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last signed in, to the minute.
    pub last_used_at: Option<OffsetDateTime>,
}

/// A password, or what stands for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Unique within the account: `password`, `password1`, a key ID.
    pub name: String,
    /// Argon2 hash in PHC form. Never the secret.
    pub hash: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// From when it is refused; `None`: it lasts.
    pub expires_at: Option<OffsetDateTime>,
}

/// A role that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleAssignment {
    /// GUID of the role's definition.
    pub role: String,
    /// Where it holds, and below; a path of ARM.
    pub scope: String,
    /// Since when.
    pub created_at: OffsetDateTime,
}

/// An account and everything that decides what it may do, of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// The account.
    pub account: Account,
    /// Its secrets, by name; expired ones too.
    pub secrets: Vec<Secret>,
    /// Its roles.
    pub roles: Vec<RoleAssignment>,
    /// Actions of its scope map, where that is one of a user's making.
    pub actions: Vec<String>,
}

/// Named actions on repositories, for tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeMap {
    /// Unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// As Azure writes them: `repositories/NAME/content/read`.
    pub actions: Vec<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// How [`AccountStore::create_account`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateAccount {
    /// It is there.
    Created,
    /// Somebody has this name. Nothing was changed.
    NameTaken,
    /// There is no such scope map. Nothing was changed.
    UnknownScopeMap,
}

/// How [`AccountStore::delete_scope_map`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteScopeMap {
    /// It is gone.
    Deleted,
    /// There was none.
    Unknown,
    /// A token has it. Nothing was changed.
    InUse,
}

/// Keeps accounts. `at` is the time of a change, from which a new generation is
/// made.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// After `Created`, the account is there with secrets and roles.
    async fn create_account(&self, new: &AccountRecord) -> Result<CreateAccount, StoreError>;

    /// One account. `None`: no such name.
    async fn account(&self, name: &str) -> Result<Option<AccountRecord>, StoreError>;

    /// Accounts of a kind, or of all, by name, beginning behind `after`.
    async fn accounts(
        &self,
        kind: Option<Kind>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError>;

    /// After it returns `true`, the account has this secret, and no other of
    /// its name. `false`: no such account.
    async fn set_secret(
        &self,
        account: &str,
        secret: &Secret,
        at: OffsetDateTime,
    ) -> Result<bool, StoreError>;

    /// After it returns `true`, the account has `secret` and no other.
    async fn replace_secrets(
        &self,
        account: &str,
        secret: &Secret,
        at: OffsetDateTime,
    ) -> Result<bool, StoreError>;

    /// Lets an account sign in, or no longer. `false`: no such account.
    async fn set_enabled(
        &self,
        account: &str,
        enabled: bool,
        at: OffsetDateTime,
    ) -> Result<bool, StoreError>;

    /// After it returns, the account is gone, with secrets and roles; says
    /// whether it was there.
    async fn delete_account(&self, name: &str) -> Result<bool, StoreError>;

    /// After it returns `true`, the account holds this role at this scope.
    async fn assign_role(&self, account: &str, role: &RoleAssignment) -> Result<bool, StoreError>;

    /// After it returns, the account no longer holds this role at this very
    /// scope; says whether it did.
    async fn remove_role(&self, account: &str, role: &str, scope: &str)
    -> Result<bool, StoreError>;

    /// Remembers when an account signed in. No change that cuts off tokens.
    async fn note_sign_in(&self, account: &str, at: OffsetDateTime) -> Result<(), StoreError>;

    /// After it returns, the scope map is this one, for all tokens that have it.
    async fn put_scope_map(&self, map: &ScopeMap) -> Result<(), StoreError>;

    /// Scope maps of users' making, by name, beginning behind `after`.
    async fn scope_maps(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ScopeMap>, StoreError>;

    /// Removes a scope map that no token has.
    async fn delete_scope_map(&self, name: &str) -> Result<DeleteScopeMap, StoreError>;

    /// The signing secret of this name. The first caller's `fresh` becomes it;
    /// every later caller, in whatever process, gets the same one.
    async fn ensure_secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError>;
}
