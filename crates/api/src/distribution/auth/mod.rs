//! Who asks: passwords, tokens, and the service that turns one into the other.
//!
//! ```text
//! password ---------verify--> caller --issue--> access token  (short, limited to scopes)
//! foreign OIDC token --+        ^  \--issue--> refresh token   (longer, no scopes)
//!                               |                   |
//!                               +------redeem-------+
//! ```
//!
//! A token names an account and its generation, and the account is looked up on
//! use: one that was deleted, disabled or given another password is out within
//! seconds. What it may do is not in the token but found anew.

mod caller;
pub mod federation;
mod known;
pub mod passwords;
pub mod service;
mod throttle;
pub mod tokens;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use access::{Principal, RoleScope, Scope};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use store::{AccountRecord, AccountStore, SettingsStore, StoreError};
use time::OffsetDateTime;

pub use caller::Caller;
pub(crate) use caller::principal;
use federation::{Federation, FederationError};
use known::Known;
use passwords::Passwords;
use throttle::Throttle;
use tokens::{Grant, Tokens};

use crate::settings::Settings;

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
    /// A token of another issuer was not accepted. Says why: whoever made it
    /// needs that, and it gives nothing away.
    #[error("the identity token is not accepted: {0}")]
    Identity(#[from] FederationError),
    /// Storage failed.
    #[error("cannot look up the account: {0}")]
    Store(#[from] StoreError),
}

/// What recognising callers takes.
pub struct AuthParts {
    /// Accounts.
    pub accounts: Arc<dyn AccountStore>,
    /// Settings that change while the server runs.
    pub settings: Arc<dyn SettingsStore>,
    /// The registry that callers stand before.
    pub registry: RoleScope,
    /// Whether everybody may pull, until somebody sets it otherwise.
    pub anonymous_pull: bool,
    /// Issuers that are trusted.
    pub federation: Federation,
}

/// Recognises callers and issues tokens.
pub struct Authenticator {
    known: Known,
    settings: Settings,
    registry: RoleScope,
    passwords: Passwords,
    throttle: Throttle,
    tokens: Tokens,
    federation: Federation,
}

/// Name and length of the secret that signs tokens.
const SIGNING_KEY: &str = "token-signing-key";
const SIGNING_KEY_BYTES: usize = 32;

impl Authenticator {
    /// Over some accounts; the signing key is made on the first start.
    pub async fn open(parts: AuthParts) -> Result<Self, StoreError> {
        let mut fresh = [0; SIGNING_KEY_BYTES];
        getrandom::fill(&mut fresh).map_err(|e| StoreError::io("make a signing key")(e.into()))?;
        let key = parts.accounts.ensure_secret(SIGNING_KEY, &fresh).await?;
        Ok(Self {
            known: Known::new(parts.accounts),
            settings: Settings::new(parts.settings, parts.anonymous_pull),
            registry: parts.registry,
            passwords: Passwords::new()?,
            throttle: Throttle::default(),
            tokens: Tokens::new(&key),
            federation: parts.federation,
        })
    }

    /// The registry that callers stand before.
    pub fn registry(&self) -> &RoleScope {
        &self.registry
    }

    /// Settings that decide who may do what.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// An account was changed by this process: the next request sees it.
    pub fn forget(&self, account: &str) {
        self.known.forget(account);
    }

    /// The caller of a request by its `Authorization` header; without one,
    /// nobody. `service` is the host that tokens must be made for.
    pub async fn recognise(
        &self,
        authorization: Option<&str>,
        service: &str,
        address: Option<IpAddr>,
    ) -> Result<Principal, AuthError> {
        Ok(self.caller(authorization, service, address).await?.principal)
    }

    /// As [`Authenticator::recognise`], for who is to get tokens.
    pub async fn caller(
        &self,
        authorization: Option<&str>,
        service: &str,
        address: Option<IpAddr>,
    ) -> Result<Caller, AuthError> {
        let Some(header) = authorization else { return self.anonymous().await };
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

    /// A caller without credentials.
    pub async fn anonymous(&self) -> Result<Caller, AuthError> {
        Ok(Caller::anonymous(self.settings.anonymous_pull().await?))
    }

    /// The caller behind a name and a password, or behind a token that is sent
    /// as a password.
    pub async fn password(
        &self,
        name: &str,
        password: &str,
        service: &str,
        address: Option<IpAddr>,
    ) -> Result<Caller, AuthError> {
        if name == TOKEN_USER {
            return match self.tokens.read_refresh(password, service) {
                Some(bearer) => self.bearer_of(bearer).await,
                None => self.bearer(password, service).await,
            };
        }
        self.throttle.admit(name, address, Instant::now()).map_err(AuthError::SlowDown)?;
        // As it is now: a fresh password works at once.
        let record = self.known.fresh(name).await?;
        let now = OffsetDateTime::now_utc();
        let verified = self.passwords.verify(record.as_deref(), name, password, now).await?;
        let recognised = match (&record, &verified) {
            (Some(record), Some(secret)) if record.account.enabled => {
                let mut caller = self.account(record);
                caller.until = secret.expires_at;
                Ok(caller)
            }
            _ => Err(AuthError::Refused),
        };
        self.throttle.record(name, address, recognised.is_ok(), Instant::now());
        recognised
    }

    /// The caller behind an access token, limited to what the token allows.
    async fn bearer(&self, token: &str, service: &str) -> Result<Caller, AuthError> {
        let (bearer, scopes) = self.tokens.read_access(token, service).ok_or(AuthError::Refused)?;
        let caller = self.bearer_of(bearer).await?;
        Ok(Caller { principal: caller.principal.limited_to(scopes), ..caller })
    }

    /// Whoever one of our tokens names, if it still stands for them.
    async fn bearer_of(&self, bearer: tokens::Bearer) -> Result<Caller, AuthError> {
        let tokens::Bearer { name, proof, until } = bearer;
        let caller = if name.is_empty() {
            self.anonymous().await?
        } else if let Some(issuer) = &proof.issuer {
            if !self.federation.trusts(issuer) {
                return Err(AuthError::Refused);
            }
            Caller::federated(&name, proof, &self.registry)
        } else {
            let record = self.known.of_generation(&name, proof.generation).await?;
            let record = record.filter(|r| r.account.enabled).ok_or(AuthError::Refused)?;
            self.account(&record)
        };
        // A token never begets one that outlives the secret behind it.
        Ok(Caller { until, ..caller })
    }

    fn account(&self, record: &AccountRecord) -> Caller {
        self.known.note(record);
        Caller::account(record, &self.registry)
    }

    /// An access token for the part of the scopes that the caller may have.
    pub fn access_token(&self, caller: &Caller, service: &str, scopes: &[Scope]) -> Grant {
        let granted = scopes.iter().map(|scope| caller.principal.grant(scope)).collect();
        self.tokens.access(caller, service, granted)
    }

    /// A token from which access tokens can be had without the password.
    pub fn refresh_token(&self, caller: &Caller, service: &str) -> String {
        self.tokens.refresh(caller, service)
    }

    /// The caller behind a refresh token.
    pub async fn redeem(&self, refresh_token: &str, service: &str) -> Result<Caller, AuthError> {
        let bearer = self.tokens.read_refresh(refresh_token, service).ok_or(AuthError::Refused)?;
        self.bearer_of(bearer).await
    }

    /// The caller behind an identity token that is to become a refresh token:
    /// one of a trusted issuer, or a refresh token of our own. Never an access
    /// token, which is limited to some scopes; what comes of it would not be.
    pub async fn exchange(&self, identity_token: &str, service: &str) -> Result<Caller, AuthError> {
        if let Some(bearer) = self.tokens.read_refresh(identity_token, service) {
            return self.bearer_of(bearer).await;
        }
        let identity = self.federation.verify(identity_token, service, Instant::now()).await?;
        tracing::info!(
            name = identity.name,
            issuer = identity.issuer,
            "an identity token was exchanged"
        );
        let proof = caller::Proof {
            issuer: Some(identity.issuer),
            roles: identity.roles,
            ..caller::Proof::default()
        };
        Ok(Caller::federated(&identity.name, proof, &self.registry))
    }
}

/// Imports run with the rights that their owner has by then.
#[async_trait]
impl registry::Principals for Authenticator {
    async fn principal(&self, name: &str) -> Result<Option<Principal>, StoreError> {
        let record = self.known.fresh(name).await?.filter(|record| record.account.enabled);
        Ok(record.map(|record| principal(&record, &self.registry)))
    }
}

/// RFC 7617. The first colon ends the name.
fn basic(value: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}
