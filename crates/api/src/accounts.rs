//! Use cases: who there is, with which secrets and roles. Shared by the native
//! API and the command line.

use std::sync::Arc;

use access::scope_map::SCOPE_MAP_ACTIONS_MAX;
use access::{
    Administration, Kind, RegistryPermit, Role, RoleScope, ScopeMapAction, ScopeMapError,
    SystemScopeMap,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use store::{
    Account, AccountRecord, AccountStore, CreateAccount, DeleteScopeMap, RoleAssignment, ScopeMap,
    Secret, StoreError,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::distribution::auth::passwords::hash_password;

/// Longest name of an account, token or scope map, in bytes.
pub const ACCOUNT_NAME_BYTES_MAX: usize = 100;
/// Longest name or description for people, in bytes.
pub const DISPLAY_NAME_BYTES_MAX: usize = 255;
/// Bounds on a password that a person chose, in bytes.
pub const PASSWORD_BYTES_MIN: usize = 8;
/// See [`PASSWORD_BYTES_MIN`].
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Random bytes in a secret that is made here.
const SECRET_BYTES: usize = 32;

/// The secrets that a repository token can have.
const TOKEN_SECRETS: [&str; 2] = ["password1", "password2"];
/// The secrets of the registry's admin user.
const ADMIN_USER_SECRETS: [&str; 2] = ["password", "password2"];
/// The secret of a person's account.
const ACCOUNT_SECRET: &str = "password";

/// Why an account was not changed. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Somebody has it.
    #[error("the name {0:?} is taken")]
    NameTaken(String),
    /// Nobody has it.
    #[error("there is no account, principal or token {0:?}")]
    Unknown(String),
    /// Not a name.
    #[error(
        "{0:?} is no name; use 1 to {ACCOUNT_NAME_BYTES_MAX} letters, digits, dots, underscores, hyphens or @, beginning with a letter or digit"
    )]
    BadName(String),
    /// Not a name for people.
    #[error(
        "a name or description for people has at most {DISPLAY_NAME_BYTES_MAX} bytes and no control characters"
    )]
    BadDisplayName,
    /// The name has a meaning already.
    #[error("the name {0:?} is kept for the system")]
    Reserved(String),
    /// There is no such scope map.
    #[error("there is no scope map {0:?}")]
    UnknownScopeMap(String),
    /// A token has it.
    #[error("the scope map {0:?} belongs to a token; delete the token first")]
    ScopeMapInUse(String),
    /// Not an action of a scope map.
    #[error(transparent)]
    BadAction(#[from] ScopeMapError),
    /// Too few or too many actions.
    #[error("a scope map has 1 to {SCOPE_MAP_ACTIONS_MAX} actions")]
    ActionCount,
    /// This kind has no such secret.
    #[error("a {kind} has no secret {name:?}; there are: {known}")]
    UnknownSecret {
        /// Its kind.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Only people choose.
    #[error("the secret of a {0} is made here and cannot be chosen")]
    ChosenSecret(&'static str),
    /// Too short or too long.
    #[error("a password has {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} bytes")]
    BadPassword,
    /// In the past.
    #[error("the secret would expire before now")]
    Expired,
    /// Tokens have scope maps, and others have roles.
    #[error(
        "a {0} takes no role; a token takes a scope map, and the admin user may do everything to images"
    )]
    NoRoles(&'static str),
    /// No such role held.
    #[error("{name:?} does not hold {role} at {scope}")]
    RoleNotHeld {
        /// Who.
        name: String,
        /// What.
        role: Role,
        /// Where.
        scope: String,
    },
    /// Storage failed.
    #[error("cannot change accounts: {0}")]
    Store(#[from] StoreError),
}

/// Who is to be made.
#[derive(Debug, Clone)]
pub enum NewAccount {
    /// A person's account; a password is made up where none is given.
    Account {
        /// User name.
        name: String,
        /// What it chose.
        password: Option<String>,
    },
    /// A service principal; its user name is made here.
    Service {
        /// For people.
        display_name: String,
    },
    /// A repository token.
    Token {
        /// User name.
        name: String,
        /// What it may do.
        scope_map: String,
    },
    /// The registry's admin user.
    AdminUser,
}

/// A secret in the clear, shown this once.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// Which secret of the account.
    pub name: String,
    /// The secret.
    pub value: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// From when it is refused.
    pub expires_at: Option<OffsetDateTime>,
}

impl std::fmt::Debug for Issued {
    /// A secret never gets into a log by accident.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Manages accounts. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn AccountStore>,
    registry_name: Arc<str>,
}

impl Accounts {
    /// Over a store; the admin user is called as the registry.
    pub fn new(store: Arc<dyn AccountStore>, registry_name: Arc<str>) -> Self {
        Self { store, registry_name }
    }

    /// Makes somebody, with fresh secrets: one, or both of a token or admin user.
    pub async fn create(
        &self,
        _permit: &RegistryPermit<Administration>,
        new: NewAccount,
        roles: &[(Role, RoleScope)],
        expires_at: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<(AccountRecord, Vec<Issued>), AccountError> {
        check_expiry(expires_at, now)?;
        let (kind, name, display_name, scope_map, password) = match new {
            NewAccount::Account { name, password } => {
                self.check_name(&name)?;
                (Kind::Account, name.clone(), name, None, password)
            }
            NewAccount::Service { display_name } => {
                check_display_name(&display_name)?;
                (Kind::Service, Uuid::new_v4().to_string(), display_name, None, None)
            }
            NewAccount::Token { name, scope_map } => {
                self.check_name(&name)?;
                if SystemScopeMap::reserves(&scope_map)
                    && SystemScopeMap::named(&scope_map).is_none()
                {
                    return Err(AccountError::UnknownScopeMap(scope_map));
                }
                (Kind::Token, name.clone(), name, Some(scope_map), None)
            }
            NewAccount::AdminUser => {
                let name = self.registry_name.to_string();
                (Kind::AdminUser, name.clone(), name, None, None)
            }
        };
        if !roles.is_empty() && !takes_roles(kind) {
            return Err(AccountError::NoRoles(kind.as_str()));
        }
        let names: Vec<String> = match kind {
            Kind::Token => TOKEN_SECRETS.map(str::to_owned).into(),
            Kind::AdminUser => ADMIN_USER_SECRETS.map(str::to_owned).into(),
            Kind::Service => vec![Uuid::new_v4().to_string()],
            _ => vec![ACCOUNT_SECRET.to_owned()],
        };
        let (mut secrets, mut issued) = (Vec::new(), Vec::new());
        for name in names {
            let (secret, shown) = make_secret(name, password.clone(), expires_at, now).await?;
            secrets.push(secret);
            issued.push(shown);
        }
        let roles = roles.iter().map(|(role, scope)| assignment(*role, scope, now)).collect();
        let account = Account {
            name: name.clone(),
            kind,
            display_name,
            enabled: true,
            scope_map: scope_map.clone(),
            generation: millis(now),
            created_at: now,
            last_used_at: None,
        };
        let record = AccountRecord { account, secrets, roles, actions: Vec::new() };
        match self.store.create_account(&record).await? {
            CreateAccount::Created => Ok((record, issued)),
            CreateAccount::NameTaken => Err(AccountError::NameTaken(name)),
            CreateAccount::UnknownScopeMap => {
                Err(AccountError::UnknownScopeMap(scope_map.unwrap_or_default()))
            }
        }
    }

    /// Everybody of a kind, or of all, by name, beginning behind `after`.
    pub async fn list(
        &self,
        _permit: &RegistryPermit<Administration>,
        kind: Option<Kind>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, AccountError> {
        Ok(self.store.accounts(kind, after, limit).await?)
    }

    /// One of them.
    pub async fn find(
        &self,
        _permit: &RegistryPermit<Administration>,
        name: &str,
    ) -> Result<AccountRecord, AccountError> {
        self.known(name).await
    }

    /// Makes a secret anew, which cuts off tokens and sessions of before. A
    /// service principal loses its other secrets.
    pub async fn renew_secret(
        &self,
        _permit: &RegistryPermit<Administration>,
        account: &str,
        secret: Option<&str>,
        chosen: Option<String>,
        expires_at: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<Issued, AccountError> {
        check_expiry(expires_at, now)?;
        let kind = self.known(account).await?.account.kind;
        if chosen.is_some() && kind != Kind::Account {
            return Err(AccountError::ChosenSecret(kind.as_str()));
        }
        let known: &[&str] = match kind {
            Kind::Token => &TOKEN_SECRETS,
            Kind::AdminUser => &ADMIN_USER_SECRETS,
            Kind::Service => &[],
            _ => &[ACCOUNT_SECRET],
        };
        let name = match (secret, known) {
            (None, []) => Uuid::new_v4().to_string(),
            (None, [first, ..]) => (*first).to_owned(),
            (Some(name), known) if known.contains(&name) => name.to_owned(),
            (Some(name), known) => {
                let (kind, name) = (kind.as_str(), name.chars().take(100).collect());
                return Err(AccountError::UnknownSecret { kind, name, known: known.join(", ") });
            }
        };
        let (secret, issued) = make_secret(name, chosen, expires_at, now).await?;
        let done = if kind == Kind::Service {
            self.store.replace_secrets(account, &secret, now).await?
        } else {
            self.store.set_secret(account, &secret, now).await?
        };
        if done { Ok(issued) } else { Err(AccountError::Unknown(account.to_owned())) }
    }

    /// Lets somebody sign in, or no longer.
    pub async fn set_enabled(
        &self,
        _permit: &RegistryPermit<Administration>,
        account: &str,
        enabled: bool,
        now: OffsetDateTime,
    ) -> Result<(), AccountError> {
        match self.store.set_enabled(account, enabled, now).await? {
            true => Ok(()),
            false => Err(AccountError::Unknown(account.to_owned())),
        }
    }

    /// Removes somebody.
    pub async fn delete(
        &self,
        _permit: &RegistryPermit<Administration>,
        account: &str,
    ) -> Result<(), AccountError> {
        match self.store.delete_account(account).await? {
            true => Ok(()),
            false => Err(AccountError::Unknown(account.to_owned())),
        }
    }

    /// Gives somebody a role at a scope. It holds at once and cuts off nothing.
    pub async fn assign_role(
        &self,
        _permit: &RegistryPermit<Administration>,
        account: &str,
        role: Role,
        scope: &RoleScope,
        now: OffsetDateTime,
    ) -> Result<(), AccountError> {
        let kind = self.known(account).await?.account.kind;
        if !takes_roles(kind) {
            return Err(AccountError::NoRoles(kind.as_str()));
        }
        match self.store.assign_role(account, &assignment(role, scope, now)).await? {
            true => Ok(()),
            false => Err(AccountError::Unknown(account.to_owned())),
        }
    }

    /// Takes a role at this very scope away.
    pub async fn remove_role(
        &self,
        _permit: &RegistryPermit<Administration>,
        account: &str,
        role: Role,
        scope: &RoleScope,
    ) -> Result<(), AccountError> {
        if self.store.remove_role(account, role.id(), scope.as_str()).await? {
            return Ok(());
        }
        let scope = scope.to_string();
        Err(AccountError::RoleNotHeld { name: account.to_owned(), role, scope })
    }

    /// Makes or replaces a scope map, for all tokens that have it.
    pub async fn put_scope_map(
        &self,
        _permit: &RegistryPermit<Administration>,
        name: &str,
        description: &str,
        actions: &[String],
        now: OffsetDateTime,
    ) -> Result<ScopeMap, AccountError> {
        if SystemScopeMap::reserves(name) {
            return Err(AccountError::Reserved(name.to_owned()));
        }
        check_grammar(name)?;
        check_display_name(description)?;
        if actions.is_empty() || actions.len() > SCOPE_MAP_ACTIONS_MAX {
            return Err(AccountError::ActionCount);
        }
        for action in actions {
            ScopeMapAction::parse(action)?;
        }
        let map = ScopeMap {
            name: name.to_owned(),
            description: description.to_owned(),
            actions: actions.to_vec(),
            created_at: now,
        };
        self.store.put_scope_map(&map).await?;
        Ok(map)
    }

    /// Scope maps of users' making, by name, beginning behind `after`; those of
    /// the system are [`SystemScopeMap::ALL`].
    pub async fn scope_maps(
        &self,
        _permit: &RegistryPermit<Administration>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ScopeMap>, AccountError> {
        Ok(self.store.scope_maps(after, limit).await?)
    }

    /// Removes a scope map that no token has.
    pub async fn delete_scope_map(
        &self,
        _permit: &RegistryPermit<Administration>,
        name: &str,
    ) -> Result<(), AccountError> {
        if SystemScopeMap::reserves(name) {
            return Err(AccountError::Reserved(name.to_owned()));
        }
        match self.store.delete_scope_map(name).await? {
            DeleteScopeMap::Deleted => Ok(()),
            DeleteScopeMap::Unknown => Err(AccountError::UnknownScopeMap(name.to_owned())),
            DeleteScopeMap::InUse => Err(AccountError::ScopeMapInUse(name.to_owned())),
        }
    }

    async fn known(&self, name: &str) -> Result<AccountRecord, AccountError> {
        let unknown = || AccountError::Unknown(name.chars().take(100).collect());
        self.store.account(name).await?.ok_or_else(unknown)
    }

    fn check_name(&self, name: &str) -> Result<(), AccountError> {
        check_grammar(name)?;
        let is_guid = Uuid::try_parse(name).is_ok();
        if is_guid || *name == *self.registry_name {
            return Err(AccountError::Reserved(name.to_owned()));
        }
        Ok(())
    }
}

/// Letters, digits and a few signs: never a colon, which ends a name in Basic
/// credentials and marks names of other issuers.
fn check_grammar(name: &str) -> Result<(), AccountError> {
    let fits = name.len() <= ACCOUNT_NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-@".contains(c));
    if fits { Ok(()) } else { Err(AccountError::BadName(name.chars().take(100).collect())) }
}

fn check_display_name(text: &str) -> Result<(), AccountError> {
    let fits = text.len() <= DISPLAY_NAME_BYTES_MAX && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(AccountError::BadDisplayName) }
}

fn check_expiry(
    expires_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<(), AccountError> {
    if expires_at.is_some_and(|at| at <= now) { Err(AccountError::Expired) } else { Ok(()) }
}

fn takes_roles(kind: Kind) -> bool {
    matches!(kind, Kind::Account | Kind::Service)
}

fn assignment(role: Role, scope: &RoleScope, now: OffsetDateTime) -> RoleAssignment {
    RoleAssignment { role: role.id().to_owned(), scope: scope.as_str().to_owned(), created_at: now }
}

fn millis(time: OffsetDateTime) -> i64 {
    time.unix_timestamp() * 1000 + i64::from(time.millisecond())
}

/// A secret as it is stored and as it is shown.
async fn make_secret(
    name: String,
    chosen: Option<String>,
    expires_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<(Secret, Issued), AccountError> {
    let value = match chosen {
        Some(value) if !(PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&value.len()) => {
            return Err(AccountError::BadPassword);
        }
        Some(value) => value,
        None => {
            let mut bytes = [0; SECRET_BYTES];
            getrandom::fill(&mut bytes).map_err(|e| StoreError::io("make a secret")(e.into()))?;
            URL_SAFE_NO_PAD.encode(bytes)
        }
    };
    let hashed = value.clone();
    let hash = tokio::task::spawn_blocking(move || hash_password(&hashed))
        .await
        .map_err(|error| StoreError::corrupt("password", error))??;
    let secret = Secret { name: name.clone(), hash, created_at: now, expires_at };
    Ok((secret, Issued { name, value, created_at: now, expires_at }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, accepted: bool) {
        assert_eq!(check_grammar(name).is_ok(), accepted, "{name:?}");
    }

    #[test]
    fn names_can_be_sent_in_basic_credentials() {
        check("a", true);
        check("ci-token.1_x@example", true);
        check("", false);
        check("-a", false);
        check("_repositories_pull", false);
        check("a:b", false);
        check("a b", false);
        check("ä", false);
        check("a\n", false);
        check(&"a".repeat(ACCOUNT_NAME_BYTES_MAX), true);
        check(&"a".repeat(ACCOUNT_NAME_BYTES_MAX + 1), false);
    }

    #[tokio::test]
    async fn a_secret_is_random_or_chosen_and_never_printed() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let (secret, issued) = make_secret("password1".into(), None, None, now).await.unwrap();
        assert!(issued.value.len() >= 40 && !secret.hash.contains(&issued.value));
        assert!(!format!("{issued:?} {secret:?}").contains(&issued.value));
        let chosen = make_secret("p".into(), Some("correct horse".into()), None, now).await;
        assert_eq!(chosen.unwrap().1.value, "correct horse");
        for bad in ["short".to_owned(), "x".repeat(PASSWORD_BYTES_MAX + 1)] {
            let refused = make_secret("p".into(), Some(bad), None, now).await;
            assert!(matches!(refused, Err(AccountError::BadPassword)));
        }
    }
}
