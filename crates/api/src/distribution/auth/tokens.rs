//! Tokens: JSON Web Tokens with the claims that Azure Container Registry's
//! clients read, signed with a secret of this installation (HS256).

use access::Scope;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use super::caller::{Caller, Proof};

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
    /// Ours alone.
    #[serde(default)]
    lazaret: Proof,
    /// When the secret behind it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_exp: Option<i64>,
}

/// Whom a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bearer {
    /// Empty for nobody.
    pub name: String,
    /// What it must be compared with.
    pub proof: Proof,
    /// When the secret behind it expires.
    pub until: Option<OffsetDateTime>,
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

    pub fn access(&self, caller: &Caller, service: &str, scopes: Vec<Scope>) -> Grant {
        let issued_at = OffsetDateTime::now_utc();
        let claims = Claims {
            access: Some(scopes),
            ..claims(caller, service, ACCESS, issued_at, ACCESS_TOKEN_SECS)
        };
        Grant { token: self.sign(&claims), issued_at, expires_in: claims.exp - claims.iat }
    }

    pub fn refresh(&self, caller: &Caller, service: &str) -> String {
        let claims = Claims {
            permissions: Some(json!({ "actions": ["*"], "notActions": [] })),
            tenant: Some("default".into()),
            ..claims(caller, service, REFRESH, OffsetDateTime::now_utc(), REFRESH_TOKEN_SECS)
        };
        self.sign(&claims)
    }

    /// Bearer and scopes of an access token made for `service`.
    pub fn read_access(&self, token: &str, service: &str) -> Option<(Bearer, Vec<Scope>)> {
        let mut claims = self.read(token, service, ACCESS)?;
        let scopes = claims.access.take()?;
        Some((bearer(claims), scopes))
    }

    /// Bearer of a refresh token made for `service`.
    pub fn read_refresh(&self, token: &str, service: &str) -> Option<Bearer> {
        self.read(token, service, REFRESH).map(bearer)
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

fn bearer(claims: Claims) -> Bearer {
    let until = claims.secret_exp.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    Bearer { name: claims.sub, proof: claims.lazaret, until }
}

fn claims(
    caller: &Caller,
    service: &str,
    grant_type: &str,
    now: OffsetDateTime,
    lifetime_secs: i64,
) -> Claims {
    let now = now.unix_timestamp();
    let secret_exp = caller.until.map(OffsetDateTime::unix_timestamp);
    let exp = now + lifetime_secs;
    Claims {
        jti: uuid::Uuid::new_v4().to_string(),
        sub: caller.principal.name().to_owned(),
        nbf: now,
        exp: secret_exp.map_or(exp, |end| exp.min(end)),
        iat: now,
        iss: ISSUER.into(),
        aud: service.to_owned(),
        version: "1.0".into(),
        grant_type: grant_type.into(),
        access: None,
        permissions: None,
        tenant: None,
        roles: Vec::new(),
        lazaret: caller.proof.clone(),
        secret_exp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use access::{Kind, Principal};

    fn alice() -> Caller {
        let proof = Proof { generation: 3, ..Proof::default() };
        Caller { principal: Principal::new(Kind::Account, "alice"), proof, until: None }
    }

    #[test]
    fn a_token_is_good_for_its_kind_host_and_key_only() {
        let tokens = Tokens::new(b"key");
        let scopes = vec![Scope::parse("repository:a:pull").unwrap()];
        let access = tokens.access(&alice(), "host:1", scopes.clone()).token;
        let refresh = tokens.refresh(&alice(), "host:1");
        let bearer = Bearer { name: "alice".into(), proof: alice().proof, until: None };
        assert_eq!(tokens.read_access(&access, "host:1"), Some((bearer.clone(), scopes)));
        assert_eq!(tokens.read_refresh(&refresh, "host:1"), Some(bearer));
        assert_eq!(tokens.read_refresh(&access, "host:1"), None);
        assert_eq!(tokens.read_access(&refresh, "host:1"), None);
        assert_eq!(tokens.read_access(&access, "host:2"), None);
        assert_eq!(Tokens::new(b"yek").read_access(&access, "host:1"), None);
        assert_eq!(tokens.read_access("", "host:1"), None);
    }

    #[test]
    fn no_token_outlives_the_secret_behind_it() {
        let tokens = Tokens::new(b"key");
        let now = OffsetDateTime::now_utc();
        let ends_in = |secs: i64| {
            let until = Some(now + time::Duration::seconds(secs));
            tokens.access(&Caller { until, ..alice() }, "h", vec![])
        };
        let short = ends_in(100);
        assert!((90..=100).contains(&short.expires_in), "{}", short.expires_in);
        let (bearer, _) = tokens.read_access(&short.token, "h").unwrap();
        assert_eq!(bearer.until.unwrap().unix_timestamp(), now.unix_timestamp() + 100);
        assert_eq!(ends_in(1_000_000).expires_in, ACCESS_TOKEN_SECS);
        assert_eq!(tokens.read_access(&ends_in(-60).token, "h"), None);
    }

    #[test]
    fn an_old_token_and_an_unsigned_one_are_refused() {
        let tokens = Tokens::new(b"key");
        let past = OffsetDateTime::now_utc() - time::Duration::hours(4);
        let old = Claims {
            access: Some(vec![]),
            ..claims(&alice(), "h", ACCESS, past, ACCESS_TOKEN_SECS)
        };
        assert_eq!(tokens.read_access(&tokens.sign(&old), "h"), None);
        let access = tokens.access(&alice(), "h", vec![]).token;
        let payload = access.split('.').nth(1).unwrap();
        // {"alg":"none","typ":"JWT"}
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
        assert_eq!(tokens.read_access(&unsigned, "h"), None);
    }
}
