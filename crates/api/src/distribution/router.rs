//! All routes of the distribution API.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};

use oci::RepositoryName;

use super::auth::service;
use super::error::OciError;
use super::path::Target;
use super::request::{self, Call, Origin, text};
use super::{DistributionState, blobs, leftover, manifests, referrers, tags, uploads};

/// Which registry a client means that uses this one as a mirror.
const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// Routes `/v2`, `/token` and `/oauth2`. Repository names contain slashes, so
/// everything below `/v2/` is one route, and [`Target`] tells what it means.
pub fn router(state: DistributionState) -> Router {
    Router::new()
        .route("/v2", any(dispatch))
        .route("/v2/", any(dispatch))
        .route("/v2/{*path}", any(dispatch))
        .route("/token", any(service::token))
        .route("/oauth2/token", any(service::token))
        .route("/oauth2/exchange", any(service::exchange))
        .with_state(state)
}

async fn dispatch(State(state): State<DistributionState>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let origin = Origin::of(&parts, state.plain_http);
    let absolute = state.absolute_locations;
    let (body, leftover) = leftover::lend(&parts, body);
    let mut response = match answer(state, &origin, parts, body).await {
        Ok(response) => response,
        Err(error) => refused(error, &origin),
    };
    leftover.drop_it();
    if absolute {
        make_location_absolute(&mut response, &origin);
    }
    response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    response
}

async fn answer(
    state: DistributionState,
    origin: &Origin,
    parts: http::request::Parts,
    body: Body,
) -> Result<Response, OciError> {
    let authorization = text(&parts.headers, &header::AUTHORIZATION);
    let principal =
        state.auth.recognise(authorization, &origin.host, service::address(&parts)).await?;
    let target = Target::parse(parts.uri.path())?;
    let target = namespaced(&state, &parts, target);
    let info = Arc::new(request::info(&parts, origin));
    let call = Call { state, parts, principal, info };
    match target {
        Target::Base => base(&call),
        Target::Catalog => tags::catalog(call).await,
        Target::Tags(name) => tags::tags(call, name).await,
        Target::Manifest(name, reference) => manifests::manifest(call, name, reference, body).await,
        Target::Blob(name, digest) => blobs::blob(call, name, digest).await,
        Target::Uploads(name) => uploads::begin(call, name, body).await,
        Target::Upload(name, id) => uploads::upload(call, name, id, body).await,
        Target::Referrers(name, digest) => referrers::referrers(call, name, digest).await,
    }
}

/// Clients that use this server as a mirror name the registry that they mean in
/// `ns` or `OCI-Namespace`, and its repository instead of the one here.
fn namespaced(state: &DistributionState, parts: &http::request::Parts, target: Target) -> Target {
    let query = parts.uri.query().unwrap_or_default();
    let in_query = form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == "ns")
        .map(|(_, value)| value.into_owned());
    let named = in_query.or_else(|| text(&parts.headers, &NAMESPACE).map(str::to_owned));
    let Some(host) = named.filter(|_| matches!(parts.method, Method::GET | Method::HEAD)) else {
        return target;
    };
    let here = |name: RepositoryName| match state.cache.source(&name) {
        // Named as it is called here.
        Some(_) => name,
        None => state.cache.translate(&host, &name).unwrap_or(name),
    };
    match target {
        Target::Manifest(name, reference) => Target::Manifest(here(name), reference),
        Target::Blob(name, digest) => Target::Blob(here(name), digest),
        Target::Tags(name) => Target::Tags(here(name)),
        Target::Referrers(name, digest) => Target::Referrers(here(name), digest),
        other => other,
    }
}

/// Some old clients do not resolve a relative `Location`. The others are better
/// off with one, since it survives whatever stands between them and us.
fn make_location_absolute(response: &mut Response, origin: &Origin) {
    let Some(location) = response.headers_mut().get_mut(header::LOCATION) else { return };
    let Ok(path) = location.to_str() else { return };
    if path.starts_with('/')
        && let Ok(whole) =
            HeaderValue::try_from(format!("{}://{}{path}", origin.scheme, origin.host))
    {
        *location = whole;
    }
}

/// Asks everybody to sign in: a client that is let in here never sends its
/// credentials afterwards.
fn base(call: &Call) -> Result<Response, OciError> {
    if !matches!(call.parts.method, Method::GET | Method::HEAD) {
        return Err(OciError::method("GET, HEAD"));
    }
    // Somebody with an anonymous token that can do something was asked already.
    let asked = call.header(&header::AUTHORIZATION).is_some() && call.principal.has_grants();
    if call.principal.is_anonymous() && !asked {
        return Err(OciError::unauthorized("authentication required", None));
    }
    Ok((StatusCode::OK, axum::Json(serde_json::json!({}))).into_response())
}

/// An error, with a challenge where credentials would help. No blanks after
/// the commas: `az` splits the header at blanks.
pub(crate) fn refused(error: OciError, origin: &Origin) -> Response {
    let challenge = error.wanted.as_ref().map(|wanted| {
        let Origin { scheme, host } = origin;
        let mut challenge =
            format!("Bearer realm=\"{scheme}://{host}/oauth2/token\",service=\"{host}\"");
        if let Some(scope) = &wanted.scope {
            challenge.push_str(&format!(",scope=\"{scope}\""));
        }
        if wanted.insufficient {
            challenge.push_str(",error=\"insufficient_scope\"");
        }
        challenge
    });
    let mut response = error.into_response();
    let value = challenge.and_then(|challenge| HeaderValue::try_from(challenge).ok());
    response.headers_mut().extend(value.map(|value| (header::WWW_AUTHENTICATE, value)));
    response
}
