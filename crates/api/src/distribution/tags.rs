//! `GET /v2/NAME/tags/list` and `GET /v2/_catalog`
//! (OCI Distribution 1.1, "Listing Tags").

use access::{Pull, authorise_catalog};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, Method, header};
use oci::{RepositoryName, Tag};
use registry::lists::PAGE_ENTRIES_MAX;
use serde::Serialize;

use super::error::{Code, OciError};
use super::request::Call;

#[derive(Serialize)]
struct TagList<'a> {
    name: &'a str,
    tags: Vec<&'a str>,
}

#[derive(Serialize)]
struct RepositoryList<'a> {
    repositories: Vec<&'a str>,
}

pub(super) async fn tags(call: Call, name: RepositoryName) -> Result<Response, OciError> {
    let (after, limit) = page_of(&call)?;
    let permit = call.permit::<Pull>(&name)?;
    let page = call.state.registry.tags(&permit, after.as_deref(), limit).await?;
    let tags: Vec<_> = page.entries.iter().map(Tag::as_str).collect();
    let next = page
        .more
        .then(|| link(&format!("/v2/{name}/tags/list"), &[("n", &limit.to_string())], tags.last()));
    Ok((
        next.map(|link| [link]).into_iter().flatten().collect::<http::HeaderMap>(),
        Json(TagList { name: name.as_str(), tags }),
    )
        .into_response())
}

pub(super) async fn catalog(call: Call) -> Result<Response, OciError> {
    let (after, limit) = page_of(&call)?;
    let permit = authorise_catalog(&call.principal).map_err(|denied| call.denied(denied))?;
    let page = call.state.registry.repositories(&permit, after.as_deref(), limit).await?;
    let names: Vec<_> = page.entries.iter().map(RepositoryName::as_str).collect();
    let next = page.more.then(|| link("/v2/_catalog", &[("n", &limit.to_string())], names.last()));
    Ok((
        next.map(|link| [link]).into_iter().flatten().collect::<http::HeaderMap>(),
        Json(RepositoryList { repositories: names }),
    )
        .into_response())
}

/// Where the page begins and how long it may be.
fn page_of(call: &Call) -> Result<(Option<String>, u32), OciError> {
    if !matches!(call.parts.method, Method::GET | Method::HEAD) {
        return Err(OciError::method("GET, HEAD"));
    }
    let limit = match call.query("n") {
        None => PAGE_ENTRIES_MAX,
        Some(n) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => {
            n.parse().unwrap_or(PAGE_ENTRIES_MAX).min(PAGE_ENTRIES_MAX)
        }
        Some(_) => {
            return Err(OciError::new(
                Code::PaginationNumberInvalid,
                "n must be a number, zero or more",
            ));
        }
    };
    Ok((call.query("last"), limit))
}

/// `Link` to the next page, relative.
pub(crate) fn link(
    path: &str,
    parameters: &[(&str, &str)],
    last: Option<&impl AsRef<str>>,
) -> (HeaderName, http::HeaderValue) {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    if let Some(last) = last {
        query.append_pair("last", last.as_ref());
    }
    let value = format!("<{path}?{}>; rel=\"next\"", query.finish());
    // Names and encoded parameters are ASCII.
    (header::LINK, http::HeaderValue::try_from(value).unwrap_or(http::HeaderValue::from_static("")))
}
