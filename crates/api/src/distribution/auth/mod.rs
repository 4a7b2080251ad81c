//! Who asks: passwords, tokens, and the service that turns one into the other.
//!
//! ```text
//! password --verify--> account --issue--> access token  (short, limited to scopes)
//!                        ^  \--issue--> refresh token   (longer, no scopes)
//!                        |                   |
//!                        +------redeem-------+
//! ```
//!
//! A token names an account and is looked up on each use, so that a deleted
//! account is out at once.

pub mod passwords;
pub mod service;
mod throttle;
pub mod tokens;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use access::{Principal, Role, Scope};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use store::{Account, AccountStore, StoreError};

use passwords::Passwords;
use throttle::Throttle;
use tokens::{Grant, Tokens};

/// User name under which a token is sent as a password (`az acr login`).
pub const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

/// Why nobody was recognised.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Wrong, expired, or not understood. Deliberately does not say which.
    #[error("the credentials are not valid")]
    Refused,
    /// Too many wrong passwords for this account from this address.
    #[error("too many failed sign-ins for this account; try again in {} s", .0.as_secs() + 1)]
    SlowDown(Duration),
    /// Too many passwords wait to be verified.
    #[error("too many sign-ins at once; try again")]
    Busy,
    /// Storage failed.
    #[error("cannot look up the account: {0}")]
    Store(#[from] StoreError),
}

/// Recognises callers and issues tokens.
pub struct Authenticator {
    accounts: Arc<dyn AccountStore>,
    passwords: Passwords,
    throttle: Throttle,
    tokens: Tokens,
}

/// Name and length of the secret that signs tokens.
const SIGNING_KEY: &str = "token-signing-key";
const SIGNING_KEY_BYTES: usize = 32;

impl Authenticator {
    /// Over some accounts; the signing key is made on the first start.
    pub async fn open(accounts: Arc<dyn AccountStore>) -> Result<Self, StoreError> {
        let mut fresh = [0; SIGNING_KEY_BYTES];
        getrandom::fill(&mut fresh).map_err(|e| StoreError::io("make a signing key")(e.into()))?;
        let key = accounts.ensure_secret(SIGNING_KEY, &fresh).await?;
        Ok(Self {
            accounts,
            passwords: Passwords::new()?,
            throttle: Throttle::default(),
            tokens: Tokens::new(&key),
        })
    }

    /// The caller of a request by its `Authorization` header; without one,
    /// nobody. `service` is the host that tokens must be made for.
    pub async fn recognise(
        &self,
        authorization: Option<&str>,
        service: &str,
        address: Option<IpAddr>,
    ) -> Result<Principal, AuthError> {
        let Some(header) = authorization else { return Ok(Principal::anonymous()) };
        let (scheme, value) = header.split_once(' ').ok_or(AuthError::Refused)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            self.bearer(value.trim(), service).await
        } else if scheme.eq_ignore_ascii_case("basic") {
            let (name, password) = basic(value.trim()).ok_or(AuthError::Refused)?;
            self.password(&name, &password, service, address).await
        } else {
            Err(AuthError::Refused)
        }
    }

    /// The account behind a name and a password, or behind a token that is
    /// sent as a password.
    pub async fn password(
        &self,
        name: &str,
        password: &str,
        service: &str,
        address: Option<IpAddr>,
    ) -> Result<Principal, AuthError> {
        if name == TOKEN_USER {
            return match self.tokens.read_refresh(password, service) {
                Some(name) => self.principal(&name).await,
                None => self.bearer(password, service).await,
            };
        }
        self.throttle.admit(name, address, Instant::now()).map_err(AuthError::SlowDown)?;
        let account = self.accounts.account(name).await?;
        let verified = self.passwords.verify(account.as_ref(), name, password).await?;
        self.throttle.record(name, address, verified, Instant::now());
        match account {
            Some(account) if verified => Ok(principal_of(&account)),
            _ => Err(AuthError::Refused),
        }
    }

    /// The account behind an access token, limited to what the token allows.
    async fn bearer(&self, token: &str, service: &str) -> Result<Principal, AuthError> {
        let (name, scopes) = self.tokens.read_access(token, service).ok_or(AuthError::Refused)?;
        if name.is_empty() {
            return Ok(Principal::anonymous());
        }
        Ok(self.principal(&name).await?.limited_to(scopes))
    }

    async fn principal(&self, name: &str) -> Result<Principal, AuthError> {
        self.accounts.account(name).await?.as_ref().map(principal_of).ok_or(AuthError::Refused)
    }

    /// An access token for the part of the scopes that the principal may have.
    pub fn access_token(&self, principal: &Principal, service: &str, scopes: &[Scope]) -> Grant {
        let granted = scopes.iter().map(|scope| principal.grant(scope)).collect();
        self.tokens.access(principal.name(), service, granted)
    }

    /// A token from which access tokens can be had without the password.
    pub fn refresh_token(&self, principal: &Principal, service: &str) -> String {
        self.tokens.refresh(principal.name(), service)
    }

    /// The account behind a refresh token.
    pub async fn redeem(&self, refresh_token: &str, service: &str) -> Result<Principal, AuthError> {
        let name = self.tokens.read_refresh(refresh_token, service).ok_or(AuthError::Refused)?;
        self.principal(&name).await
    }

    /// The account behind an identity token that is to become a refresh token:
    /// so far, one of our own.
    pub async fn exchange(
        &self,
        identity_token: &str,
        service: &str,
    ) -> Result<Principal, AuthError> {
        let name = match self.tokens.read_refresh(identity_token, service) {
            Some(name) => name,
            // Not an access token limited to some scopes: what comes of it is not.
            None => return Err(AuthError::Refused),
        };
        self.principal(&name).await
    }
}

fn principal_of(account: &Account) -> Principal {
    Principal::account(&account.name, account.admin.then_some(Role::Admin))
}

/// RFC 7617. The first colon ends the name.
fn basic(value: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}
