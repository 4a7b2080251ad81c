//! Keys of an issuer: found by discovery, kept, and asked for again when a token
//! names one that is not there (OpenID Connect Discovery 1.0; RFC 7517).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use serde::Deserialize;

use super::FederationError;

/// Largest discovery document or key set, in bytes.
pub const KEYS_BYTES_MAX: usize = 1 << 20;
/// Most keys of one issuer that are kept.
pub const KEYS_MAX: usize = 100;
/// Keys are read again after this time.
const KEYS_AGE_MAX: Duration = Duration::from_secs(3600);
/// The issuer is asked at most so often, whatever tokens claim.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// Reads a document from an issuer. Bounded in time and in size
/// ([`KEYS_BYTES_MAX`]); follows no redirects.
#[async_trait]
pub trait KeyFetcher: Send + Sync {
    /// The document at an address that passed [`check_address`].
    async fn fetch(&self, address: &str) -> Result<Bytes, String>;
}

/// Where the keys of an issuer come from.
#[derive(Clone)]
pub enum KeySource {
    /// A JWK set that was given.
    Fixed(Bytes),
    /// The issuer's own documents.
    Discovery(Arc<dyn KeyFetcher>),
}

/// Why an address is not asked for keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an https address (http is for loopback only)")]
pub struct AddressError(pub String);

/// HTTPS anywhere, plain HTTP on loopback: keys decide who gets in.
pub fn check_address(address: &str) -> Result<(), AddressError> {
    let refused = || AddressError(address.chars().take(200).collect());
    let uri: http::Uri = address.parse().map_err(|_| refused())?;
    let authority = uri.authority().ok_or_else(refused)?;
    if authority.as_str().contains('@') {
        return Err(refused());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if loopback => Ok(()),
        _ => Err(refused()),
    }
}

/// What a key may verify. A key never decides by the token's own word alone:
/// RSA keys do RSA, and nothing here is symmetric.
pub(super) fn algorithms(key: &Jwk) -> Vec<Algorithm> {
    if key.common.public_key_use.as_ref().is_some_and(|u| *u != PublicKeyUse::Signature) {
        return Vec::new();
    }
    let by_type: &[Algorithm] = match &key.algorithm {
        AlgorithmParameters::RSA(_) => &[Algorithm::RS256, Algorithm::PS256],
        AlgorithmParameters::EllipticCurve(p) if p.curve == EllipticCurve::P256 => {
            &[Algorithm::ES256]
        }
        AlgorithmParameters::OctetKeyPair(p) if p.curve == EllipticCurve::Ed25519 => {
            &[Algorithm::EdDSA]
        }
        _ => &[],
    };
    let said = key.common.key_algorithm.map(|said| said.to_string());
    let allowed = by_type.iter().filter(|a| said.as_ref().is_none_or(|s| *s == format!("{a:?}")));
    allowed.copied().collect()
}

/// The keys of one issuer.
pub(super) struct Keys {
    issuer: String,
    source: KeySource,
    known: Mutex<Known>,
    /// Held while the issuer is asked: one question for all who wait.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Arc<Vec<Jwk>>,
    read: Option<Instant>,
    asked: Option<Instant>,
    /// Why there are none.
    failure: Option<String>,
}

impl Keys {
    pub fn new(issuer: &str, source: KeySource) -> Self {
        let known = Mutex::default();
        Self { issuer: issuer.to_owned(), source, known, asking: tokio::sync::Mutex::default() }
    }

    /// The key of this ID; without one, the only key there is.
    pub async fn find(&self, id: Option<&str>, now: Instant) -> Result<Jwk, FederationError> {
        let known = self.known();
        let fresh = known.read.is_some_and(|at| now.duration_since(at) < KEYS_AGE_MAX);
        if fresh && let Some(key) = pick(&known.keys, id) {
            return Ok(key);
        }
        let known = self.ask_again(now).await;
        match pick(&known.keys, id) {
            Some(key) => Ok(key),
            None => match known.failure.filter(|_| known.keys.is_empty()) {
                Some(failure) => Err(FederationError::Keys(failure)),
                None => Err(FederationError::UnknownKey(super::shortened(id.unwrap_or("")))),
            },
        }
    }

    /// Reads the keys anew unless somebody just did. If that fails, the keys of
    /// before stay.
    async fn ask_again(&self, now: Instant) -> Known {
        let _asking = self.asking.lock().await;
        let known = self.known();
        if known.asked.is_some_and(|at| now.saturating_duration_since(at) < ASK_EVERY) {
            return known;
        }
        let read = self.read().await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.asked = Some(now);
        match read {
            Ok(keys) => {
                *known =
                    Known { keys: Arc::new(keys), read: Some(now), failure: None, ..known.clone() };
            }
            Err(failure) => {
                tracing::warn!(
                    issuer = self.issuer,
                    failure,
                    "the keys of an issuer cannot be read"
                );
                known.failure = Some(failure);
            }
        }
        known.clone()
    }

    async fn read(&self) -> Result<Vec<Jwk>, String> {
        /// Part of a discovery document.
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        let fetcher = match &self.source {
            KeySource::Fixed(bytes) => return parse(bytes),
            KeySource::Discovery(fetcher) => fetcher,
        };
        let base = self.issuer.trim_end_matches('/');
        let address = format!("{base}/.well-known/openid-configuration");
        check_address(&address).map_err(|error| error.to_string())?;
        let document = fetcher.fetch(&address).await?;
        let document: Discovery = serde_json::from_slice(bounded(&document)?)
            .map_err(|error| format!("{address} is no discovery document: {error}"))?;
        if document.issuer != self.issuer {
            return Err(format!("{address} speaks of another issuer, {:?}", document.issuer));
        }
        check_address(&document.jwks_uri).map_err(|error| error.to_string())?;
        parse(&fetcher.fetch(&document.jwks_uri).await?)
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn bounded(bytes: &Bytes) -> Result<&[u8], String> {
    if bytes.len() > KEYS_BYTES_MAX {
        return Err(format!("a document of more than {KEYS_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

/// Keys of kinds that are not known are left out, as the RFC wants it.
fn parse(bytes: &Bytes) -> Result<Vec<Jwk>, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set =
        serde_json::from_slice(bounded(bytes)?).map_err(|error| format!("no key set: {error}"))?;
    let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
    Ok(keys.take(KEYS_MAX).collect())
}

fn pick(keys: &[Jwk], id: Option<&str>) -> Option<Jwk> {
    match id {
        Some(id) => keys.iter().find(|key| key.common.key_id.as_deref() == Some(id)).cloned(),
        None => match keys {
            [only] => Some(only.clone()),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, accepted: bool) {
        assert_eq!(check_address(address).is_ok(), accepted, "{address}");
    }

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        check("https://issuer.example/keys", true);
        check("http://127.0.0.1:8080/keys", true);
        check("http://[::1]:8080/keys", true);
        check("http://localhost/keys", true);
        check("http://issuer.example/keys", false);
        check("http://127.0.0.1@issuer.example/keys", false);
        check("http://localhost.issuer.example/keys", false);
        check("https://user@issuer.example/", false);
        check("file:///etc/keys", false);
        check("/keys", false);
        check("", false);
    }
}
