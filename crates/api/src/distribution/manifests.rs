//! `/v2/NAME/manifests/REFERENCE`
//! (OCI Distribution 1.1, "Pulling manifests", "Pushing Manifests").

use access::{Delete, Pull, Push};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use oci::{Reference, RepositoryName, Tag};
use registry::manifests::MANIFEST_BYTES_MAX;
use registry::{ManifestPush, PushManifestError};

use super::blobs::{DIGEST_HEADER, content_headers, is_known};
use super::error::{Code, OciError};
use super::request::Call;
use super::verdict::warning;

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

pub(super) async fn manifest(
    call: Call,
    name: RepositoryName,
    reference: Reference,
    body: Body,
) -> Result<Response, OciError> {
    match call.parts.method {
        Method::GET | Method::HEAD => read(&call, &name, &reference).await,
        Method::PUT => push(&call, &name, reference, body).await,
        Method::DELETE => {
            call.state.registry.delete_manifest(&call.permit::<Delete>(&name)?, &reference).await?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        _ => Err(OciError::method("GET, HEAD, PUT, DELETE")),
    }
}

/// What the client accepts is not looked at: the bytes were signed as they are.
async fn read(
    call: &Call,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response, OciError> {
    let permit = call.permit::<Pull>(name)?;
    let is_pull = call.parts.method == Method::GET;
    let mut stale = None;
    let manifest = if let Some(remote) = call.state.cache.source(name) {
        let found = call.state.cache.manifest(&permit, &remote, reference, is_pull).await?;
        stale = found.stale;
        found.manifest
    } else if is_pull {
        call.state.registry.pull_manifest(&permit, reference).await?
    } else {
        call.state.registry.find_manifest(&permit, reference).await?
    };
    let mut headers = content_headers(&manifest.digest);
    if let Some(why) = stale {
        let text = format!("{name}:{reference} may be out of date: {why}");
        headers.extend(warning(&text).map(|value| (header::WARNING, value)));
    }
    headers.remove(header::ACCEPT_RANGES);
    if matches!(reference, Reference::Tag(_)) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    if is_known(call, &manifest.digest) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    headers.extend(
        HeaderValue::try_from(&manifest.media_type).ok().map(|v| (header::CONTENT_TYPE, v)),
    );
    headers.insert(header::CONTENT_LENGTH, manifest.bytes.len().into());
    if is_pull {
        Ok((headers, manifest.bytes).into_response())
    } else {
        Ok(headers.into_response())
    }
}

async fn push(
    call: &Call,
    name: &RepositoryName,
    reference: Reference,
    body: Body,
) -> Result<Response, OciError> {
    let permit = call.permit::<Push>(name)?;
    let tags =
        call.query_all("tag").iter().map(|tag| Tag::parse(tag)).collect::<Result<Vec<_>, _>>();
    let tags = tags.map_err(|error| OciError::new(Code::TagInvalid, error))?;
    let bytes = match Limited::new(body, MANIFEST_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let declared = call.header(&header::CONTENT_LENGTH).and_then(|l| l.parse().ok());
            return Err(
                PushManifestError::TooLarge(declared.unwrap_or(MANIFEST_BYTES_MAX + 1)).into()
            );
        }
        Err(error) => {
            return Err(OciError::new(
                Code::ManifestInvalid,
                format!("the body broke off: {error}"),
            ));
        }
    };
    let asked_tags = tags.clone();
    let media_type = call.header(&header::CONTENT_TYPE).map(str::to_owned);
    let push = ManifestPush { reference, tags, media_type, bytes };
    let pushed = call.state.registry.push_manifest(&permit, push).await?;

    let mut headers = HeaderMap::new();
    let mut put = |name, value: String| {
        headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)))
    };
    put(header::LOCATION, format!("/v2/{name}/manifests/{}", pushed.digest));
    put(DIGEST_HEADER, pushed.digest.to_string());
    if let Some(subject) = pushed.subject {
        // Tells the client not to write the fallback tag.
        put(OCI_SUBJECT, subject.to_string());
    }
    for tag in asked_tags {
        headers.append(
            OCI_TAG,
            HeaderValue::try_from(tag.as_str()).map_err(|error| OciError::internal(&error))?,
        );
    }
    if let Some(verdict) = &call.state.verdict {
        let text = verdict.verdict(&pushed).await;
        headers.extend(text.as_deref().and_then(warning).map(|value| (header::WARNING, value)));
    }
    Ok((StatusCode::CREATED, headers).into_response())
}
