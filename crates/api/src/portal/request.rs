//! One request, taken apart: who asks, for what, on which page.

use std::net::{IpAddr, SocketAddr};

use access::{Configuration, Findings, Principal, authorise_registry};
use axum::extract::{ConnectInfo, FromRequestParts, Query};
use http::header;
use http::request::Parts;
use oci::{Digest, RepositoryName};
use serde::de::DeserializeOwned;

use super::PortalState;
use super::error::{ApiError, Kind};
use super::session;
use super::types::{PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, Page, REPOSITORY_SLASH};
use crate::distribution::request::Origin;

/// Longest free text that is looked for, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// Host and scheme as the client sees them.
pub(super) fn origin(parts: &Parts, state: &PortalState) -> Origin {
    Origin::of(parts, state.plain_http)
}

/// Where the caller stands.
pub(super) fn address(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}

/// Somebody who is signed in, by session, password or token.
pub(super) struct SignedIn {
    pub principal: Principal,
    /// Host and port as the caller wrote them.
    pub host: String,
}

/// Somebody who may read what the registry holds.
pub(super) struct Reader {
    /// Host and port as the caller wrote them.
    pub host: String,
}

/// Somebody who may change how the registry is set up.
pub(super) struct Manager;

async fn recognise(parts: &Parts, state: &PortalState, renew: bool) -> Result<Principal, ApiError> {
    let authorization = parts.headers.get(header::AUTHORIZATION).map(|value| value.to_str());
    let principal = match authorization {
        Some(Ok(authorization)) => {
            let host = origin(parts, state).host;
            Some(state.auth.recognise(Some(authorization), &host, address(parts)).await?)
        }
        Some(Err(_)) => None,
        None => session::principal(state, parts, renew).await?,
    };
    principal.filter(|principal| !principal.is_anonymous()).ok_or_else(|| {
        let detail = "Sign in by POST /api/v1/session, or send an account's name and password (Basic) or a token (Bearer).";
        ApiError::new(Kind::Unauthorized, detail)
    })
}

fn permit(principal: &Principal) -> Result<(), ApiError> {
    let denied = |_| {
        let detail = "Reading this needs the role Reader or Security Reader on the registry; a token needs the scope registry:catalog:*.";
        ApiError::new(Kind::Forbidden, detail)
    };
    authorise_registry::<Findings>(principal).map(drop).map_err(denied)
}

impl FromRequestParts<PortalState> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &PortalState) -> Result<Self, ApiError> {
        let principal = recognise(parts, state, true).await?;
        Ok(Self { principal, host: origin(parts, state).host })
    }
}

impl FromRequestParts<PortalState> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &PortalState) -> Result<Self, ApiError> {
        permit(&recognise(parts, state, true).await?)?;
        Ok(Self { host: origin(parts, state).host })
    }
}

impl FromRequestParts<PortalState> for Manager {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &PortalState) -> Result<Self, ApiError> {
        let principal = recognise(parts, state, true).await?;
        authorise_registry::<Configuration>(&principal).map_err(|_| {
            let detail = "This needs the role Contributor on the registry.";
            ApiError::new(Kind::Forbidden, detail)
        })?;
        Ok(Self)
    }
}

/// Whether the caller may still look on; never renews a session.
pub(super) async fn may_look_on(parts: &Parts, state: &PortalState) -> Result<(), ApiError> {
    permit(&recognise(parts, state, false).await?)
}

/// The query, read into a type.
pub(super) struct Params<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<PortalState> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &PortalState) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(ApiError::new(Kind::BadRequest, rejection.body_text())),
        }
    }
}

/// Window of a list: first row, number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub offset: u64,
    pub limit: u32,
}

impl Window {
    pub fn new(offset: Option<u64>, limit: Option<u32>) -> Self {
        let limit = limit.unwrap_or(PAGE_LIMIT_DEFAULT).min(PAGE_LIMIT_MAX);
        Self { offset: offset.unwrap_or(0), limit }
    }

    /// The part of some rows that is in the window.
    pub fn of<T>(self, rows: Vec<T>) -> Page<T> {
        let total = rows.len() as u64;
        let skip = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let items = rows.into_iter().skip(skip).take(self.limit as usize).collect();
        Page { total, offset: self.offset, items }
    }
}

/// Free text to look for, lower case; `None` where there is none.
pub(super) fn text(q: Option<&str>) -> Result<Option<String>, ApiError> {
    let q = q.map(str::trim).filter(|q| !q.is_empty());
    if q.is_some_and(|q| q.len() > TEXT_BYTES_MAX) {
        let detail = format!("q is longer than the {TEXT_BYTES_MAX} bytes that are looked for.");
        return Err(ApiError::new(Kind::BadRequest, detail));
    }
    Ok(q.map(str::to_lowercase))
}

/// Refuses a registry that is not ours.
pub(super) fn registry(state: &PortalState, name: &str) -> Result<(), ApiError> {
    if *name == *state.registry_name {
        return Ok(());
    }
    Err(ApiError::not_found(format_args!("registry {name:?}"), "/registries"))
}

/// Reads a repository as paths write it. `None`: no repository can have it.
pub(super) fn repository_name(text: &str) -> Option<RepositoryName> {
    RepositoryName::parse(&text.replace(REPOSITORY_SLASH, "/")).ok()
}

/// The address of a repository in this API.
pub(super) fn repository_path(state: &PortalState, repository: &RepositoryName) -> String {
    let name = repository.as_str().replace('/', &REPOSITORY_SLASH.to_string());
    format!("/registries/{}/repositories/{name}", state.registry_name)
}

/// Says that an image is not there, and what is.
pub(super) async fn image_not_found(
    state: &PortalState,
    repository: &str,
    digest: &str,
) -> ApiError {
    let registry = format!("/registries/{}", state.registry_name);
    let parent = match repository_name(repository) {
        Some(name) => match state.inspections.catalog.repository_summary(&name).await {
            Ok(Some(_)) => repository_path(state, &name),
            Ok(None) => registry,
            Err(error) => return error.into(),
        },
        None => registry,
    };
    ApiError::not_found(format_args!("image {digest:?} of repository {repository:?}"), parent)
}

/// Repository and digest of a path; `Err` is the 404.
pub(super) async fn image_path(
    state: &PortalState,
    registry_name: &str,
    repository: &str,
    digest: &str,
) -> Result<(RepositoryName, Digest), ApiError> {
    registry(state, registry_name)?;
    match (repository_name(repository), Digest::parse(digest)) {
        (Some(name), Ok(digest)) => Ok((name, digest)),
        _ => Err(image_not_found(state, repository, digest).await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(offset: Option<u64>, limit: Option<u32>, expected: &[u32]) {
        let page = Window::new(offset, limit).of((0..300).collect());
        assert_eq!((page.total, page.items.as_slice()), (300, expected));
    }

    #[test]
    fn windows_are_cut_to_the_limits() {
        check(None, None, &(0..50).collect::<Vec<_>>());
        check(Some(299), Some(5), &[299]);
        check(Some(u64::MAX), Some(5), &[]);
        check(Some(10), Some(0), &[]);
        check(None, Some(u32::MAX), &(0..200).collect::<Vec<_>>());
    }
}
