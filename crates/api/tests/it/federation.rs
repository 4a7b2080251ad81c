//! Identity tokens of other issuers: who gets in by them, and who does not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use access::{Role, RoleScope};
use api::distribution::auth::federation::{Federation, Issuer, KeyFetcher, KeySource, Rule};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::app::{Answer, TestApp, registry_scope};
use crate::auth::form;

const ISSUER: &str = "https://issuer.example/tenant";

/// One key pair of an issuer.
struct Key {
    id: &'static str,
    algorithm: Algorithm,
    private: EncodingKey,
    public: Value,
}

impl Key {
    fn rsa(id: &'static str) -> Self {
        let pair =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
        // PKCS #1, as it lies in PKCS #8 behind a head that is this long for 2048 bits.
        let private = EncodingKey::from_rsa_der(&pair.unwrap().serialize_der()[26..]);
        Self::new(id, Algorithm::RS256, private)
    }

    fn ec(id: &'static str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let private = EncodingKey::from_ec_der(&pair.serialize_der());
        Self::new(id, Algorithm::ES256, private)
    }

    fn new(id: &'static str, algorithm: Algorithm, private: EncodingKey) -> Self {
        let jwk = Jwk::from_encoding_key(&private, algorithm).unwrap();
        let mut public = serde_json::to_value(jwk).unwrap();
        public["kid"] = id.into();
        Self { id, algorithm, private, public }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.into()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.private).unwrap()
    }
}

/// An issuer's documents, and how often they were asked for.
#[derive(Default)]
struct Documents {
    files: Mutex<HashMap<String, String>>,
    asked: Mutex<Vec<String>>,
}

impl Documents {
    fn publish(&self, keys: &[&Key]) {
        let keys: Vec<_> = keys.iter().map(|key| key.public.clone()).collect();
        // A key of a kind that nobody knows yet must not spoil the others.
        let keys = [vec![json!({"kty": "future", "kid": "f"})], keys].concat();
        let discovery = json!({ "issuer": ISSUER, "jwks_uri": "https://issuer.example/keys" });
        let mut files = self.files.lock().unwrap();
        files.insert(format!("{ISSUER}/.well-known/openid-configuration"), discovery.to_string());
        files.insert("https://issuer.example/keys".into(), json!({ "keys": keys }).to_string());
    }
}

#[async_trait]
impl KeyFetcher for Documents {
    async fn fetch(&self, address: &str) -> Result<Bytes, String> {
        self.asked.lock().unwrap().push(address.to_owned());
        let files = self.files.lock().unwrap();
        files.get(address).cloned().map(Bytes::from).ok_or_else(|| format!("{address}: 404"))
    }
}

fn federation(keys: KeySource, audiences: &[&str]) -> Federation {
    let rule = |pattern: &str, role, scope: &str| {
        let scope = RoleScope::parse(scope, &registry_scope()).unwrap();
        Rule::new(vec![("sub".into(), pattern.into())], role, scope).unwrap()
    };
    Federation::new(vec![Issuer {
        name: "ci".into(),
        issuer: ISSUER.into(),
        audiences: audiences.iter().map(|a| (*a).to_owned()).collect(),
        rules: vec![
            rule("repo:acme/*", Role::AcrPush, "repositories/acme"),
            rule("repo:*", Role::AcrPull, "repositories/public"),
        ],
        keys,
    }])
}

/// Claims that are good, with some of them changed; null takes one away.
fn claims(changes: Value) -> Value {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let mut claims = json!({
        "iss": ISSUER, "aud": "https://containerregistry.azure.net", "sub": "repo:acme/web",
        "exp": now + 300, "nbf": now, "iat": now,
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

async fn exchange(app: &TestApp, token: &str) -> Answer {
    let body = format!("grant_type=access_token&service=x&tenant=t&access_token={token}");
    form(app, "/oauth2/exchange?api-version=2021-07-01", &body).await
}

#[track_caller]
fn refused(answer: Answer, reason: &str) {
    let answer = answer.refused(401, "UNAUTHORIZED");
    let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains(reason), "{message} does not say {reason:?}");
}

#[tokio::test]
async fn a_trusted_token_becomes_a_refresh_token_with_roles() {
    let (rsa, ec) = (Key::rsa("r"), Key::ec("e"));
    let documents = Arc::new(Documents::default());
    documents.publish(&[&rsa, &ec]);
    let source = KeySource::Discovery(documents.clone());
    let app = TestApp::trusting(federation(source, &[])).await;
    for key in [&rsa, &ec] {
        let answer = exchange(&app, &key.sign(&claims(json!({})))).await.expect(StatusCode::OK);
        let refresh = answer.json()["refresh_token"].as_str().unwrap().to_owned();
        let body = format!(
            "grant_type=refresh_token&service=x&refresh_token={refresh}\
             &scope=repository:acme/web:pull,push,delete&scope=repository:public/x:*&scope=repository:other:pull"
        );
        let answer = form(&app, "/oauth2/token", &body).await.expect(StatusCode::OK).json();
        let token = crate::auth::claims(&answer["access_token"]);
        assert_eq!(token["sub"], "ci:repo:acme/web");
        assert_eq!(token["access"][0]["actions"], json!(["pull", "push"]));
        assert_eq!(token["access"][1]["actions"], json!(["pull", "metadata_read"]));
        assert_eq!(token["access"][2]["actions"], json!([]));
        let bearer = format!("Bearer {}", answer["access_token"].as_str().unwrap());
        let begin = app.anonymous(Method::POST, "/v2/acme/web/blobs/uploads/");
        begin.header("authorization", &bearer).send().await.expect(StatusCode::ACCEPTED);
        let other = app.anonymous(Method::GET, "/v2/other/tags/list");
        other.header("authorization", &bearer).send().await.refused(403, "DENIED");
    }
    let asked = documents.asked.lock().unwrap().len();
    assert_eq!(asked, 2, "discovery and keys, once for both tokens");
}

#[tokio::test]
async fn whatever_is_not_right_is_refused_with_the_reason() {
    let (rsa, ec, stranger) = (Key::rsa("r"), Key::ec("e"), Key::rsa("r"));
    let documents = Arc::new(Documents::default());
    documents.publish(&[&rsa, &ec]);
    let app = TestApp::trusting(federation(KeySource::Discovery(documents.clone()), &[])).await;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let cases = [
        (json!({ "aud": "https://elsewhere.example" }), "another audience"),
        (json!({ "aud": null }), "no claim \"aud\""),
        (json!({ "exp": now - 120 }), "expired"),
        (json!({ "exp": null }), "no claim \"exp\""),
        (json!({ "nbf": now + 120 }), "not valid yet"),
        (json!({ "sub": null }), "no claim \"sub\""),
        (json!({ "sub": "" }), "subject"),
        (json!({ "sub": "x".repeat(300) }), "subject"),
        (json!({ "sub": "user:eve" }), "no rule"),
        (json!({ "iss": "https://issuer.example" }), "not one that this registry trusts"),
        (json!({ "iss": null }), "not a JSON Web Token"),
    ];
    for (changes, reason) in cases {
        refused(exchange(&app, &rsa.sign(&claims(changes))).await, reason);
    }
    refused(exchange(&app, &stranger.sign(&claims(json!({})))).await, "signature is wrong");
    let unknown = Key { id: "n", ..Key::ec("n") };
    refused(exchange(&app, &unknown.sign(&claims(json!({})))).await, "no key \"n\"");
    refused(exchange(&app, "x.y.z").await, "not a JSON Web Token");
    refused(exchange(&app, "").await, "not a JSON Web Token");
    let long = format!("a.{}.b", "x".repeat(20 << 10));
    refused(exchange(&app, &long).await, "not a JSON Web Token");
    exchange(&app, &rsa.sign(&claims(json!({})))).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_key_decides_the_algorithm() {
    let (rsa, ec) = (Key::rsa("r"), Key::ec("e"));
    let documents = Arc::new(Documents::default());
    documents.publish(&[&rsa, &ec]);
    let app = TestApp::trusting(federation(KeySource::Discovery(documents), &[])).await;
    // The published key as the secret of an HMAC.
    let public = EncodingKey::from_secret(rsa.public["n"].as_str().unwrap().as_bytes());
    let header = Header { kid: Some("r".into()), ..Header::new(Algorithm::HS256) };
    let hmac = encode(&header, &claims(json!({})), &public).unwrap();
    refused(exchange(&app, &hmac).await, "algorithm HS256");
    // A signature of the one key under the name of the other.
    let swapped = Key { id: "e", ..Key::rsa("e") };
    refused(exchange(&app, &swapped.sign(&claims(json!({})))).await, "algorithm RS256");
    let weaker = Key { algorithm: Algorithm::RS512, ..Key::rsa("r") };
    refused(exchange(&app, &weaker.sign(&claims(json!({})))).await, "algorithm RS512");
    let good = rsa.sign(&claims(json!({})));
    let payload = good.split('.').nth(1).unwrap();
    // {"alg":"none","kid":"r"}
    let unsigned = format!("eyJhbGciOiJub25lIiwia2lkIjoiciJ9.{payload}.");
    refused(exchange(&app, &unsigned).await, "not a JSON Web Token");
}

#[tokio::test]
async fn audiences_and_keys_can_be_given() {
    let key = Key::ec("e");
    let keys = KeySource::Fixed(json!({ "keys": [key.public] }).to_string().into());
    let app = TestApp::trusting(federation(keys, &["my-registry"])).await;
    let with = |aud: Value| key.sign(&claims(json!({ "aud": aud })));
    exchange(&app, &with(json!("my-registry"))).await.expect(StatusCode::OK);
    exchange(&app, &with(json!(["x", "my-registry"]))).await.expect(StatusCode::OK);
    let azure = with(json!("https://containerregistry.azure.net"));
    refused(exchange(&app, &azure).await, "another audience");
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_lets_nobody_in() {
    let key = Key::ec("e");
    let documents = Arc::new(Documents::default());
    let app = TestApp::trusting(federation(KeySource::Discovery(documents.clone()), &[])).await;
    for _ in 0..3 {
        refused(exchange(&app, &key.sign(&claims(json!({})))).await, "404");
    }
    assert_eq!(documents.asked.lock().unwrap().len(), 1, "it is not asked for every token");
}
