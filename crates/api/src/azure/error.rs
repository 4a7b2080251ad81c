//! Errors as Azure Resource Manager has them; the only file that knows its codes.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use store::StoreError;

use crate::distribution::auth::AuthError;
use crate::inspections::InspectionError;

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct ArmError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ArmError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request of the Azure API failed");
        let message = "The server could not answer this; its log says why.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message)
    }

    pub fn unauthenticated() -> Self {
        let message = "Authentication failed. Send a token of this registry (Bearer) or an account's name and password (Basic).";
        Self::new(StatusCode::UNAUTHORIZED, "AuthenticationFailed", message)
    }
}

impl From<StoreError> for ArmError {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<InspectionError> for ArmError {
    fn from(error: InspectionError) -> Self {
        Self::internal(error)
    }
}

impl From<AuthError> for ArmError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused | AuthError::Identity(_) => Self::unauthenticated(),
            AuthError::SlowDown(_) | AuthError::Busy => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", error.to_string())
            }
            AuthError::Store(source) => Self::internal(source),
        }
    }
}

impl IntoResponse for ArmError {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message, "target": null, "details": [] } });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge =
                HeaderValue::from_static("Bearer, Basic realm=\"Lazaret\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
