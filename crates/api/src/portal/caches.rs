//! Cache rules and the logins they use, for who runs the registry.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use http::StatusCode;
use registry::ChangeRuleError;
use store::StoredLogin;
use time::OffsetDateTime;

use super::PortalState;
use super::convert::time_text;
use super::error::{ApiError, Kind};
use super::request::Manager;
use super::types::{CacheRule, CredentialSet, NewCacheRule, NewCredentialSet};

fn parsed<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, ApiError> {
    body.map(|Json(value)| value)
        .map_err(|rejection| ApiError::new(Kind::BadRequest, rejection.body_text()))
}

fn text(time: OffsetDateTime) -> Option<String> {
    // Years up to 9999 fit many times over.
    time_text((time.unix_timestamp_nanos() / 1_000_000) as i64)
}

fn wire_rule(rule: store::CacheRule) -> CacheRule {
    CacheRule {
        name: rule.name,
        source_repository: rule.source,
        target_repository: rule.target,
        credential_set: rule.credential_set,
        created_at: text(rule.created_at),
    }
}

fn wire_set(set: store::CredentialSet) -> CredentialSet {
    CredentialSet {
        name: set.name,
        login_server: set.login_server,
        username: set.login.username,
        changed_at: text(set.changed_at),
    }
}

pub(super) async fn list_rules(
    State(state): State<PortalState>,
    _: Manager,
) -> Result<Json<Vec<CacheRule>>, ApiError> {
    Ok(Json(state.cache.list_rules().await?.into_iter().map(wire_rule).collect()))
}

pub(super) async fn create_rule(
    State(state): State<PortalState>,
    _: Manager,
    body: Result<Json<NewCacheRule>, JsonRejection>,
) -> Result<(StatusCode, Json<CacheRule>), ApiError> {
    let NewCacheRule { name, source_repository, target_repository, credential_set } = parsed(body)?;
    let rule =
        state.cache.create_rule(name, source_repository, target_repository, credential_set).await?;
    Ok((StatusCode::CREATED, Json(wire_rule(rule))))
}

pub(super) async fn delete_rule(
    State(state): State<PortalState>,
    _: Manager,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.cache.delete_rule(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list_credentials(
    State(state): State<PortalState>,
    _: Manager,
) -> Result<Json<Vec<CredentialSet>>, ApiError> {
    Ok(Json(state.cache.list_credentials().await?.into_iter().map(wire_set).collect()))
}

pub(super) async fn put_credentials(
    State(state): State<PortalState>,
    _: Manager,
    Path(name): Path<String>,
    body: Result<Json<NewCredentialSet>, JsonRejection>,
) -> Result<Json<CredentialSet>, ApiError> {
    let NewCredentialSet { login_server, username, password } = parsed(body)?;
    let login = StoredLogin { username, password };
    let set = state.cache.put_credentials(name, login_server, login).await?;
    Ok(Json(wire_set(set)))
}

pub(super) async fn delete_credentials(
    State(state): State<PortalState>,
    _: Manager,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.cache.delete_credentials(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<ChangeRuleError> for ApiError {
    fn from(error: ChangeRuleError) -> Self {
        let kind = match &error {
            ChangeRuleError::Invalid(_) | ChangeRuleError::UnknownCredentials(_) => {
                Kind::BadRequest
            }
            ChangeRuleError::Taken | ChangeRuleError::InUse => Kind::Conflict,
            ChangeRuleError::Unknown(_) => Kind::NotFound,
            ChangeRuleError::Store(_) => return Self::internal(error),
        };
        Self::new(kind, format!("{error}."))
    }
}
