//! `importImage`, a long-running operation of ARM: 202 first, then either of
//! two addresses to poll. `Azure-AsyncOperation` always answers 200 and says in
//! its body how things stand; `Location` answers 202 until it can answer for
//! good.

use access::{Configuration, Principal, Pull, Push, authorise, authorise_registry};
use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use oci::{Reference, RepositoryName, Tag};
use registry::upstream::parse_repository;
use registry::{ImportError, ImportSource, NewImport};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Import, ImportFailure, ImportState, StoredLogin};

use super::AzureState;
use super::error::ArmError;
use super::scope::{Scope, Target, parse};
use crate::distribution::request::Origin;

/// Largest request, in bytes.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// When a client should ask again, in seconds.
const POLL_AFTER_SECS: u64 = 1;
const ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    source: Source,
    #[serde(default)]
    target_tags: Vec<String>,
    #[serde(default)]
    untagged_target_repositories: Vec<String>,
    #[serde(default)]
    mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    resource_id: Option<String>,
    registry_uri: Option<String>,
    source_image: String,
    credentials: Option<Credentials>,
}

#[derive(Deserialize)]
struct Credentials {
    username: Option<String>,
    password: String,
}

/// Answers POST `importImage`.
pub(super) async fn begin(
    state: &AzureState,
    principal: &Principal,
    origin: &Origin,
    body: Body,
) -> Result<Response, ArmError> {
    authorise_registry::<Configuration>(principal).map_err(|denied| {
        let message = format!("importImage needs the role Contributor on the registry: {denied}.");
        ArmError::new(StatusCode::FORBIDDEN, "AuthorizationFailed", message)
    })?;
    let bytes = Limited::new(body, REQUEST_BYTES_MAX).collect().await.map_err(|error| {
        let message = match error.is::<LengthLimitError>() {
            true => format!("The body is larger than {REQUEST_BYTES_MAX} bytes."),
            false => "The body broke off.".to_owned(),
        };
        ArmError::bad_request("InvalidRequestContent", message)
    })?;
    let request: Request = serde_json::from_slice(&bytes.to_bytes()).map_err(|error| {
        let message = format!("The request content was invalid and could not be read: {error}.");
        ArmError::bad_request("InvalidRequestContent", message)
    })?;
    let new = new_import(state, principal, &origin.host, request)?;
    let import = state.imports.create(new).await?;
    let mut response = StatusCode::ACCEPTED.into_response();
    announce(&mut response, state, origin, &import);
    Ok(response)
}

fn announce(response: &mut Response, state: &AzureState, origin: &Origin, import: &Import) {
    let address = |kind: &str| {
        let (scheme, host, registry) = (origin.scheme, &origin.host, state.registry_id());
        format!("{scheme}://{host}{registry}/{kind}/{}?api-version=2019-05-01", import.id)
    };
    let headers = [
        (header::LOCATION, address("operationResults")),
        (ASYNC_OPERATION, address("operationStatuses")),
        (header::RETRY_AFTER, POLL_AFTER_SECS.to_string()),
    ];
    for (name, value) in headers {
        response.headers_mut().extend(value.try_into().ok().map(|value| (name, value)));
    }
}

fn new_import(
    state: &AzureState,
    principal: &Principal,
    host: &str,
    request: Request,
) -> Result<NewImport, ArmError> {
    let invalid = |message: String| ArmError::bad_request("InvalidParameters", message);
    let (name, reference) = image(&request.source.source_image).map_err(&invalid)?;
    let denied = |denied: access::Denied| {
        ArmError::new(StatusCode::FORBIDDEN, "AuthorizationFailed", format!("{denied}."))
    };
    let here = |name: &str| -> Result<ImportSource, ArmError> {
        let name = RepositoryName::parse(name).map_err(|error| invalid(format!("{error}.")))?;
        Ok(ImportSource::Here(authorise::<Pull>(principal, &name).map_err(denied)?))
    };
    let source = match (&request.source.resource_id, &request.source.registry_uri) {
        (Some(id), _) => {
            match parse(id) {
                Some(Target::Itself(scope @ Scope::Registry(..))) => state.check_scope(&scope)?,
                _ => return Err(invalid(format!("source.resourceId {id:?} names no registry."))),
            }
            here(name)?
        }
        (None, Some(uri)) if uri.eq_ignore_ascii_case(host) => here(name)?,
        (None, Some(uri)) => {
            let (host, repository) = parse_repository(&format!("{uri}/{name}"))
                .map_err(|error| invalid(format!("source: {error}.")))?;
            ImportSource::Elsewhere { host, repository }
        }
        (None, None) => {
            return Err(invalid("source needs registryUri or resourceId.".to_owned()));
        }
    };
    let force = match request.mode.as_deref() {
        None => false,
        Some(mode) if mode.eq_ignore_ascii_case("NoForce") => false,
        Some(mode) if mode.eq_ignore_ascii_case("Force") => true,
        Some(mode) => {
            return Err(invalid(format!("mode {mode:?} is neither Force nor NoForce.")));
        }
    };
    let mut targets = Vec::new();
    for text in &request.target_tags {
        let (name, tag) = text.split_once(':').unwrap_or((text, "latest"));
        let tag = Tag::parse(tag).map_err(|error| invalid(format!("targetTags: {error}.")))?;
        targets.push((name, Some(tag)));
    }
    targets.extend(request.untagged_target_repositories.iter().map(|name| (name.as_str(), None)));
    let targets = targets
        .into_iter()
        .map(|(name, tag)| {
            let name = RepositoryName::parse(name).map_err(|error| invalid(format!("{error}.")))?;
            Ok((authorise::<Push>(principal, &name).map_err(denied)?, tag))
        })
        .collect::<Result<_, ArmError>>()?;
    Ok(NewImport {
        source,
        reference,
        targets,
        platforms: Vec::new(),
        force,
        referrers: true,
        login: request.source.credentials.map(|given| StoredLogin {
            username: given.username.filter(|name| !name.is_empty()),
            password: given.password,
        }),
    })
}

/// `repo:tag` or `repo@sha256:...`
fn image(text: &str) -> Result<(&str, Reference), String> {
    let (name, reference) = match text.split_once('@') {
        Some((name, digest)) => (name.split(':').next().unwrap_or(name), digest),
        None => text.split_once(':').unwrap_or((text, "latest")),
    };
    let reference =
        Reference::parse(reference).map_err(|error| format!("sourceImage: {error}."))?;
    Ok((name, reference))
}

/// The import of a polled address, if the caller may see it.
async fn find(state: &AzureState, principal: &Principal, id: &str) -> Result<Import, ArmError> {
    let found = match id.parse() {
        Ok(id) => state.imports.find(id).await?,
        Err(_) => None,
    };
    let seen = |import: &Import| {
        import.created_by == principal.name()
            || authorise_registry::<Configuration>(principal).is_ok()
    };
    found.filter(seen).ok_or_else(|| {
        ArmError::not_found("OperationNotFound", format!("The operation '{id}' is not known."))
    })
}

/// Answers `Azure-AsyncOperation`.
pub(super) async fn status(
    state: &AzureState,
    principal: &Principal,
    id: &str,
) -> Result<Value, ArmError> {
    let import = find(state, principal, id).await?;
    let word = match import.state {
        ImportState::Queued | ImportState::Running => "InProgress",
        ImportState::Done => "Succeeded",
        ImportState::Failed => "Failed",
    };
    let mut body = json!({
        "id": format!("{}/operationStatuses/{id}", state.registry_id()),
        "name": id,
        "status": word,
    });
    if let Some(failure) = &import.failure {
        let (_, code) = arm_code(&failure.code);
        body["error"] = json!({ "code": code, "message": failure.message });
    }
    Ok(body)
}

/// Answers `Location`.
pub(super) async fn result(
    state: &AzureState,
    principal: &Principal,
    origin: &Origin,
    id: &str,
) -> Result<Response, ArmError> {
    let import = find(state, principal, id).await?;
    match (import.state, &import.failure) {
        (ImportState::Done, _) => Ok((StatusCode::OK, Json(json!({}))).into_response()),
        (ImportState::Failed, Some(ImportFailure { code, message })) => {
            let (status, code) = arm_code(code);
            Err(ArmError::new(status, code, message.clone()))
        }
        _ => {
            let mut response = StatusCode::ACCEPTED.into_response();
            announce(&mut response, state, origin, &import);
            Ok(response)
        }
    }
}

/// What ARM says for a word of [`ImportError::code`].
fn arm_code(code: &str) -> (StatusCode, &'static str) {
    match code {
        "conflict" => (StatusCode::CONFLICT, "Conflict"),
        "source_not_found" => (StatusCode::BAD_REQUEST, "SourceImageNotFound"),
        "source_unauthorized" => (StatusCode::BAD_REQUEST, "SourceRegistryUnauthorized"),
        "source_throttled" => (StatusCode::TOO_MANY_REQUESTS, "SourceRegistryThrottled"),
        "source_not_allowed" => (StatusCode::BAD_REQUEST, "SourceRegistryNotAllowed"),
        "denied" => (StatusCode::FORBIDDEN, "AuthorizationFailed"),
        "internal" => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        "invalid_request" | "no_platform" => (StatusCode::BAD_REQUEST, "InvalidParameters"),
        _ => (StatusCode::BAD_REQUEST, "ImportFailed"),
    }
}

impl From<ImportError> for ArmError {
    fn from(error: ImportError) -> Self {
        if let ImportError::Store(error) = error {
            return error.into();
        }
        let (status, code) = arm_code(error.code());
        Self::new(status, code, format!("{error}."))
    }
}
