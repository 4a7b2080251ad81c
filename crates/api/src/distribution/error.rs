//! Errors as the specification wants them; the only file that knows its codes.

use std::time::Duration;

use access::{Action, Denied, Scope};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use registry::upstream::UpstreamError;
use registry::{
    AttributesError, CacheError, DeleteError, ListError, PullError, PushManifestError,
    RestoreError, UploadError,
};
use serde_json::json;
use store::StoreError;
use store::policy::Refusal;

use super::auth::AuthError;
use super::path::{Part, PathError};
use super::verdict::warning;

/// OCI Distribution 1.1, "Error Codes", and those that Docker's registry added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    PaginationNumberInvalid,
    SizeInvalid,
    TagInvalid,
    TagUnknown,
    Unauthorized,
    Denied,
    Unsupported,
    TooManyRequests,
    NotFound,
    Unknown,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::TagUnknown => "TAG_UNKNOWN",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::NotFound => "NOT_FOUND",
            Self::Unknown => "UNKNOWN",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BlobUnknown
            | Self::BlobUploadUnknown
            | Self::ManifestUnknown
            | Self::NameUnknown
            | Self::TagUnknown
            | Self::NotFound => StatusCode::NOT_FOUND,
            Self::BlobUploadInvalid
            | Self::DigestInvalid
            | Self::ManifestBlobUnknown
            | Self::ManifestInvalid
            | Self::NameInvalid
            | Self::PaginationNumberInvalid
            | Self::SizeInvalid
            | Self::TagInvalid => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// When a client may try again what storage did not do.
const RETRY_AFTER_SECS: u64 = 5;

/// An answer that is an error.
#[derive(Debug)]
pub struct OciError {
    code: Code,
    status: StatusCode,
    /// Clients print code and message only, so the reason stands in here.
    message: String,
    detail: serde_json::Value,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What a token for this request must allow, for the challenge.
    pub(super) wanted: Option<Box<Wanted>>,
}

/// A challenge still without its host.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What would be needed; `None` on `/v2/` itself.
    pub scope: Option<Scope>,
    /// A token was presented and allows too little.
    pub insufficient: bool,
}

impl OciError {
    pub fn new(code: Code, message: impl ToString) -> Self {
        Self {
            code,
            status: code.status(),
            message: message.to_string(),
            detail: serde_json::Value::Null,
            headers: Vec::new(),
            wanted: None,
        }
    }

    pub fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub fn header(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        self.headers.extend(value.try_into().ok().map(|value| (name, value)));
        self
    }

    pub fn detail(self, detail: serde_json::Value) -> Self {
        Self { detail, ..self }
    }

    /// The method is not one that the path has; `allowed` lists those.
    pub fn method(allowed: &'static str) -> Self {
        Self::new(
            Code::Unsupported,
            format!("the path does not support this method; it has {allowed}"),
        )
        .header(header::ALLOW, allowed)
    }

    /// Something went wrong here. The log gets the chain, the client a number
    /// to ask for.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        let id = uuid::Uuid::new_v4();
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            chain = format!("{chain}: {error}");
            source = error.source();
        }
        tracing::error!(%id, error = chain, "a registry request failed");
        Self::new(
            Code::Unknown,
            format!("the server could not do this; its log says more under {id}"),
        )
    }

    /// Credentials are needed, or others.
    pub fn unauthorized(message: impl ToString, scope: Option<Scope>) -> Self {
        let detail = scope.iter().map(|s| {
            let actions: Vec<_> = s.actions.iter().map(|a| a.as_str()).collect();
            json!({ "Type": s.kind.as_str(), "Name": s.name, "Action": actions.join(",") })
        });
        let detail = serde_json::Value::from_iter(detail);
        let wanted = Some(Box::new(Wanted { scope, insufficient: false }));
        Self { wanted, ..Self::new(Code::Unauthorized, message).detail(detail) }
    }

    /// A permit was refused. Nobody is asked to sign in; a token that is too
    /// weak, to get a better one; an account that may not, is told so, since
    /// asking again would not help.
    pub fn denied(mut denied: Denied, by_token: bool) -> Self {
        if denied.wanted.actions.contains(&Action::Push) {
            // Whoever pushes also asks what is there already.
            denied.wanted.actions.insert(Action::Pull);
        }
        if denied.who.is_empty() {
            Self::unauthorized("authentication required", Some(denied.wanted))
        } else if by_token {
            let mut error = Self::unauthorized(&denied, Some(denied.wanted.clone()));
            error.wanted =
                Some(Box::new(Wanted { scope: Some(denied.wanted), insufficient: true }));
            error
        } else {
            Self::new(Code::Denied, format!("requested access to the resource is denied: {denied}"))
        }
    }
}

impl IntoResponse for OciError {
    fn into_response(self) -> Response {
        let mut error = json!({ "code": self.code.as_str(), "message": self.message });
        if !self.detail.is_null() {
            error["detail"] = self.detail;
        }
        let mut response = (self.status, axum::Json(json!({ "errors": [error] }))).into_response();
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

impl From<StoreError> for OciError {
    fn from(error: StoreError) -> Self {
        if error.is_out_of_space() {
            tracing::error!(%error, "the disk is full");
            return Self::new(Code::Unknown, "the registry's storage is full")
                .status(StatusCode::INSUFFICIENT_STORAGE);
        }
        if let StoreError::Conflict { .. } = error {
            return Self::new(Code::BlobUploadInvalid, error).status(StatusCode::CONFLICT);
        }
        let passing = error.is_passing();
        let answer = Self::internal(&error);
        if passing {
            // The words of `internal` with its number, and that it is worth another try.
            return answer
                .status(StatusCode::SERVICE_UNAVAILABLE)
                .header(header::RETRY_AFTER, RETRY_AFTER_SECS);
        }
        answer
    }
}

/// Something is locked or immutable, or there is no room. An answer to HEAD has
/// no body, so the reason is a warning, too.
impl From<Refusal> for OciError {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Locked { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::ImmutableTag { .. } | Refusal::OverQuota { .. } => StatusCode::FORBIDDEN,
        };
        let text = refusal.to_string();
        let mut error = Self::new(Code::Denied, &text).status(status);
        if let Some(value) = warning(&text) {
            error = error.header(header::WARNING, value);
        }
        error
    }
}

impl From<PathError> for OciError {
    fn from(error: PathError) -> Self {
        match error {
            PathError::NotFound => Self::new(Code::NotFound, "no such path"),
            PathError::Malformed(Part::Name, error) => Self::new(Code::NameInvalid, error),
            PathError::Malformed(Part::Tag, error) => Self::new(Code::TagInvalid, error),
            PathError::Malformed(Part::Digest, error) => Self::new(Code::DigestInvalid, error),
        }
    }
}

impl From<AuthError> for OciError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused | AuthError::Identity(_) => Self::unauthorized(error, None),
            AuthError::SlowDown(wait) => {
                let secs = wait.saturating_add(Duration::from_millis(999)).as_secs().max(1);
                Self::new(Code::TooManyRequests, error).header(header::RETRY_AFTER, secs)
            }
            AuthError::Busy => {
                Self::new(Code::TooManyRequests, error).header(header::RETRY_AFTER, 1)
            }
            AuthError::Store(error) => error.into(),
        }
    }
}

impl From<UploadError> for OciError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Unknown(_) => Self::new(Code::BlobUploadUnknown, error),
            UploadError::Busy(_) => {
                Self::new(Code::BlobUploadInvalid, error).status(StatusCode::CONFLICT)
            }
            // The handler adds where the upload stands.
            UploadError::OutOfOrder { .. } => {
                Self::new(Code::BlobUploadInvalid, error).status(StatusCode::RANGE_NOT_SATISFIABLE)
            }
            UploadError::ChunkSize { .. } | UploadError::ChunkTooLong { .. } => {
                Self::new(Code::SizeInvalid, error)
            }
            UploadError::TooManyBytes { .. } => {
                Self::new(Code::SizeInvalid, error).status(StatusCode::PAYLOAD_TOO_LARGE)
            }
            UploadError::BodyBroke { .. } | UploadError::Interrupted => {
                Self::new(Code::BlobUploadInvalid, error)
            }
            UploadError::DigestMismatch { .. } => Self::new(Code::DigestInvalid, error),
            UploadError::BeingRemoved(_) => Self::new(Code::Unknown, error)
                .status(StatusCode::SERVICE_UNAVAILABLE)
                .header(header::RETRY_AFTER, 60),
            UploadError::Refused(refusal) => refusal.into(),
            UploadError::Store(error) => error.into(),
        }
    }
}

impl From<PushManifestError> for OciError {
    fn from(error: PushManifestError) -> Self {
        match error {
            PushManifestError::TooLarge(_) => {
                Self::new(Code::SizeInvalid, error).status(StatusCode::PAYLOAD_TOO_LARGE)
            }
            PushManifestError::TooManyTags(_) => Self::new(Code::TagInvalid, error),
            PushManifestError::DigestMismatch { .. } => Self::new(Code::DigestInvalid, error),
            PushManifestError::Invalid(_) => Self::new(Code::ManifestInvalid, error),
            PushManifestError::UnknownBlobs(ref missing) => {
                /// Missing blobs that an answer lists.
                const LISTED_MAX: usize = 100;
                let missing: Vec<_> =
                    missing.iter().take(LISTED_MAX).map(|d| json!({ "digest": d })).collect();
                Self::new(Code::ManifestBlobUnknown, error).detail(missing.into())
            }
            PushManifestError::Refused(refusal) => refusal.into(),
            PushManifestError::Store(error) => error.into(),
        }
    }
}

impl From<PullError> for OciError {
    fn from(error: PullError) -> Self {
        match error {
            PullError::UnknownRepository(_) => Self::new(Code::NameUnknown, error),
            PullError::UnknownBlob(_) => Self::new(Code::BlobUnknown, error),
            PullError::UnknownManifest(_) => Self::new(Code::ManifestUnknown, error),
            PullError::Damaged { .. } => {
                Self::new(Code::Unknown, error).status(StatusCode::INTERNAL_SERVER_ERROR)
            }
            PullError::Refused(refusal) => refusal.into(),
            PullError::Store(error) => error.into(),
        }
    }
}

impl OciError {
    /// Why there is no blob of a repository that is a copy.
    pub fn cached_blob(error: CacheError) -> Self {
        match error {
            CacheError::Upstream(UpstreamError::Unknown { .. }) => {
                Self::new(Code::BlobUnknown, error)
            }
            other => other.into(),
        }
    }
}

impl From<CacheError> for OciError {
    /// What another registry said is passed on, except that the caller is
    /// never asked to sign in for it.
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Pull(error) => error.into(),
            CacheError::Upstream(UpstreamError::Unknown { .. }) => {
                Self::new(Code::ManifestUnknown, error)
            }
            CacheError::Upstream(UpstreamError::Throttled { retry_after, .. }) => {
                let throttled = Self::new(Code::TooManyRequests, error);
                match retry_after {
                    Some(wait) => throttled.header(header::RETRY_AFTER, wait.as_secs()),
                    None => throttled,
                }
            }
            CacheError::Upstream(
                UpstreamError::Refused { .. } | UpstreamError::Forbidden { .. },
            ) => Self::new(Code::Denied, error),
            CacheError::Upstream(_) | CacheError::Interrupted { .. } => {
                Self::new(Code::Unknown, error).status(StatusCode::BAD_GATEWAY)
            }
            CacheError::Denied(error) => Self::internal(&error),
        }
    }
}

impl From<ListError> for OciError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::UnknownRepository(_) => Self::new(Code::NameUnknown, error),
            ListError::Store(error) => error.into(),
        }
    }
}

impl From<AttributesError> for OciError {
    fn from(error: AttributesError) -> Self {
        match error {
            AttributesError::UnknownRepository(_) => Self::new(Code::NameUnknown, error),
            AttributesError::UnknownTag(_) => Self::new(Code::TagUnknown, error),
            AttributesError::UnknownManifest(_) => Self::new(Code::ManifestUnknown, error),
            AttributesError::TooLong { .. } => Self::new(Code::SizeInvalid, error),
            AttributesError::Store(error) => error.into(),
        }
    }
}

impl From<RestoreError> for OciError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Unknown(_) => Self::new(Code::ManifestUnknown, error),
            RestoreError::TagsTaken(ref tags) => {
                let tags = json!({ "tags": tags });
                Self::new(Code::Denied, error).status(StatusCode::CONFLICT).detail(tags)
            }
            RestoreError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteError> for OciError {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::UnknownManifest(_) => Self::new(Code::ManifestUnknown, error),
            DeleteError::UnknownBlob(_) => Self::new(Code::BlobUnknown, error),
            // Clients know 405 as "not deleted here", and go on.
            DeleteError::BlobInUse(_) => {
                Self::new(Code::Unsupported, error).header(header::ALLOW, "GET, HEAD")
            }
            DeleteError::UnknownRepository(_) => Self::new(Code::NameUnknown, error),
            DeleteError::Refused(refusal) => refusal.into(),
            DeleteError::Store(error) => error.into(),
        }
    }
}
