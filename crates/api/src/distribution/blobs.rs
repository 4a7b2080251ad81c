//! `GET`, `HEAD`, `DELETE /v2/NAME/blobs/DIGEST`
//! (OCI Distribution 1.1, "Pulling blobs").

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use access::{Delete, Pull};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use oci::{Digest, RepositoryName};
use store::BlobFile;

use super::error::OciError;
use super::ranges::{Selection, select};
use super::request::Call;

/// `Docker-Content-Digest`
pub(super) const DIGEST_HEADER: HeaderName = HeaderName::from_static("docker-content-digest");
/// Content under a digest never changes; who may see it can.
pub(super) const FOREVER: HeaderValue =
    HeaderValue::from_static("private, max-age=31536000, immutable");
/// Bytes that are read at a time; two such pieces are in memory per download.
const PIECE_BYTES: u64 = 512 << 10;
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(super) async fn blob(
    call: Call,
    name: RepositoryName,
    digest: Digest,
) -> Result<Response, OciError> {
    match call.parts.method {
        Method::GET => read(&call, &name, &digest).await,
        Method::HEAD => {
            let size = call.state.registry.blob_size(&call.permit::<Pull>(&name)?, &digest).await?;
            let mut headers = content_headers(&digest);
            headers.insert(header::CONTENT_TYPE, OCTETS);
            headers.insert(header::CONTENT_LENGTH, size.into());
            Ok(headers.into_response())
        }
        Method::DELETE => {
            call.state.registry.delete_blob(&call.permit::<Delete>(&name)?, &digest).await?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        _ => Err(OciError::method()),
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
    let blob = call.state.registry.open_blob(&permit, digest).await?;
    let mut headers = content_headers(digest);
    if is_known(call, digest) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    // `If-Range` with another tag means: the whole, if it has changed.
    let same = call.header(&header::IF_RANGE).is_none_or(|tag| tag == format!("\"{digest}\""));
    let range = if same { call.header(&header::RANGE) } else { None };
    headers.insert(header::CONTENT_TYPE, OCTETS);
    let size = blob.size;
    match select(range, size) {
        Selection::Whole => {
            headers.insert(header::CONTENT_LENGTH, size.into());
            Ok((headers, Body::from_stream(pieces(blob, 0..size))).into_response())
        }
        Selection::Parts(parts) if parts.len() == 1 => {
            let part = parts[0].clone();
            headers.insert(header::CONTENT_LENGTH, (part.end - part.start).into());
            headers.extend(
                content_range(&part, size).try_into().ok().map(|v| (header::CONTENT_RANGE, v)),
            );
            Ok((StatusCode::PARTIAL_CONTENT, headers, Body::from_stream(pieces(blob, part)))
                .into_response())
        }
        Selection::Parts(parts) => Ok(multipart(blob, parts, headers)?),
        Selection::Unsatisfiable => Ok((
            StatusCode::RANGE_NOT_SATISFIABLE,
            [(header::CONTENT_RANGE, format!("bytes */{size}"))],
        )
            .into_response()),
    }
}

fn content_range(part: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.end - 1)
}

/// `multipart/byteranges` (RFC 9110, section 14.6).
fn multipart(
    blob: BlobFile,
    parts: Vec<Range<u64>>,
    mut headers: HeaderMap,
) -> Result<Response, OciError> {
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
        let (head, file) = (head(&part), blob.file.try_clone());
        let file = file.map_err(|error| OciError::internal(&error))?;
        length += head.len() as u64 + (part.end - part.start);
        sections.push((head, BlobFile { file, size: blob.size }, part));
    }
    headers.insert(header::CONTENT_LENGTH, length.into());
    let kind = format!("multipart/byteranges; boundary={boundary}");
    headers.insert(header::CONTENT_TYPE, kind.try_into().unwrap_or(OCTETS));
    // One after the other: the clones share one position in the file, and each
    // section seeks when its turn comes.
    let body = stream::iter(sections)
        .flat_map(|(head, blob, part)| stream::once(async { Ok(head) }).chain(pieces(blob, part)))
        .chain(stream::once(async { Ok(tail) }));
    Ok((StatusCode::PARTIAL_CONTENT, headers, Body::from_stream(body)).into_response())
}

/// Part of a file in large pieces; the next one is read while one is sent.
fn pieces(blob: BlobFile, part: Range<u64>) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    enum State {
        Start(File, Range<u64>),
        Reading(tokio::task::JoinHandle<std::io::Result<(Bytes, File)>>, Range<u64>),
    }
    let begin = |mut file: File, at: u64, bytes: u64, seek: bool| {
        tokio::task::spawn_blocking(move || {
            if seek {
                file.seek(SeekFrom::Start(at))?;
            }
            let mut piece = Vec::with_capacity(bytes as usize);
            (&file).take(bytes).read_to_end(&mut piece)?;
            if piece.len() as u64 != bytes {
                // Ends the connection: better than a body of the wrong length.
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            Ok((Bytes::from(piece), file))
        })
    };
    let next = move |file: File, rest: Range<u64>, seek: bool| {
        let bytes = (rest.end - rest.start).min(PIECE_BYTES);
        State::Reading(begin(file, rest.start, bytes, seek), rest.start + bytes..rest.end)
    };
    stream::unfold(Some(State::Start(blob.file, part)), move |state| async move {
        let state = match state? {
            State::Start(_, part) if part.is_empty() => return None,
            State::Start(file, part) => next(file, part, true),
            reading => reading,
        };
        let State::Reading(task, rest) = state else { return None };
        match task.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok((piece, _)) if rest.is_empty() => Some((Ok(piece), None)),
            Ok((piece, file)) => Some((Ok(piece), Some(next(file, rest, false)))),
            Err(error) => Some((Err(error), None)),
        }
    })
}
