//! Imports from other registries.

use access::{Configuration, Principal, Pull, Push, authorise, authorise_registry};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::{StatusCode, header};
use oci::{Reference, RepositoryName, Tag};
use registry::upstream::parse_reference;
use registry::{ImportError, ImportSource, NewImport};
use store::StoredLogin;
use store::scan::Millis;
use time::OffsetDateTime;

use super::PortalState;
use super::convert::time_text;
use super::error::{ApiError, Kind};
use super::request::SignedIn;
use super::types::{Import, ImportFailure, ImportProgress, ImportState, NewImport as WireImport};

/// Imports that a list shows.
const IMPORTS_LISTED_MAX: u32 = 200;

pub(super) async fn create_import(
    State(state): State<PortalState>,
    caller: SignedIn,
    body: Result<Json<WireImport>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(asked) =
        body.map_err(|rejection| ApiError::new(Kind::BadRequest, rejection.body_text()))?;
    let new = new_import(&caller.principal, &caller.host, asked)?;
    let import = state.imports.create(new).await?;
    let location = [(header::LOCATION, format!("/api/v1/imports/{}", import.id))];
    Ok((StatusCode::ACCEPTED, location, Json(wire(&import))))
}

fn new_import(principal: &Principal, host: &str, asked: WireImport) -> Result<NewImport, ApiError> {
    let bad = |detail: String| ApiError::new(Kind::BadRequest, detail);
    let (from, repository, reference) =
        parse_reference(&asked.source).map_err(|error| bad(format!("source: {error}.")))?;
    let mut targets = Vec::new();
    for text in &asked.targets {
        let (repository, tag) = target(text)?;
        // A target without a tag keeps that of the source.
        let tag = tag.or_else(|| match &reference {
            Reference::Tag(tag) => Some(tag.clone()),
            Reference::Digest(_) => None,
        });
        targets.push((repository, tag));
    }
    for text in &asked.untagged {
        let name =
            RepositoryName::parse(text).map_err(|error| bad(format!("untagged: {error}.")))?;
        targets.push((name, None));
    }
    let denied = |denied: access::Denied| {
        ApiError::new(Kind::Forbidden, format!("Importing pushes to the target: {denied}."))
    };
    let targets = targets
        .into_iter()
        .map(|(name, tag)| Ok((authorise::<Push>(principal, &name)?, tag)))
        .collect::<Result<_, _>>()
        .map_err(denied)?;
    let source = if from == host {
        ImportSource::Here(authorise::<Pull>(principal, &repository).map_err(denied)?)
    } else {
        ImportSource::Elsewhere { host: from, repository }
    };
    Ok(NewImport {
        source,
        reference,
        targets,
        platforms: asked.platforms,
        force: asked.force,
        referrers: asked.referrers,
        login: asked
            .credentials
            .map(|given| StoredLogin { username: given.username, password: given.password }),
    })
}

/// `REPOSITORY[:TAG]`
fn target(text: &str) -> Result<(RepositoryName, Option<Tag>), ApiError> {
    let bad = |error: oci::ReferenceError| {
        ApiError::new(Kind::BadRequest, format!("target {text:?}: {error}."))
    };
    let (name, tag) = match text.split_once(':') {
        Some((name, tag)) => (name, Some(Tag::parse(tag).map_err(bad)?)),
        None => (text, None),
    };
    Ok((RepositoryName::parse(name).map_err(bad)?, tag))
}

pub(super) async fn read_import(
    State(state): State<PortalState>,
    caller: SignedIn,
    Path(id): Path<String>,
) -> Result<Json<Import>, ApiError> {
    let found = match id.parse() {
        Ok(id) => state.imports.find(id).await?,
        Err(_) => None,
    };
    let found = found.filter(|import| may_see(&caller.principal, import));
    let found = found.ok_or_else(|| ApiError::not_found(format_args!("import {id:?}"), "/imports"));
    Ok(Json(wire(&found?)))
}

pub(super) async fn list_imports(
    State(state): State<PortalState>,
    caller: SignedIn,
) -> Result<Json<Vec<Import>>, ApiError> {
    let found = state.imports.list(IMPORTS_LISTED_MAX).await?;
    Ok(Json(found.iter().filter(|import| may_see(&caller.principal, import)).map(wire).collect()))
}

/// Whoever asked for it, and whoever runs the registry.
fn may_see(principal: &Principal, import: &store::Import) -> bool {
    import.created_by == principal.name() || authorise_registry::<Configuration>(principal).is_ok()
}

fn millis(time: OffsetDateTime) -> Millis {
    // Years up to 9999 fit many times over.
    (time.unix_timestamp_nanos() / 1_000_000) as Millis
}

fn wire(import: &store::Import) -> Import {
    let request = &import.request;
    let separator = if matches!(request.reference, Reference::Digest(_)) { '@' } else { ':' };
    let host = request.host.as_ref().map(|host| format!("{host}/")).unwrap_or_default();
    let progress = &import.progress;
    Import {
        id: import.id.to_string(),
        source: format!("{host}{}{separator}{}", request.repository, request.reference),
        targets: request
            .targets
            .iter()
            .map(|target| match &target.tag {
                Some(tag) => format!("{}:{tag}", target.repository),
                None => target.repository.to_string(),
            })
            .collect(),
        platforms: request.platforms.clone(),
        force: request.force,
        referrers: request.referrers,
        state: match import.state {
            store::ImportState::Queued => ImportState::Queued,
            store::ImportState::Running => ImportState::Running,
            store::ImportState::Done => ImportState::Done,
            store::ImportState::Failed => ImportState::Failed,
        },
        progress: ImportProgress {
            manifests: progress.manifests,
            manifests_total: progress.manifests_total,
            blobs: progress.blobs,
            blobs_total: progress.blobs_total,
            bytes: progress.bytes,
            bytes_total: progress.bytes_total,
        },
        digest: import.digest.map(|digest| digest.to_string()),
        failure: import.failure.as_ref().map(|failure| ImportFailure {
            code: failure.code.clone(),
            message: failure.message.clone(),
        }),
        created_by: import.created_by.clone(),
        created_at: time_text(millis(import.created_at)),
        finished_at: import.finished_at.and_then(|at| time_text(millis(at))),
    }
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        let kind = match &error {
            ImportError::Conflict { .. } => Kind::Conflict,
            ImportError::Denied(_) | ImportError::NoOwner | ImportError::Cached(_) => {
                Kind::Forbidden
            }
            ImportError::Store(_) => return Self::internal(error),
            _ => Kind::BadRequest,
        };
        Self::new(kind, format!("{error}."))
    }
}
