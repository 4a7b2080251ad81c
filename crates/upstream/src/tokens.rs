//! Answers to challenges, and the tokens that came of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use registry::upstream::{Credentials, Remote, UpstreamError};
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Url};
use serde::Deserialize;

use crate::body::{self, DOCUMENT_BYTES_MAX};
use crate::challenge::Challenge;
use crate::guard::Guard;

/// Tokens that are remembered; beyond, all are asked for anew.
const TOKENS_MAX: usize = 1024;
/// Life of a token that does not say how long it lives (Distribution, "Token
/// Authentication").
const LIFE_DEFAULT: Duration = Duration::from_secs(60);
/// A token this close to its end is not used any more.
const LIFE_MARGIN: Duration = Duration::from_secs(5);
/// What Azure's registries call somebody who signs in with a token alone.
const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

type Key = (String, String, Option<Credentials>);

struct Token {
    /// Value of `Authorization`.
    authorization: String,
    until: Option<Instant>,
}

/// Remembers what opened which door.
#[derive(Default)]
pub struct Tokens {
    known: Mutex<HashMap<Key, Token>>,
}

fn key(remote: &Remote) -> Key {
    (remote.host.clone(), remote.repository.to_string(), remote.credentials.clone())
}

impl Tokens {
    /// What opened this door the last time and may still do so.
    pub fn known(&self, remote: &Remote) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let token = known.get(&key(remote))?;
        let fresh = token.until.is_none_or(|until| Instant::now() + LIFE_MARGIN < until);
        fresh.then(|| token.authorization.clone())
    }

    /// Answers a challenge.
    pub async fn answer(
        &self,
        client: &Client,
        guard: &Guard,
        remote: &Remote,
        challenge: &Challenge,
        secure: bool,
    ) -> Result<String, UpstreamError> {
        let token = match challenge {
            Challenge::Basic => {
                let credentials =
                    remote.credentials.as_ref().ok_or_else(|| UpstreamError::Refused {
                        host: remote.host.clone(),
                        what: remote.repository.to_string(),
                        words: "it asks for a user name and a password, and none were given".into(),
                    })?;
                Token { authorization: basic(credentials), until: None }
            }
            Challenge::Bearer { realm, service, scope } => {
                let malformed = |why: String| UpstreamError::Malformed {
                    host: remote.host.clone(),
                    expected: "a token realm",
                    why,
                };
                let url = Url::parse(realm).map_err(|error| malformed(error.to_string()))?;
                if secure && url.scheme() != "https" || !matches!(url.scheme(), "http" | "https") {
                    return Err(malformed(format!(
                        "{:?} is not safe to send a login to",
                        url.scheme()
                    )));
                }
                guard.check_url(&url).map_err(|why| UpstreamError::Forbidden {
                    host: remote.host.clone(),
                    why: format!("its token service: {why}"),
                })?;
                let scope = scope
                    .clone()
                    .unwrap_or_else(|| format!("repository:{}:pull", remote.repository));
                fetch(client, remote, url, service.as_deref(), &scope).await?
            }
        };
        let authorization = token.authorization.clone();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TOKENS_MAX {
            known.clear();
        }
        known.insert(key(remote), token);
        Ok(authorization)
    }
}

fn basic(credentials: &Credentials) -> String {
    let user = credentials.username.as_deref().unwrap_or(TOKEN_USER);
    format!("Basic {}", STANDARD.encode(format!("{user}:{}", credentials.password)))
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

async fn fetch(
    client: &Client,
    remote: &Remote,
    realm: Url,
    service: Option<&str>,
    scope: &str,
) -> Result<Token, UpstreamError> {
    let began = Instant::now();
    // A token without a name may be a refresh token (OAuth2, as Azure's and
    // Docker's registries speak it); a service that does not take it as one
    // gets it as a password.
    if let Some(Credentials { username: None, password }) = &remote.credentials {
        let form = [
            ("grant_type", "refresh_token"),
            ("service", service.unwrap_or_default()),
            ("scope", scope),
            ("client_id", "lazaret"),
            ("refresh_token", password),
        ];
        let answer = client.post(realm.clone()).form(&form).send().await;
        let answer = answer.map_err(|error| body::unreachable(&remote.host, &error))?;
        if answer.status().is_success() {
            return read(remote, answer, began).await;
        }
    }
    let mut url = realm;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("scope", scope);
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        if let Some(Credentials { username: Some(username), .. }) = &remote.credentials {
            query.append_pair("account", username);
        }
    }
    let mut request = client.get(url);
    if let Some(credentials) = &remote.credentials {
        request = request.header(AUTHORIZATION, basic(credentials));
    }
    let answer = request.send().await.map_err(|error| body::unreachable(&remote.host, &error))?;
    read(remote, answer, began).await
}

async fn read(
    remote: &Remote,
    answer: reqwest::Response,
    began: Instant,
) -> Result<Token, UpstreamError> {
    let what = format!("a token for {}", remote.repository);
    if !answer.status().is_success() {
        return Err(body::failure(&remote.host, &what, answer).await);
    }
    let bytes = body::small(&remote.host, &what, answer, DOCUMENT_BYTES_MAX).await?;
    let malformed = |why: String| UpstreamError::Malformed {
        host: remote.host.clone(),
        expected: "a token",
        why,
    };
    let answer: Answer =
        serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    let token = answer.token.filter(|t| !t.is_empty()).or(answer.access_token);
    let token = token.ok_or_else(|| malformed("there is none in the answer".into()))?;
    let life = answer.expires_in.map_or(LIFE_DEFAULT, Duration::from_secs);
    Ok(Token { authorization: format!("Bearer {token}"), until: began.checked_add(life) })
}
