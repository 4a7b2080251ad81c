//! Errors as RFC 9457 has them; the only file that knows problem types.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use store::StoreError;
use uuid::Uuid;

use super::types::Problem;
use crate::distribution::auth::AuthError;
use crate::inspections::InspectionError;

/// Names the request in answers and logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Media type of an error.
const PROBLEM_JSON: &str = "application/problem+json";

/// Kind of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    Conflict,
    MethodNotAllowed,
    UnsupportedMediaType,
    TooManyRequests,
    Busy,
    Internal,
}

impl Kind {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest => (
                StatusCode::BAD_REQUEST,
                "/problems/bad-request",
                "The request cannot be understood",
            ),
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "/problems/unauthorized", "Sign in first")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "/problems/forbidden", "A right is missing"),
            Self::NotFound => (StatusCode::NOT_FOUND, "/problems/not-found", "Not found"),
            Self::Conflict => {
                (StatusCode::CONFLICT, "/problems/conflict", "Something is there already")
            }
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "/problems/method-not-allowed",
                "This cannot be done here",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "/problems/unsupported-media-type",
                "Send JSON",
            ),
            Self::TooManyRequests => {
                (StatusCode::TOO_MANY_REQUESTS, "/problems/too-many-requests", "Slow down")
            }
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "/problems/busy", "Too much at once"),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "/problems/internal",
                "Something failed on the server",
            ),
        }
    }
}

/// An answer that is an error. What the server logs of it and what the client
/// gets to see are two things.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    kind: Kind,
    detail: String,
    retry_after_secs: Option<u64>,
    /// For the log alone.
    cause: Option<String>,
}

impl ApiError {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), retry_after_secs: None, cause: None }
    }

    /// Something is not there; `parent` is the nearest thing that is.
    pub fn not_found(what: impl std::fmt::Display, parent: impl std::fmt::Display) -> Self {
        Self::new(
            Kind::NotFound,
            format!("{what} is not known here. The nearest that is: {parent}"),
        )
    }

    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let detail = "The server could not answer this. Try again; if it stays so, give the request ID to whoever runs the server.";
        Self { cause: Some(cause.to_string()), ..Self::new(Kind::Internal, detail) }
    }

    fn retry_after(self, secs: u64) -> Self {
        Self { retry_after_secs: Some(secs), ..self }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<InspectionError> for ApiError {
    fn from(error: InspectionError) -> Self {
        Self::internal(error)
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused | AuthError::Identity(_) => {
                Self::new(Kind::Unauthorized, "The user name, password or token is not valid.")
            }
            AuthError::SlowDown(wait) => {
                let secs = wait.as_secs() + 1;
                let detail =
                    format!("Too many failed sign-ins for this account. Try again in {secs} s.");
                Self::new(Kind::TooManyRequests, detail).retry_after(secs)
            }
            AuthError::Busy => {
                Self::new(Kind::Busy, "Too many sign-ins at once. Try again.").retry_after(1)
            }
            AuthError::Store(source) => Self::internal(source),
        }
    }
}

impl IntoResponse for ApiError {
    /// Only a mark: [`frame`] knows the request and writes the body.
    fn into_response(self) -> Response {
        let mut response = self.kind.parts().0.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives each answer its common headers and each error its body.
pub(super) async fn frame(request: Request, next: Next) -> Response {
    let request_id = Uuid::new_v4().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        if let Some(cause) = &error.cause {
            tracing::error!(%request_id, %method, path, cause, "a request of the native API failed");
        }
        response = problem(&error, &request_id, response);
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

fn problem(error: &ApiError, request_id: &str, mut response: Response) -> Response {
    let (status, kind, title) = error.kind.parts();
    let problem = Problem {
        kind: kind.to_owned(),
        title: title.to_owned(),
        status: status.as_u16(),
        detail: error.detail.clone(),
        request_id: request_id.to_owned(),
    };
    // A struct of texts and a number always serialises.
    *response.body_mut() = Body::from(serde_json::to_vec(&problem).unwrap_or_default());
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    if let Some(secs) = error.retry_after_secs {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    // No `WWW-Authenticate`: browsers would put up a window of their own.
    response
}
