//! Sessions: sign in, who am I, sign out.
//!
//! A session is a random word in an HttpOnly, SameSite=Strict cookie, known to
//! this process alone, so that a restart signs everybody out. Signing in takes
//! JSON, which no other site can send without asking first.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use access::{Kind as PrincipalKind, Principal};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use sha2::{Digest, Sha256};
use store::Account;

use super::PortalState;
use super::error::{ApiError, Kind};
use super::openapi::SESSION_COOKIE;
use super::request::{SignedIn, address, origin};
use super::types::{Session, SignIn, User};
use crate::distribution::auth;

/// A session that is not used ends after this time.
const IDLE_MAX: Duration = Duration::from_secs(8 * 3600);
/// A session ends after this time, used or not.
const AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Most sessions at once; the one that was not used for longest makes room.
const SESSIONS_MAX: usize = 10_000;
/// Random bytes in a session's word.
const WORD_BYTES: usize = 32;
/// Largest body of a sign-in.
const SIGN_IN_BYTES_MAX: usize = 16 << 10;

/// Who is signed in.
#[derive(Default)]
pub struct Sessions {
    /// By the hash of the word: a dump of memory opens no session.
    open: Mutex<HashMap<[u8; 32], OpenSession>>,
}

#[derive(Clone)]
struct OpenSession {
    account: String,
    /// Of the account: a new password ends the sessions of the old.
    generation: i64,
    opened: Instant,
    used: Instant,
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl Sessions {
    fn open(&self, account: &Account, now: Instant) -> Result<String, getrandom::Error> {
        let mut bytes = [0; WORD_BYTES];
        getrandom::fill(&mut bytes)?;
        let word = URL_SAFE_NO_PAD.encode(bytes);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| session.is_alive(now));
        if open.len() >= SESSIONS_MAX
            && let Some(oldest) = open.iter().min_by_key(|(_, s)| s.used).map(|(key, _)| *key)
        {
            open.remove(&oldest);
        }
        let session = OpenSession {
            account: account.name.clone(),
            generation: account.generation,
            opened: now,
            used: now,
        };
        open.insert(hash(&word), session);
        Ok(word)
    }

    fn find(&self, word: &str, renew: bool, now: Instant) -> Option<OpenSession> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let session = open.get_mut(&hash(word)).filter(|session| session.is_alive(now))?;
        if renew {
            session.used = now;
        }
        Some(session.clone())
    }

    fn close(&self, word: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(word));
    }
}

impl OpenSession {
    fn is_alive(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE_MAX && now.duration_since(self.opened) < AGE_MAX
    }
}

/// The word in the request's cookie.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == SESSION_COOKIE).map(|(_, word)| word)
}

/// Who the session of a request belongs to. `renew` is false for what runs in
/// the background. `None`: there is no session, or it has ended.
pub(super) async fn principal(
    state: &PortalState,
    parts: &Parts,
    renew: bool,
) -> Result<Option<Principal>, ApiError> {
    let found =
        cookie(&parts.headers).and_then(|word| state.sessions.find(word, renew, Instant::now()));
    let Some(session) = found else { return Ok(None) };
    let record = state.accounts.account(&session.account).await?;
    let record = record.filter(|r| r.account.enabled && r.account.generation == session.generation);
    Ok(record.map(|record| auth::principal(&record, state.auth.registry())))
}

fn user(principal: &Principal) -> User {
    let mut roles: Vec<_> = principal.roles().iter().map(|(role, _)| role.to_string()).collect();
    roles.sort_unstable();
    roles.dedup();
    User { name: principal.name().to_owned(), roles }
}

pub(super) async fn sign_in(
    State(state): State<PortalState>,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let content_type =
        parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type.map(oci::media_type::essence).as_deref() != Some("application/json") {
        let detail = "A sign-in is sent with Content-Type: application/json.";
        return Err(ApiError::new(Kind::UnsupportedMediaType, detail));
    }
    let bytes = Limited::new(body, SIGN_IN_BYTES_MAX).collect().await;
    let sign_in = bytes.ok().and_then(|b| serde_json::from_slice::<SignIn>(&b.to_bytes()).ok());
    let Some(sign_in) = sign_in else {
        let detail = r#"A sign-in is an object: {"username": "...", "password": "..."}."#;
        return Err(ApiError::new(Kind::BadRequest, detail));
    };
    let origin = origin(&parts, &state);
    let (name, password) = (&sign_in.username, &sign_in.password);
    let caller = state.auth.password(name, password, &origin.host, address(&parts)).await?;
    let principal = caller.principal;
    // The portal is for people. A token sent as a password, too, opens no session.
    let account = match state.accounts.account(principal.name()).await? {
        Some(r) if r.account.name == *name && r.account.kind == PrincipalKind::Account => r.account,
        _ => {
            return Err(ApiError::new(
                Kind::Unauthorized,
                "Sign in with an account's name and password.",
            ));
        }
    };
    let word = state.sessions.open(&account, Instant::now()).map_err(ApiError::internal)?;
    let mut response = Json(Session { user: user(&principal) }).into_response();
    set_cookie(&mut response, &word, AGE_MAX.as_secs(), origin.scheme == "https");
    Ok(response)
}

pub(super) async fn read_session(caller: SignedIn) -> Json<Session> {
    Json(Session { user: user(&caller.principal) })
}

pub(super) async fn sign_out(State(state): State<PortalState>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    if let Some(word) = cookie(&parts.headers) {
        state.sessions.close(word);
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, "", 0, origin(&parts, &state).scheme == "https");
    response
}

fn set_cookie(response: &mut Response, word: &str, max_age_secs: u64, secure: bool) {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!(
        "{SESSION_COOKIE}={word}; Path=/; Max-Age={max_age_secs}; HttpOnly; SameSite=Strict{secure}"
    );
    // Base64url and fixed words are always a legal header.
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            name: "admin".into(),
            kind: PrincipalKind::Account,
            display_name: "admin".into(),
            enabled: true,
            scope_map: None,
            generation: 1,
            created_at: time::OffsetDateTime::UNIX_EPOCH,
            last_used_at: None,
        }
    }

    fn check(used_after: Duration, renew: bool, then: Duration, alive: bool) {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let word = sessions.open(&account(), start).unwrap();
        assert!(sessions.find(&word, renew, start + used_after).is_some());
        assert_eq!(sessions.find(&word, true, start + used_after + then).is_some(), alive);
    }

    #[test]
    fn use_renews_and_background_does_not() {
        let hour = Duration::from_secs(3600);
        check(7 * hour, true, 7 * hour, true);
        check(7 * hour, false, 7 * hour, false);
        check(Duration::ZERO, true, 8 * hour, false);
        let (sessions, start) = (Sessions::default(), Instant::now());
        let word = sessions.open(&account(), start).unwrap();
        (1..24).for_each(|h| assert!(sessions.find(&word, true, start + h * hour).is_some()));
        assert!(sessions.find(&word, true, start + 24 * hour).is_none(), "no session is for ever");
    }

    #[test]
    fn closed_and_unknown_words_open_nothing() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let word = sessions.open(&account(), now).unwrap();
        sessions.close(&word);
        assert!(sessions.find(&word, true, now).is_none());
        assert!(sessions.find("", true, now).is_none());
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let headers = HeaderMap::from_iter([(
            header::COOKIE,
            HeaderValue::from_static("a=b; lazaret_session=word; lazaret_session2=x"),
        )]);
        assert_eq!(cookie(&headers), Some("word"));
    }
}
