//! `/v2/NAME/blobs/uploads/` and below (OCI Distribution 1.1, "Pushing blobs").

use access::Push;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use oci::{Algorithm, Digest, RepositoryName};
use registry::{Chunk, CommittedBlob, MountSource, UploadError, UploadStatus};
use store::UploadId;

use super::blobs::DIGEST_HEADER;
use super::error::{Code, OciError};
use super::request::{Call, stream};

const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// `POST /v2/NAME/blobs/uploads/`: begin, or mount, or all at once.
pub(super) async fn begin(
    call: Call,
    name: RepositoryName,
    body: Body,
) -> Result<Response, OciError> {
    if call.parts.method != Method::POST {
        return Err(OciError::method("POST"));
    }
    let permit = call.permit::<Push>(&name)?;
    if let Some(digest) = call.query("mount") {
        let digest = parse_digest(&digest)?;
        if mount(&call, &permit, &digest).await? {
            return Ok(created(&name, &digest));
        }
    } else if let Some(digest) = call.query("digest") {
        let digest = parse_digest(&digest)?;
        let blob = call.state.registry.push_blob(&permit, stream(body), digest).await?;
        return Ok(created(&name, &blob.digest));
    }
    let algorithm = match call.query("digest-algorithm") {
        Some(text) => Algorithm::parse(&text).ok_or_else(|| {
            OciError::new(Code::DigestInvalid, "digest-algorithm must be sha256 or sha512")
        })?,
        None => Algorithm::Sha256,
    };
    let status = call.state.registry.start_upload(&permit, algorithm).await?;
    Ok((StatusCode::ACCEPTED, headers(&name, status)).into_response())
}

/// `GET`, `PATCH`, `PUT`, `DELETE /v2/NAME/blobs/uploads/ID`
pub(super) async fn upload(
    call: Call,
    name: RepositoryName,
    id: String,
    body: Body,
) -> Result<Response, OciError> {
    let permit = call.permit::<Push>(&name)?;
    let unknown = || OciError::new(Code::BlobUploadUnknown, "no such upload");
    let id = UploadId::parse(&id).ok_or_else(unknown)?;
    let registry = call.state.registry.clone();
    match call.parts.method {
        Method::GET | Method::HEAD => {
            let status = registry.upload_status(&permit, id).await?;
            Ok((StatusCode::NO_CONTENT, headers(&name, status)).into_response())
        }
        Method::PATCH => {
            let chunk = chunk(&call)?;
            let status = registry.append(&permit, id, chunk, stream(body)).await;
            let status = status.map_err(|error| placed(error, &name))?;
            Ok((StatusCode::ACCEPTED, headers(&name, status)).into_response())
        }
        Method::PUT => {
            let digest = call.query("digest");
            let digest = digest.ok_or_else(|| {
                OciError::new(Code::DigestInvalid, "the digest parameter is missing")
            })?;
            let (digest, chunk) = (parse_digest(&digest)?, chunk(&call)?);
            let blob = registry.finish_upload(&permit, id, chunk, stream(body), digest).await;
            let CommittedBlob { digest, .. } = blob.map_err(|error| placed(error, &name))?;
            Ok(created(&name, &digest))
        }
        Method::DELETE => {
            registry.cancel_upload(&permit, id).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => Err(OciError::method("GET, HEAD, PATCH, PUT, DELETE")),
    }
}

/// A mount that cannot be becomes an upload: clients that may push here and not
/// read there rely on it.
async fn mount(
    call: &Call,
    permit: &access::Permit<Push>,
    digest: &Digest,
) -> Result<bool, OciError> {
    let source = match call.query("from") {
        None => {
            return Ok(mount_from(call, permit, digest, MountSource::Any(&call.principal))
                .await?
                .is_some());
        }
        Some(from) => RepositoryName::parse(&from).ok(),
    };
    let readable = source.and_then(|name| access::authorise_mount(&call.principal, &name).ok());
    match readable {
        Some(from) => {
            Ok(mount_from(call, permit, digest, MountSource::Repository(&from)).await?.is_some())
        }
        None => Ok(false),
    }
}

async fn mount_from(
    call: &Call,
    permit: &access::Permit<Push>,
    digest: &Digest,
    source: MountSource<'_>,
) -> Result<Option<u64>, OciError> {
    Ok(call.state.registry.mount_blob(permit, digest, source).await?)
}

fn parse_digest(text: &str) -> Result<Digest, OciError> {
    Digest::parse(text).map_err(|error| OciError::new(Code::DigestInvalid, error))
}

/// `Content-Range: FIRST-LAST`, in the form of the specification and not of
/// HTTP. Without one, the body is whatever comes next.
fn chunk(call: &Call) -> Result<Option<Chunk>, OciError> {
    let Some(text) = call.header(&header::CONTENT_RANGE) else { return Ok(None) };
    let chunk = parse_chunk(text).ok_or_else(|| {
        OciError::new(
            Code::BlobUploadInvalid,
            "Content-Range must be FIRST-LAST, two byte positions, as in 0-99",
        )
    })?;
    let length = call.header(&header::CONTENT_LENGTH).and_then(|l| l.parse::<u64>().ok());
    if let Some(received) = length.filter(|length| *length != chunk.size()) {
        return Err(UploadError::ChunkSize { declared: chunk.size(), received }.into());
    }
    Ok(Some(chunk))
}

fn parse_chunk(text: &str) -> Option<Chunk> {
    let (first, last) = text.trim().split_once('-')?;
    let number = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse().ok())?;
    let chunk = Chunk { first: number(first)?, last: number(last)? };
    (chunk.first <= chunk.last).then_some(chunk)
}

/// A chunk in the wrong place is answered with the right one.
fn placed(error: UploadError, name: &RepositoryName) -> OciError {
    let status = match error {
        UploadError::OutOfOrder { size, id, .. } => Some(UploadStatus { id, size }),
        _ => None,
    };
    let mut answer = OciError::from(error);
    if let Some(status) = status {
        for (header, value) in &headers(name, status) {
            answer = answer.header(header.clone(), value.clone());
        }
    }
    answer
}

/// Relative, since only the client knows under which name it reached us.
fn headers(name: &RepositoryName, status: UploadStatus) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name, value: String| {
        headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)))
    };
    put(header::LOCATION, format!("/v2/{name}/blobs/uploads/{}", status.id));
    // Inclusive, so that nothing and one byte look alike; as everybody does it.
    put(header::RANGE, format!("0-{}", status.size.saturating_sub(1)));
    put(UPLOAD_UUID, status.id.to_string());
    headers
}

fn created(name: &RepositoryName, digest: &Digest) -> Response {
    let location = format!("/v2/{name}/blobs/{digest}");
    (StatusCode::CREATED, [(header::LOCATION, location), (DIGEST_HEADER, digest.to_string())])
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(u64, u64)>) {
        assert_eq!(parse_chunk(text).map(|c| (c.first, c.last)), expected, "{text:?}");
    }

    #[test]
    fn content_range_is_two_numbers() {
        check("0-99", Some((0, 99)));
        check("5-5", Some((5, 5)));
        check("6-5", None);
        check("bytes 0-99/100", None);
        check("0-", None);
        check("-9", None);
        check("+1-2", None);
        check("0-99999999999999999999", None);
    }
}
