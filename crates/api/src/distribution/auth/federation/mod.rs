//! Tokens of other issuers: a CI system, a Kubernetes cluster, Entra. Whoever
//! shows one gets a refresh token of ours, with the roles that rules give to
//! its claims (OpenID Connect Core 1.0, "ID Token Validation"; RFC 8725).

mod keys;
mod rules;

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use keys::Keys;
pub use keys::{AddressError, KEYS_BYTES_MAX, KeyFetcher, KeySource, check_address};
pub use rules::{Rule, RuleError};

/// Longest identity token, in bytes.
pub const IDENTITY_TOKEN_BYTES_MAX: usize = 16 << 10;
/// Longest subject, in bytes; it becomes part of a name.
pub const SUBJECT_BYTES_MAX: usize = 255;
/// By how much an issuer's clock may differ from ours.
pub const IDENTITY_LEEWAY_SECS: u64 = 60;

/// What Azure's clients ask tokens for. Accepted beside our own address where
/// an issuer names no audience.
const AZURE_AUDIENCES: [&str; 6] = [
    "https://containerregistry.azure.net",
    "https://containerregistry.azure.net/",
    "https://management.azure.com",
    "https://management.azure.com/",
    "https://management.core.windows.net",
    "https://management.core.windows.net/",
];

/// Why an identity token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// Too long, or not a signed token.
    #[error("it is not a JSON Web Token of at most {IDENTITY_TOKEN_BYTES_MAX} bytes")]
    Malformed,
    /// Nobody trusts whoever made it.
    #[error("its issuer {0:?} is not one that this registry trusts")]
    UnknownIssuer(String),
    /// Its issuer has no such key.
    #[error("its issuer has no key {0:?}")]
    UnknownKey(String),
    /// The key is not for this algorithm.
    #[error(
        "its algorithm {0} does not go with the issuer's key; RS256, PS256, ES256 and EdDSA are accepted"
    )]
    Algorithm(String),
    /// Signature, audience or times.
    #[error("{0}")]
    Invalid(String),
    /// No rule speaks of it.
    #[error("no rule gives its claims a role; its subject is {0:?}")]
    NoRule(String),
    /// Keys could not be had.
    #[error("the keys of its issuer cannot be read: {0}")]
    Keys(String),
}

/// An issuer that is trusted.
pub struct Issuer {
    /// Short name; identities are called `name:subject`.
    pub name: String,
    /// Exactly as its tokens' `iss` has it.
    pub issuer: String,
    /// Which audiences its tokens may have; none: our own address and Azure's.
    pub audiences: Vec<String>,
    /// Who gets which roles.
    pub rules: Vec<Rule>,
    /// Where its keys come from.
    pub keys: KeySource,
}

/// Somebody whom an issuer vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name and subject.
    pub name: String,
    /// The issuer.
    pub issuer: String,
    /// Roles and scopes, as they are stored.
    pub roles: Vec<(String, String)>,
}

struct Trusted {
    issuer: Issuer,
    keys: Keys,
}

/// Every issuer that is trusted.
#[derive(Default)]
pub struct Federation {
    trusted: Vec<Trusted>,
}

impl Federation {
    /// Of some issuers, each of them once.
    pub fn new(issuers: Vec<Issuer>) -> Self {
        let trusted = |issuer: Issuer| {
            let keys = Keys::new(&issuer.issuer, issuer.keys.clone());
            Trusted { issuer, keys }
        };
        Self { trusted: issuers.into_iter().map(trusted).collect() }
    }

    /// Whether an issuer is trusted (still).
    pub fn trusts(&self, issuer: &str) -> bool {
        self.trusted.iter().any(|t| t.issuer.issuer == issuer)
    }

    /// Who shows this token. `service` is the host that the client talks to.
    pub async fn verify(
        &self,
        token: &str,
        service: &str,
        now: Instant,
    ) -> Result<Identity, FederationError> {
        let claimed = unverified_issuer(token).ok_or(FederationError::Malformed)?;
        let trusted = self.trusted.iter().find(|t| t.issuer.issuer == claimed);
        let trusted = trusted.ok_or_else(|| FederationError::UnknownIssuer(shortened(&claimed)))?;
        let header = decode_header(token).map_err(|_| FederationError::Malformed)?;
        let key = trusted.keys.find(header.kid.as_deref(), now).await?;
        let named = || FederationError::Algorithm(format!("{:?}", header.alg));
        if !keys::algorithms(&key).contains(&header.alg) {
            return Err(named());
        }
        let key = DecodingKey::from_jwk(&key).map_err(|_| named())?;
        let validation = validation(header.alg, &trusted.issuer, service);
        let claims = decode::<Map<String, Value>>(token, &key, &validation)
            .map_err(|error| FederationError::Invalid(describe(&error)))?
            .claims;
        identify(&trusted.issuer, &claims)
    }
}

fn validation(algorithm: jsonwebtoken::Algorithm, issuer: &Issuer, service: &str) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = IDENTITY_LEEWAY_SECS;
    validation.validate_nbf = true;
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[&issuer.issuer]);
    if issuer.audiences.is_empty() {
        let own = [service.to_owned(), format!("https://{service}")];
        let azure = AZURE_AUDIENCES.into_iter().map(str::to_owned);
        validation.set_audience(&own.into_iter().chain(azure).collect::<Vec<_>>());
    } else {
        validation.set_audience(&issuer.audiences);
    }
    validation
}

fn describe(error: &jsonwebtoken::errors::Error) -> String {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired".into(),
        ErrorKind::ImmatureSignature => "it is not valid yet".into(),
        ErrorKind::InvalidAudience => {
            "it was made for another audience than this registry's".into()
        }
        ErrorKind::InvalidSignature => "its signature is wrong".into(),
        ErrorKind::MissingRequiredClaim(claim) => format!("it has no claim {claim:?}"),
        _ => "it cannot be verified".into(),
    }
}

fn identify(issuer: &Issuer, claims: &Map<String, Value>) -> Result<Identity, FederationError> {
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    let printable = subject.chars().all(|c| !c.is_control());
    if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX || !printable {
        return Err(FederationError::Invalid("its subject is empty, too long or not text".into()));
    }
    let roles: Vec<_> = issuer
        .rules
        .iter()
        .filter(|rule| rule.matches(claims))
        .map(|rule| (rule.role.id().to_owned(), rule.scope().to_owned()))
        .collect();
    if roles.is_empty() {
        return Err(FederationError::NoRule(shortened(subject)));
    }
    Ok(Identity {
        name: format!("{}:{subject}", issuer.name),
        issuer: issuer.issuer.clone(),
        roles,
    })
}

/// Whom to ask whether the token is good; nothing of it is believed yet.
fn unverified_issuer(token: &str) -> Option<String> {
    if token.len() > IDENTITY_TOKEN_BYTES_MAX {
        return None;
    }
    let payload = token.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}
