//! `GET /v2/NAME/referrers/DIGEST` (OCI Distribution 1.1, "Listing Referrers").

use access::Pull;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use oci::{Digest, RepositoryName, media_type};
use serde_json::json;

use super::error::{Code, OciError};
use super::request::Call;
use super::tags::link;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

pub(super) async fn referrers(
    call: Call,
    name: RepositoryName,
    subject: Digest,
) -> Result<Response, OciError> {
    if !matches!(call.parts.method, Method::GET | Method::HEAD) {
        return Err(OciError::method("GET, HEAD"));
    }
    let permit = call.permit::<Pull>(&name)?;
    let kind = call.query("artifactType").filter(|kind| !kind.is_empty());
    let after = call.query("last").map(|last| Digest::parse(&last)).transpose();
    let after = after.map_err(|error| OciError::new(Code::DigestInvalid, error))?;
    let page =
        call.state.registry.referrers(&permit, &subject, kind.as_deref(), after.as_ref()).await?;

    let descriptors = page.entries.iter().map(|manifest| {
        let mut descriptor = json!({
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "size": manifest.size,
        });
        if let Some(kind) = &manifest.artifact_type {
            descriptor["artifactType"] = json!(kind);
        }
        if !manifest.annotations.is_empty() {
            descriptor["annotations"] = json!(manifest.annotations);
        }
        descriptor
    });
    let body = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": serde_json::Value::from_iter(descriptors),
    });
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type::OCI_INDEX));
    if kind.is_some() {
        headers.insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    if page.more {
        let filter: Vec<_> = kind.iter().map(|kind| ("artifactType", kind.as_str())).collect();
        let last = page.entries.last().map(|m| m.digest.to_string());
        headers.extend([link(&format!("/v2/{name}/referrers/{subject}"), &filter, last.as_ref())]);
    }
    Ok((headers, body.to_string()).into_response())
}
