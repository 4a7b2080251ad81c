//! One request, taken apart: who asks, what is in its query and headers. The
//! body goes its own way.

use std::sync::Arc;

use access::request::USER_AGENT_CHARS_MAX;
use access::{Action, Denied, Permit, Principal, RequestInfo, Right, authorise};
use axum::body::Body;
use futures::StreamExt;
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};
use oci::RepositoryName;
use registry::ByteStream;

use super::DistributionState;
use super::auth::service;
use super::error::{Code, OciError};

/// A request of somebody who was recognised, or of nobody.
pub(crate) struct Call {
    pub state: DistributionState,
    pub parts: Parts,
    pub principal: Principal,
    pub info: Arc<RequestInfo>,
}

/// Names a request in the log and in answers; the server gives it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What events and logs tell of a request.
pub(crate) fn info(parts: &Parts, origin: &Origin) -> RequestInfo {
    let agent = text(&parts.headers, &header::USER_AGENT).unwrap_or_default();
    RequestInfo {
        id: text(&parts.headers, &REQUEST_ID).unwrap_or_default().to_owned(),
        host: origin.host.clone(),
        method: parts.method.to_string(),
        user_agent: agent.chars().take(USER_AGENT_CHARS_MAX).collect(),
        address: service::address(parts),
    }
}

impl Call {
    /// A permit, or the answer that says what is lacking.
    pub fn permit<R: Right>(&self, repository: &RepositoryName) -> Result<Permit<R>, OciError> {
        let permit =
            authorise(&self.principal, repository).map_err(|denied| self.denied(denied))?;
        if R::ACTION == Action::Push
            && let Some(refusal) = self.state.cache.refusal(repository)
        {
            return Err(OciError::new(Code::Denied, refusal));
        }
        Ok(permit.for_request(Arc::clone(&self.info)))
    }

    /// The answer to a refusal: whether a better token would do, or none.
    pub fn denied(&self, denied: Denied) -> OciError {
        let wanted = &denied.wanted;
        let granted = |action| self.principal.is_granted(wanted.kind, &wanted.name, action);
        let by_token = wanted.actions.iter().copied().all(granted);
        OciError::denied(denied, by_token)
    }

    /// First value of a query parameter.
    pub fn query(&self, name: &str) -> Option<String> {
        self.query_all(name).into_iter().next()
    }

    /// Every value of a query parameter.
    pub fn query_all(&self, name: &str) -> Vec<String> {
        let query = self.parts.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    }

    /// A header, if it is text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        text(&self.parts.headers, name)
    }
}

/// A body as the registry takes it.
pub(super) fn stream(body: Body) -> ByteStream {
    Box::pin(body.into_data_stream().map(|piece| piece.map_err(std::io::Error::other)))
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Host and scheme as the client sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub scheme: &'static str,
    pub host: String,
}

impl Origin {
    /// Behind a proxy, what it says counts: a client could lie to nobody but
    /// itself.
    pub fn of(parts: &Parts, plain_http: bool) -> Self {
        let forwarded = |name: &'static str| {
            let value = text(&parts.headers, &HeaderName::from_static(name))?;
            Some(value.split(',').next().unwrap_or("").trim().to_owned())
        };
        let host = forwarded("x-forwarded-host")
            .or_else(|| text(&parts.headers, &http::header::HOST).map(str::to_owned))
            // HTTP/2 has the host in the request's target.
            .or_else(|| parts.uri.authority().map(|a| a.to_string()))
            .unwrap_or_default();
        let host: String =
            host.chars().filter(|c| c.is_ascii_alphanumeric() || "-._~:[]".contains(*c)).collect();
        let plain = match forwarded("x-forwarded-proto") {
            Some(proto) => proto.eq_ignore_ascii_case("http"),
            None => plain_http,
        };
        Self { scheme: if plain { "http" } else { "https" }, host: host.to_ascii_lowercase() }
    }
}
