//! Accounts, and the secrets that the server signs with.

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::StoreError;

/// Somebody who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Unique, compared byte for byte.
    pub name: String,
    /// Argon2 hash in PHC form. Never the password.
    pub password_hash: String,
    /// May do everything.
    pub admin: bool,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// Keeps accounts.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// After it returns `true`, the account exists. `false`: the name is taken,
    /// and nothing was changed.
    async fn create_account(&self, account: &Account) -> Result<bool, StoreError>;

    /// One account. `None`: no such name.
    async fn account(&self, name: &str) -> Result<Option<Account>, StoreError>;

    /// Every account, by name.
    async fn accounts(&self) -> Result<Vec<Account>, StoreError>;

    /// After it returns `true`, the account has this hash. `false`: no such name.
    async fn set_password_hash(&self, name: &str, hash: &str) -> Result<bool, StoreError>;

    /// After it returns, the account is gone; says whether it was there.
    async fn delete_account(&self, name: &str) -> Result<bool, StoreError>;

    /// The secret of this name. The first caller's `fresh` becomes it; every
    /// later caller, in whatever process, gets the same one.
    async fn ensure_secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError>;
}
