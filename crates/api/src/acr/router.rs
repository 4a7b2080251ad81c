//! All routes of `/acr/v1`, and their handlers: each is a permit, a use case
//! and a conversion.

use std::sync::Arc;

use access::{
    Delete, DeletedCatalog, DeletedRead, DeletedRestore, MetadataRead, MetadataWrite, Permit,
    authorise_catalog, authorise_registry,
};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use futures::StreamExt;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use oci::{Digest, Reference, RepositoryName, Tag};
use registry::DeletedContents;
use registry::lists::PAGE_ENTRIES_MAX;
use serde_json::{Value, json};
use store::policy::{AttributeChange, ManifestDetail, Order, TagsQuery};

use super::path::Target;
use super::wire;
use crate::distribution::DistributionState;
use crate::distribution::auth::service;
use crate::distribution::error::{Code, OciError};
use crate::distribution::request::{self, Call, Origin, text};
use crate::distribution::router::refused;
use crate::distribution::tags::link;

/// Entries on a page when the client names no number.
const PAGE_ENTRIES_DEFAULT: u32 = 100;
/// Largest body of a change, in bytes.
const CHANGE_BYTES_MAX: usize = 128 << 10;
/// Configurations read at a time for a page of manifests.
const CONFIGS_AT_ONCE: usize = 16;

/// Routes everything below `/acr/v1/`; names contain slashes, so
/// [`Target`] tells what a path means.
pub fn router(state: DistributionState) -> Router {
    Router::new().route("/acr/v1/{*path}", any(dispatch)).with_state(state)
}

async fn dispatch(State(state): State<DistributionState>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let origin = Origin::of(&parts, state.plain_http);
    answer(state, &origin, parts, body).await.unwrap_or_else(|error| refused(error, &origin))
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
    let info = Arc::new(request::info(&parts, origin));
    let call = Call { state, parts, principal, info };
    let method = call.parts.method.clone();
    match target {
        Target::Catalog => reading(&method, catalog(&call)).await,
        Target::Repository(name) => match method {
            Method::GET | Method::HEAD => repository(&call, &call.permit(&name)?).await,
            Method::PATCH => {
                let permit = call.permit::<MetadataWrite>(&name)?;
                let change = change(body).await?;
                call.state.registry.change_repository(&permit, &change).await?;
                repository(&call, &permit.reading_back()).await
            }
            Method::DELETE => {
                let permit = call.permit::<Delete>(&name)?;
                let gone = call.state.registry.delete_repository(&permit).await?;
                Ok((StatusCode::ACCEPTED, contents("Deleted", gone)).into_response())
            }
            _ => Err(OciError::method("GET, HEAD, PATCH, DELETE")),
        },
        Target::Tags(name) => reading(&method, tags(&call, &name)).await,
        Target::Tag(name, tag) => match method {
            Method::GET | Method::HEAD => one_tag(&call, &call.permit(&name)?, &tag).await,
            Method::PATCH => {
                let permit = call.permit::<MetadataWrite>(&name)?;
                let change = change(body).await?;
                call.state.registry.change_tag(&permit, &tag, &change).await?;
                one_tag(&call, &permit.reading_back(), &tag).await
            }
            Method::DELETE => {
                let permit = call.permit::<Delete>(&name)?;
                call.state.registry.delete_manifest(&permit, &Reference::Tag(tag)).await?;
                Ok(StatusCode::ACCEPTED.into_response())
            }
            _ => Err(OciError::method("GET, HEAD, PATCH, DELETE")),
        },
        Target::Manifests(name) => reading(&method, manifests(&call, &name)).await,
        Target::Manifest(name, digest) => match method {
            Method::GET | Method::HEAD => one_manifest(&call, &call.permit(&name)?, &digest).await,
            Method::PATCH => {
                let permit = call.permit::<MetadataWrite>(&name)?;
                let change = change(body).await?;
                call.state.registry.change_manifest(&permit, &digest, &change).await?;
                one_manifest(&call, &permit.reading_back(), &digest).await
            }
            Method::DELETE => {
                let permit = call.permit::<Delete>(&name)?;
                call.state.registry.delete_manifest(&permit, &Reference::Digest(digest)).await?;
                Ok(StatusCode::ACCEPTED.into_response())
            }
            _ => Err(OciError::method("GET, HEAD, PATCH, DELETE")),
        },
        Target::DeletedCatalog => reading(&method, deleted_catalog(&call)).await,
        Target::DeletedManifests(name) => reading(&method, deleted_manifests(&call, &name)).await,
        Target::DeletedTags(name) => reading(&method, deleted_tags(&call, &name)).await,
        Target::Deleted(name, digest) => match method {
            Method::POST => {
                let permit = call.permit::<DeletedRestore>(&name)?;
                let force = call.query("force").is_some_and(|force| force == "true");
                let back = call.state.registry.restore_manifest(&permit, &digest, force).await?;
                Ok((StatusCode::OK, contents("Restored", back)).into_response())
            }
            _ => Err(OciError::method("POST")),
        },
    }
}

async fn reading(
    method: &Method,
    answer: impl Future<Output = Result<Response, OciError>>,
) -> Result<Response, OciError> {
    match *method {
        Method::GET | Method::HEAD => answer.await,
        _ => Err(OciError::method("GET, HEAD")),
    }
}

fn contents(what: &str, contents: DeletedContents) -> Json<Value> {
    let mut body = serde_json::Map::new();
    body.insert(format!("manifests{what}"), json!(contents.manifests));
    body.insert(format!("tags{what}"), json!(contents.tags));
    Json(Value::Object(body))
}

async fn change(body: Body) -> Result<AttributeChange, OciError> {
    let invalid = |error: String| {
        OciError::new(
            Code::ManifestInvalid,
            format!("the body is not a change of attributes: {error}"),
        )
    };
    let bytes = Limited::new(body, CHANGE_BYTES_MAX).collect().await;
    let bytes = bytes.map_err(|error| invalid(error.to_string()))?.to_bytes();
    let change: wire::Change =
        serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    Ok(change.into())
}

/// A page as the query asks for it.
struct Asked {
    after: Option<String>,
    limit: u32,
    order: Order,
    /// As it was written, for the link to the next page.
    order_by: String,
}

fn asked(call: &Call) -> Result<Asked, OciError> {
    let limit = match call.query("n").filter(|n| !n.is_empty()) {
        None => PAGE_ENTRIES_DEFAULT,
        Some(n) if n.bytes().all(|b| b.is_ascii_digit()) => {
            n.parse().unwrap_or(PAGE_ENTRIES_MAX).clamp(1, PAGE_ENTRIES_MAX)
        }
        Some(_) => {
            return Err(OciError::new(
                Code::PaginationNumberInvalid,
                "n must be a number, one or more",
            ));
        }
    };
    let order_by = call.query("orderby").unwrap_or_default();
    let order = match order_by.to_ascii_lowercase().as_str() {
        "timeasc" => Order::TimeAscending,
        "timedesc" => Order::TimeDescending,
        _ => Order::Name,
    };
    let after = call.query("last").filter(|last| !last.is_empty());
    Ok(Asked { after, limit, order, order_by })
}

impl Asked {
    fn page(&self, path: &str, last: Option<String>, body: Value) -> Response {
        let limit = self.limit.to_string();
        let mut headers = HeaderMap::new();
        if let Some(last) = last {
            let query = [("n", limit.as_str()), ("orderby", self.order_by.as_str())];
            headers.extend([link(path, &query, Some(&last))]);
        }
        (headers, Json(body)).into_response()
    }
}

async fn catalog(call: &Call) -> Result<Response, OciError> {
    let asked = asked(call)?;
    let permit = authorise_catalog(&call.principal).map_err(|denied| call.denied(denied))?;
    let page =
        call.state.registry.repositories(&permit, asked.after.as_deref(), asked.limit).await?;
    let last = page.entries.last().filter(|_| page.more).map(ToString::to_string);
    Ok(asked.page("/acr/v1/_catalog", last, json!({ "repositories": page.entries })))
}

async fn repository(call: &Call, permit: &Permit<MetadataRead>) -> Result<Response, OciError> {
    let name = permit.repository();
    let detail = call.state.registry.repository_detail(permit).await?;
    Ok(Json(wire::Repository::new(&call.info.host, name.as_str(), &detail)).into_response())
}

async fn tags(call: &Call, name: &RepositoryName) -> Result<Response, OciError> {
    let asked = asked(call)?;
    let permit = call.permit::<MetadataRead>(name)?;
    let digest = call.query("digest").filter(|digest| !digest.is_empty());
    let digest = digest.map(|digest| Digest::parse(&digest)).transpose();
    let digest = digest.map_err(|error| OciError::new(Code::DigestInvalid, error))?;
    let query = TagsQuery {
        after: asked.after.as_deref(),
        order: asked.order,
        digest: digest.as_ref(),
        limit: asked.limit,
    };
    let page = call.state.registry.tag_details(&permit, query).await?;
    let last = page.entries.last().filter(|_| page.more).map(|entry| entry.tag.to_string());
    let tags: Vec<_> = page.entries.iter().map(wire::Tag::from).collect();
    let body = json!({ "registry": call.info.host, "imageName": name, "tags": tags });
    Ok(asked.page(&format!("/acr/v1/{name}/_tags"), last, body))
}

async fn one_tag(
    call: &Call,
    permit: &Permit<MetadataRead>,
    tag: &Tag,
) -> Result<Response, OciError> {
    let name = permit.repository();
    let detail = call.state.registry.tag_detail(permit, tag).await?;
    let tag = wire::Tag::from(&detail);
    Ok(Json(json!({ "registry": call.info.host, "imageName": name, "tag": tag })).into_response())
}

async fn manifests(call: &Call, name: &RepositoryName) -> Result<Response, OciError> {
    let asked = asked(call)?;
    let permit = call.permit::<MetadataRead>(name)?;
    let query = TagsQuery {
        after: asked.after.as_deref(),
        order: asked.order,
        digest: None,
        limit: asked.limit,
    };
    let page = call.state.registry.manifest_details(&permit, query).await?;
    let last = page.entries.last().filter(|_| page.more).map(|entry| entry.digest.to_string());
    let with_platform = async |detail: &ManifestDetail| {
        let platform = call.state.registry.platform(detail).await;
        wire::Manifest::new(detail, platform)
    };
    let manifests: Vec<_> = futures::stream::iter(&page.entries)
        .map(with_platform)
        .buffered(CONFIGS_AT_ONCE)
        .collect()
        .await;
    let body = json!({ "registry": call.info.host, "imageName": name, "manifests": manifests });
    Ok(asked.page(&format!("/acr/v1/{name}/_manifests"), last, body))
}

async fn one_manifest(
    call: &Call,
    permit: &Permit<MetadataRead>,
    digest: &Digest,
) -> Result<Response, OciError> {
    let name = permit.repository();
    let registry = &call.state.registry;
    let detail = registry.manifest_detail(permit, digest).await?;
    let mut manifest = wire::Manifest::new(&detail, registry.platform(&detail).await);
    let listed = registry.listed_manifests(permit, digest).await?;
    manifest.references = listed.into_iter().map(wire::Reference::from).collect();
    let body = json!({ "registry": call.info.host, "imageName": name, "manifest": manifest });
    Ok(Json(body).into_response())
}

async fn deleted_catalog(call: &Call) -> Result<Response, OciError> {
    let asked = asked(call)?;
    let permit = authorise_registry::<DeletedCatalog>(&call.principal)
        .map_err(|denied| call.denied(denied))?;
    let after = asked.after.as_deref();
    let page = call.state.registry.deleted_repositories(&permit, after, asked.limit).await?;
    let last = page.entries.last().filter(|_| page.more).map(ToString::to_string);
    Ok(asked.page("/acr/v1/_deleted/_catalog", last, json!({ "repositories": page.entries })))
}

async fn deleted_manifests(call: &Call, name: &RepositoryName) -> Result<Response, OciError> {
    let asked = asked(call)?;
    let permit = call.permit::<DeletedRead>(name)?;
    let after = asked.after.as_deref().map(Digest::parse).transpose();
    let after = after.map_err(|error| OciError::new(Code::DigestInvalid, error))?;
    let page = call.state.registry.deleted_manifests(&permit, after.as_ref(), asked.limit).await?;
    let last = page.entries.last().filter(|_| page.more).map(|entry| entry.digest.to_string());
    let entry = |entry: &store::policy::DeletedManifestEntry| {
        json!({
            "digest": entry.digest,
            "mediaType": entry.media_type,
            "size": entry.size,
            "tags": entry.tags,
            "createdTime": wire::time(entry.pushed_at),
            "deletedTime": wire::time(entry.deleted_at),
            "deletedBy": entry.deleted_by,
            "deletion": entry.deletion,
        })
    };
    let entries: Vec<_> = page.entries.iter().map(entry).collect();
    let body = json!({ "registry": call.info.host, "imageName": name, "manifests": entries });
    Ok(asked.page(&format!("/acr/v1/_deleted/{name}/_manifests"), last, body))
}

async fn deleted_tags(call: &Call, name: &RepositoryName) -> Result<Response, OciError> {
    let asked = asked(call)?;
    let permit = call.permit::<DeletedRead>(name)?;
    // A tag can have been deleted several times: both parts say where to go on.
    let after = asked.after.as_deref().map(|last| last.split_once('@').unwrap_or((last, "")));
    let page = call.state.registry.deleted_tags(&permit, after, asked.limit).await?;
    let last = page.entries.last().filter(|_| page.more);
    let last = last.map(|entry| format!("{}@{}", entry.tag, entry.digest));
    let entry = |entry: &store::policy::DeletedTagEntry| {
        json!({
            "name": entry.tag,
            "digest": entry.digest,
            "deletedTime": wire::time(entry.deleted_at),
        })
    };
    let entries: Vec<_> = page.entries.iter().map(entry).collect();
    let body = json!({ "registry": call.info.host, "imageName": name, "tags": entries });
    Ok(asked.page(&format!("/acr/v1/_deleted/{name}/_tags"), last, body))
}
