//! The token service: `/oauth2/token` (also as `/token`) and
//! `/oauth2/exchange` (Distribution, "Token Authentication"; Azure's AAD-OAuth).

use std::net::{IpAddr, SocketAddr};

use access::Scope;
use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{AuthError, Caller};
use crate::distribution::DistributionState;
use crate::distribution::error::{Code, OciError};
use crate::distribution::request::{Origin, text};

/// Largest form; the largest member is a token.
const FORM_BYTES_MAX: usize = 64 << 10;
/// Most scopes in one request.
const SCOPES_MAX: usize = 100;

/// Name and value pairs of a query or form, in order.
struct Form(Vec<(String, String)>);

impl Form {
    fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    fn value(&self, name: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(key, value)| key == name && !value.is_empty());
        pair.map(|(_, value)| value.as_str())
    }

    /// Repeated parameters, each possibly several separated by blanks.
    fn scopes(&self) -> Vec<Scope> {
        let values = self.0.iter().filter(|(key, _)| key == "scope");
        let scopes = values.flat_map(|(_, value)| value.split(' ')).filter_map(Scope::parse);
        scopes.take(SCOPES_MAX).collect()
    }
}

pub(crate) fn address(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}

/// `GET` with Basic credentials, or `POST` of a form.
pub(in crate::distribution) async fn token(
    State(state): State<DistributionState>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let answer = match parts.method {
        Method::GET | Method::HEAD => token_by_query(&state, &parts).await,
        Method::POST => token_by_form(&state, &parts, body).await,
        _ => Err(OciError::method("GET, HEAD, POST")),
    };
    answered(answer)
}

/// `POST` of an identity token, answered with a refresh token.
pub(in crate::distribution) async fn exchange(
    State(state): State<DistributionState>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let answer = match parts.method {
        Method::POST => exchanged(&state, &parts, body).await,
        _ => Err(OciError::method("POST")),
    };
    answered(answer)
}

fn answered(answer: Result<Value, OciError>) -> Response {
    let mut response =
        answer.map(|body| Json(body).into_response()).unwrap_or_else(IntoResponse::into_response);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn token_by_query(state: &DistributionState, parts: &Parts) -> Result<Value, OciError> {
    let service = Origin::of(parts, state.plain_http).host;
    let form = Form::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let authorization = text(&parts.headers, &header::AUTHORIZATION);
    let caller = state.auth.caller(authorization, &service, address(parts)).await?;
    let offline = form.value("offline_token") == Some("true");
    Ok(answer(state, &caller, &service, &form, offline))
}

async fn token_by_form(
    state: &DistributionState,
    parts: &Parts,
    body: Body,
) -> Result<Value, OciError> {
    let service = Origin::of(parts, state.plain_http).host;
    let form = read_form(body).await?;
    let caller = match form.value("grant_type") {
        Some("refresh_token") => {
            state.auth.redeem(form.value("refresh_token").unwrap_or_default(), &service).await?
        }
        Some("password") | None => match (form.value("username"), form.value("password")) {
            (Some(name), password) => {
                state
                    .auth
                    .password(name, password.unwrap_or_default(), &service, address(parts))
                    .await?
            }
            (None, None) => match text(&parts.headers, &header::AUTHORIZATION) {
                // Some clients post the form and sign in by header.
                Some(header) => state.auth.caller(Some(header), &service, address(parts)).await?,
                None => state.auth.anonymous().await?,
            },
            (None, Some(_)) => return Err(AuthError::Refused.into()),
        },
        Some(other) => return Err(unsupported_grant(other)),
    };
    let offline =
        form.value("access_type") == Some("offline") || form.value("offline_token") == Some("true");
    Ok(answer(state, &caller, &service, &form, offline))
}

async fn exchanged(
    state: &DistributionState,
    parts: &Parts,
    body: Body,
) -> Result<Value, OciError> {
    let service = Origin::of(parts, state.plain_http).host;
    let form = read_form(body).await?;
    let token = match form.value("grant_type") {
        Some("access_token") => form.value("access_token"),
        // Deprecated, and still sent.
        Some("refresh_token" | "access_token_refresh_token") => {
            form.value("refresh_token").or_else(|| form.value("access_token"))
        }
        other => return Err(unsupported_grant(other.unwrap_or_default())),
    };
    let caller = state.auth.exchange(token.unwrap_or_default(), &service).await?;
    Ok(json!({ "refresh_token": state.auth.refresh_token(&caller, &service) }))
}

/// Grants the allowed part of what was asked, possibly nothing: the operation
/// itself is what fails then, with its own words.
fn answer(
    state: &DistributionState,
    caller: &Caller,
    service: &str,
    form: &Form,
    offline: bool,
) -> Value {
    let grant = state.auth.access_token(caller, service, &form.scopes());
    let mut body = json!({
        "token": grant.token,
        "access_token": grant.token,
        "expires_in": grant.expires_in,
        "issued_at": grant.issued_at.format(&Rfc3339).unwrap_or_default(),
    });
    if offline && !caller.principal.is_anonymous() {
        body["refresh_token"] = state.auth.refresh_token(caller, service).into();
    }
    body
}

fn unsupported_grant(grant_type: &str) -> OciError {
    let grant_type: String = grant_type.chars().take(40).collect();
    OciError::new(Code::Unsupported, format!("grant type {grant_type:?} is not supported"))
        .status(http::StatusCode::BAD_REQUEST)
}

async fn read_form(body: Body) -> Result<Form, OciError> {
    let bytes = Limited::new(body, FORM_BYTES_MAX).collect().await;
    let bytes = bytes
        .map_err(|_| OciError::new(Code::SizeInvalid, "the form cannot be read or is too large"))?;
    Ok(Form::parse(&bytes.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: &str, expected: &[&str]) {
        let scopes: Vec<_> =
            Form::parse(form.as_bytes()).scopes().iter().map(ToString::to_string).collect();
        assert_eq!(scopes, expected, "{form}");
    }

    #[test]
    fn scopes_repeat_or_are_separated_by_blanks() {
        check(
            "scope=repository:a:pull&scope=repository:b:push",
            &["repository:a:pull", "repository:b:push"],
        );
        check(
            "scope=repository%3Aa%3Apull+registry:catalog:*",
            &["repository:a:pull", "registry:catalog:*"],
        );
        check("scope=&scope=nonsense&service=x", &[]);
    }
}
