//! One door for all of ARM's paths: axum's own matching minds case and double
//! slashes, ARM's does not.

use std::net::SocketAddr;

use access::{Findings, Principal, authorise_registry};
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use serde_json::Value;
use uuid::Uuid;

use super::error::ArmError;
use super::scope::{Scope, Target, parse};
use super::sub_assessments::{self, check_assessment, list_body};
use super::{AzureState, import};
use crate::distribution::request::Origin;

/// Made by the server for each request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
/// Sent by SDKs, and given back.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
/// The client's word for a chain of requests; ours is the request's own.
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-ms-correlation-request-id");

/// The Azure API: everything under `/subscriptions`, with one slash before it or two.
pub fn router(state: AzureState) -> Router {
    let mut router = Router::new();
    for path in [
        "/subscriptions",
        "/subscriptions/",
        "/subscriptions/{*rest}",
        "//subscriptions",
        "//subscriptions/{*rest}",
        "/Subscriptions",
        "/Subscriptions/{*rest}",
    ] {
        router = router.route(path, any(answer));
    }
    router.with_state(state)
}

async fn answer(State(state): State<AzureState>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let result = handle(&state, &parts, body).await;
    let mut response = result.unwrap_or_else(ArmError::into_response);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        headers.insert(REQUEST_ID, id.clone());
        headers.insert(CORRELATION_ID, id);
    }
    if let Some(id) = parts.headers.get(CLIENT_REQUEST_ID) {
        headers.insert(CLIENT_REQUEST_ID, id.clone());
    }
    response
}

async fn handle(state: &AzureState, parts: &Parts, body: Body) -> Result<Response, ArmError> {
    let origin = Origin::of(parts, state.plain_http);
    let principal = recognise(state, parts, &origin.host).await?;
    let resource = parse(parts.uri.path()).ok_or_else(|| {
        ArmError::not_found(
            "InvalidResourceType",
            "This server has no resource of that kind at that path.",
        )
    })?;
    check_api_version(query(parts, "api-version").as_deref())?;
    let is_import = matches!(resource, Target::ImportImage(_));
    let expected = if is_import {
        parts.method == Method::POST
    } else {
        matches!(parts.method, Method::GET | Method::HEAD)
    };
    if !expected {
        let message = format!("{} is not supported here.", parts.method);
        return Err(ArmError::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message));
    }
    match resource {
        Target::ImportImage(scope) => {
            state.check_scope(&scope)?;
            import::begin(state, &principal, &origin, body).await
        }
        Target::OperationResult(scope, id) => {
            state.check_scope(&scope)?;
            import::result(state, &principal, &origin, &id).await
        }
        Target::OperationStatus(scope, id) => {
            state.check_scope(&scope)?;
            Ok(Json(import::status(state, &principal, &id).await?).into_response())
        }
        resource => Ok(Json(read(state, &origin, parts, resource).await?).into_response()),
    }
}

/// A resource as it stands.
async fn read(
    state: &AzureState,
    origin: &Origin,
    parts: &Parts,
    resource: Target,
) -> Result<Value, ArmError> {
    let all = |rows| Ok(list_body(rows, None));
    match resource {
        Target::Subscriptions => all(vec![state.subscription()]),
        Target::ResourceGroups(subscription) => {
            state.check_subscription(&subscription)?;
            all(vec![state.resource_group()])
        }
        Target::Itself(scope) => {
            state.check_scope(&scope)?;
            Ok(match scope {
                Scope::Subscription(_) => state.subscription(),
                Scope::ResourceGroup(..) => state.resource_group(),
                Scope::Registry(..) => state.registry(&origin.host),
            })
        }
        Target::Resources(scope) | Target::Registries(scope) => {
            state.check_scope(&scope)?;
            all(vec![state.registry(&origin.host)])
        }
        Target::SubAssessments(scope, key) => {
            state.check_scope(&scope)?;
            key.as_deref().map_or(Ok(()), check_assessment)?;
            let token = query(parts, "$skiptoken");
            let page = sub_assessments::list(state, &origin.host, token.as_deref()).await?;
            let link = page.next.map(|token| next_link(origin, parts, &token));
            Ok(list_body(page.rows, link))
        }
        Target::SubAssessment(scope, key, name) => {
            state.check_scope(&scope)?;
            check_assessment(&key)?;
            sub_assessments::find(state, &origin.host, &name).await
        }
        Target::ImportImage(_) | Target::OperationStatus(..) | Target::OperationResult(..) => {
            Err(ArmError::not_found("InvalidResourceType", "An operation is no resource."))
        }
    }
}

async fn recognise(state: &AzureState, parts: &Parts, host: &str) -> Result<Principal, ArmError> {
    let authorization =
        parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let principal = state.auth.recognise(authorization, host, address).await?;
    if principal.is_anonymous() {
        return Err(ArmError::unauthenticated());
    }
    let denied = |_| {
        let message = format!(
            "'{}' does not have authorization to read here: it needs the role Reader or Security Reader on the registry, and a token needs the scope registry:catalog:*.",
            principal.name()
        );
        ArmError::new(StatusCode::FORBIDDEN, "AuthorizationFailed", message)
    };
    authorise_registry::<Findings>(&principal).map_err(denied)?;
    Ok(principal)
}

/// First value of a query parameter; ARM minds its case as little as a path's.
fn query(parts: &Parts, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.into_owned())
}

/// Clients of different years send different versions for the same resource,
/// so any version that is a date is taken.
fn check_api_version(version: Option<&str>) -> Result<(), ArmError> {
    let Some(version) = version.filter(|version| !version.is_empty()) else {
        let message =
            "The api-version query parameter (?api-version=) is required for all requests.";
        return Err(ArmError::bad_request("MissingApiVersionParameter", message));
    };
    if is_api_version(version) {
        return Ok(());
    }
    let message = "The api-version is not of the form YYYY-MM-DD or YYYY-MM-DD-preview.";
    Err(ArmError::bad_request("InvalidApiVersionParameter", message))
}

fn is_api_version(version: &str) -> bool {
    let lower = version.to_ascii_lowercase();
    let date = lower.strip_suffix("-preview").unwrap_or(&lower);
    let digits = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_digit())
    };
    matches!(date.split('-').collect::<Vec<_>>().as_slice(), [y, m, d] if digits(y, 4) && digits(m, 2) && digits(d, 2))
}

/// The same address with the token of the next page.
fn next_link(origin: &Origin, parts: &Parts, token: &str) -> String {
    let old = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let kept = old.filter(|(key, _)| !key.eq_ignore_ascii_case("$skiptoken"));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair("$skiptoken", token)
        .finish();
    let path = parts.uri.path().trim_start_matches('/');
    format!("{}://{}/{path}?{query}", origin.scheme, origin.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: &str, valid: bool) {
        assert_eq!(is_api_version(version), valid, "{version}");
    }

    #[test]
    fn any_dated_version_is_taken() {
        check("2019-01-01-preview", true);
        check("2020-01-01", true);
        check("2020-1-1", false);
        check("latest", false);
        check("2020-01-01-beta", false);
        check("2020-01-01-02", false);
    }
}
