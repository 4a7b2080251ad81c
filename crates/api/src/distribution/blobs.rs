//! `GET`, `HEAD`, `DELETE /v2/NAME/blobs/DIGEST`
//! (OCI Distribution 1.1, "Pulling blobs").

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use access::{Delete, Permit, Pull};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use oci::{Digest, RepositoryName};
use registry::PullError;
use sendfile::FileWindows;
use store::{Blob, BlobSource};

use super::error::OciError;
use super::ranges::{Selection, select};
use super::request::Call;

/// `Docker-Content-Digest`
pub(super) const DIGEST_HEADER: HeaderName = HeaderName::from_static("docker-content-digest");
/// Content under a digest never changes; who may see it can.
pub(super) const FOREVER: HeaderValue =
    HeaderValue::from_static("private, max-age=31536000, immutable");
/// A smaller part of a file is read: that costs less than a mapping.
const KERNEL_BYTES_MIN: u64 = 64 << 10;
/// How long a client that is sent to the object store can use the address.
const REDIRECT_TTL: Duration = Duration::from_secs(20 * 60);
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(super) async fn blob(
    call: Call,
    name: RepositoryName,
    digest: Digest,
) -> Result<Response, OciError> {
    match call.parts.method {
        Method::GET => read(&call, &name, &digest).await,
        Method::HEAD => {
            let permit = call.permit::<Pull>(&name)?;
            let size = match call.state.cache.source(&name) {
                Some(remote) => call
                    .state
                    .cache
                    .blob_size(&permit, &remote, &digest)
                    .await
                    .map_err(OciError::cached_blob)?,
                None => call.state.registry.blob_size(&permit, &digest).await?,
            };
            let mut headers = content_headers(&digest);
            headers.insert(header::CONTENT_TYPE, OCTETS);
            headers.insert(header::CONTENT_LENGTH, size.into());
            Ok(headers.into_response())
        }
        Method::DELETE => {
            call.state.registry.delete_blob(&call.permit::<Delete>(&name)?, &digest).await?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        _ => Err(OciError::method("GET, HEAD, DELETE")),
    }
}

/// Headers of content that is known by its digest.
pub(super) fn content_headers(digest: &Digest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers
        .extend(HeaderValue::try_from(digest.to_string()).ok().map(|value| (DIGEST_HEADER, value)));
    headers.extend(
        HeaderValue::try_from(format!("\"{digest}\"")).ok().map(|value| (header::ETAG, value)),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, FOREVER);
    headers
}

/// Whether the client has this content already (`If-None-Match`).
pub(super) fn is_known(call: &Call, digest: &Digest) -> bool {
    let quoted = format!("\"{digest}\"");
    call.header(&header::IF_NONE_MATCH).is_some_and(|tags| {
        tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == quoted)
    })
}

async fn read(call: &Call, name: &RepositoryName, digest: &Digest) -> Result<Response, OciError> {
    let permit = call.permit::<Pull>(name)?;
    let remote = call.state.cache.source(name);
    // Never a range: a client would lose the place of what it has already.
    if call.state.redirect_blobs
        && call.header(&header::RANGE).is_none()
        && !is_known(call, digest)
        && let Some(url) = address(call, &permit, digest, remote.is_some()).await?
    {
        let mut headers = content_headers(digest);
        // The address expires.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::LOCATION, url.try_into().map_err(|e| OciError::internal(&e))?);
        return Ok((StatusCode::TEMPORARY_REDIRECT, headers).into_response());
    }
    let blob = match remote {
        Some(remote) => call
            .state
            .cache
            .open_blob(&permit, &remote, digest)
            .await
            .map_err(OciError::cached_blob)?,
        None => call.state.registry.open_blob(&permit, digest).await?,
    };
    let mut headers = content_headers(digest);
    if is_known(call, digest) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    // `If-Range` with another tag means: the whole, if it has changed.
    let same = call.header(&header::IF_RANGE).is_none_or(|tag| tag == format!("\"{digest}\""));
    let range = if same { call.header(&header::RANGE) } else { None };
    headers.insert(header::CONTENT_TYPE, OCTETS);
    let size = blob.size;
    let windows = kernel_way(&call.parts);
    match select(range, size) {
        Selection::Whole => {
            headers.insert(header::CONTENT_LENGTH, size.into());
            Ok((headers, Body::from_stream(content(&blob, 0..size, windows))).into_response())
        }
        Selection::Parts(parts) if parts.len() == 1 => {
            let part = parts[0].clone();
            headers.insert(header::CONTENT_LENGTH, (part.end - part.start).into());
            headers.extend(
                content_range(&part, size).try_into().ok().map(|v| (header::CONTENT_RANGE, v)),
            );
            let body = Body::from_stream(content(&blob, part, windows));
            Ok((StatusCode::PARTIAL_CONTENT, headers, body).into_response())
        }
        Selection::Parts(parts) => Ok(multipart(blob, parts, headers, windows.cloned())),
        Selection::Unsatisfiable => Ok((
            StatusCode::RANGE_NOT_SATISFIABLE,
            [(header::CONTENT_RANGE, format!("bytes */{size}"))],
        )
            .into_response()),
    }
}

/// Where the object store hands the blob out. What a cache does not hold yet
/// comes through this server.
async fn address(
    call: &Call,
    permit: &Permit<Pull>,
    digest: &Digest,
    is_cached: bool,
) -> Result<Option<String>, PullError> {
    match call.state.registry.blob_url(permit, digest, REDIRECT_TTL).await {
        Err(PullError::UnknownBlob(_) | PullError::UnknownRepository(_)) if is_cached => Ok(None),
        known => known,
    }
}

fn content_range(part: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.end - 1)
}

/// `multipart/byteranges` (RFC 9110, section 14.6).
fn multipart(
    blob: Blob,
    parts: Vec<Range<u64>>,
    mut headers: HeaderMap,
    windows: Option<FileWindows>,
) -> Response {
    let boundary = uuid::Uuid::new_v4().simple().to_string();
    let head = |part: &Range<u64>| {
        let range = content_range(part, blob.size);
        Bytes::from(format!(
            "\r\n--{boundary}\r\ncontent-type: application/octet-stream\r\ncontent-range: {range}\r\n\r\n"
        ))
    };
    let tail = Bytes::from(format!("\r\n--{boundary}--\r\n"));
    let mut length = tail.len() as u64;
    let mut sections = Vec::with_capacity(parts.len());
    for part in parts {
        let head = head(&part);
        length += head.len() as u64 + (part.end - part.start);
        sections.push((head, part));
    }
    headers.insert(header::CONTENT_LENGTH, length.into());
    let kind = format!("multipart/byteranges; boundary={boundary}");
    headers.insert(header::CONTENT_TYPE, kind.try_into().unwrap_or(OCTETS));
    let body = stream::iter(sections)
        .flat_map(move |(head, part)| {
            stream::once(async { Ok(head) }).chain(content(&blob, part, windows.as_ref()))
        })
        .chain(stream::once(async { Ok(tail) }));
    (StatusCode::PARTIAL_CONTENT, headers, Body::from_stream(body)).into_response()
}

/// What the connection sends files with: plain HTTP/1.x has it. HTTP/2 cuts a
/// body into frames and is better served with pieces in memory.
fn kernel_way(parts: &http::request::Parts) -> Option<&FileWindows> {
    parts.extensions.get::<FileWindows>().filter(|_| parts.version <= Version::HTTP_11)
}

/// Part of a blob as a body: sent by the kernel where that is possible and
/// worth it, else read.
fn content(
    blob: &Blob,
    part: Range<u64>,
    windows: Option<&FileWindows>,
) -> BoxStream<'static, std::io::Result<Bytes>> {
    let windows = windows.filter(|_| part.end - part.start >= KERNEL_BYTES_MIN);
    if let (BlobSource::File(file), Some(windows)) = (&blob.source, windows)
        // No room for a mapping, say: reading needs none.
        && let Ok(sent) = windows.send(Arc::clone(file), part.clone())
    {
        return sent.boxed();
    }
    blob.stream(part)
}
