//! Tokens: JSON Web Tokens with the claims that Azure Container Registry's
//! clients read, signed with a secret of this installation (HS256).

use access::Scope;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

/// Lifetime of an access token.
pub const ACCESS_TOKEN_SECS: i64 = 75 * 60;
/// Lifetime of a refresh token.
pub const REFRESH_TOKEN_SECS: i64 = 3 * 60 * 60;
/// Clocks of one installation's replicas may differ by this much.
const LEEWAY_SECS: u64 = 5;
/// As Azure's tokens say; its clients do not care, and tests on the claims do.
const ISSUER: &str = "Azure Container Registry";
const ACCESS: &str = "access_token";
const REFRESH: &str = "refresh_token";

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    jti: String,
    sub: String,
    nbf: i64,
    exp: i64,
    iat: i64,
    iss: String,
    aud: String,
    version: String,
    grant_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access: Option<Vec<Scope>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    permissions: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
}

/// A fresh access token.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The token.
    pub token: String,
    /// When it was made.
    pub issued_at: OffsetDateTime,
    /// Seconds for which it is good.
    pub expires_in: i64,
}

/// Makes and reads tokens.
pub(super) struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Tokens {
    pub fn new(key: &[u8]) -> Self {
        Self { encoding: EncodingKey::from_secret(key), decoding: DecodingKey::from_secret(key) }
    }

    pub fn access(&self, subject: &str, service: &str, scopes: Vec<Scope>) -> Grant {
        let issued_at = OffsetDateTime::now_utc();
        let claims = Claims {
            access: Some(scopes),
            ..claims(subject, service, ACCESS, issued_at, ACCESS_TOKEN_SECS)
        };
        Grant { token: self.sign(&claims), issued_at, expires_in: ACCESS_TOKEN_SECS }
    }

    pub fn refresh(&self, subject: &str, service: &str) -> String {
        let claims = Claims {
            permissions: Some(json!({ "actions": ["*"], "notActions": [] })),
            tenant: Some("default".into()),
            ..claims(subject, service, REFRESH, OffsetDateTime::now_utc(), REFRESH_TOKEN_SECS)
        };
        self.sign(&claims)
    }

    /// Subject and scopes of an access token made for `service`.
    pub fn read_access(&self, token: &str, service: &str) -> Option<(String, Vec<Scope>)> {
        let claims = self.read(token, service, ACCESS)?;
        Some((claims.sub, claims.access?))
    }

    /// Subject of a refresh token made for `service`.
    pub fn read_refresh(&self, token: &str, service: &str) -> Option<String> {
        Some(self.read(token, service, REFRESH)?.sub)
    }

    fn sign(&self, claims: &Claims) -> String {
        // HMAC over JSON of our own making cannot fail; an empty token is refused.
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .unwrap_or_default()
    }

    fn read(&self, token: &str, service: &str, grant_type: &str) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_SECS;
        validation.validate_nbf = true;
        validation.set_audience(&[service]);
        validation.set_issuer(&[ISSUER]);
        let claims =
            jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation).ok()?.claims;
        (claims.grant_type == grant_type).then_some(claims)
    }
}

fn claims(
    subject: &str,
    service: &str,
    grant_type: &str,
    now: OffsetDateTime,
    lifetime_secs: i64,
) -> Claims {
    let now = now.unix_timestamp();
    Claims {
        jti: uuid::Uuid::new_v4().to_string(),
        sub: subject.to_owned(),
        nbf: now,
        exp: now + lifetime_secs,
        iat: now,
        iss: ISSUER.into(),
        aud: service.to_owned(),
        version: "1.0".into(),
        grant_type: grant_type.into(),
        access: None,
        permissions: None,
        tenant: None,
        roles: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_kind_host_and_key_only() {
        let tokens = Tokens::new(b"key");
        let scopes = vec![Scope::parse("repository:a:pull").unwrap()];
        let access = tokens.access("alice", "host:1", scopes.clone()).token;
        let refresh = tokens.refresh("alice", "host:1");
        assert_eq!(tokens.read_access(&access, "host:1"), Some(("alice".into(), scopes)));
        assert_eq!(tokens.read_refresh(&refresh, "host:1"), Some("alice".into()));
        assert_eq!(tokens.read_refresh(&access, "host:1"), None);
        assert_eq!(tokens.read_access(&refresh, "host:1"), None);
        assert_eq!(tokens.read_access(&access, "host:2"), None);
        assert_eq!(Tokens::new(b"yek").read_access(&access, "host:1"), None);
        assert_eq!(tokens.read_access("", "host:1"), None);
    }

    #[test]
    fn an_old_token_and_an_unsigned_one_are_refused() {
        let tokens = Tokens::new(b"key");
        let past = OffsetDateTime::now_utc() - time::Duration::hours(4);
        let old = Claims {
            access: Some(vec![]),
            ..claims("alice", "h", ACCESS, past, ACCESS_TOKEN_SECS)
        };
        assert_eq!(tokens.read_access(&tokens.sign(&old), "h"), None);
        let access = tokens.access("alice", "h", vec![]).token;
        let payload = access.split('.').nth(1).unwrap();
        // {"alg":"none","typ":"JWT"}
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
        assert_eq!(tokens.read_access(&unsigned, "h"), None);
    }
}
