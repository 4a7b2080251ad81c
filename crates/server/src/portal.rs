//! The portal's files, embedded in the binary.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, Method, StatusCode, Uri};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../portal/dist"]
#[allow_missing = true]
struct Dist;

/// Nothing from elsewhere, and no inline script. Styles are made at run time
/// by the component library.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";

const NOT_BUILT: &str = "<!doctype html><meta charset=utf-8><title>Lazaret</title><p>This binary was built without \
     the portal. Run <code>make portal</code> and build again. The registry and the APIs work.";

/// Serves a file, or the page itself for every address that is the portal's own.
pub async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed here\n");
    }
    let path = uri.path().trim_start_matches('/');
    if let Some(response) = file(path, &headers) {
        return response;
    }
    // A missing asset is missing: the page in its place would be run as a script.
    if path.starts_with("assets/") || path.starts_with("api/") || path.starts_with("v2/") {
        return plain(StatusCode::NOT_FOUND, "there is nothing here\n");
    }
    file("index.html", &headers).unwrap_or_else(|| {
        let mut response = Response::new(Body::from(NOT_BUILT));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, http::HeaderValue::from_static("text/html; charset=utf-8"));
        secured(response)
    })
}

fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    // The compressed twins are served under the plain name only.
    if path.is_empty() || path.ends_with(".gz") || path.ends_with(".br") {
        return None;
    }
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
    let accepts = |coding: &str| {
        accepted.split(',').any(|c| c.split(';').next().unwrap_or("").trim() == coding)
    };
    let (content, coding) = [("br", "br"), ("gzip", "gz")]
        .into_iter()
        .filter(|(coding, _)| accepts(coding))
        .find_map(|(coding, suffix)| Some((Dist::get(&format!("{path}.{suffix}"))?, Some(coding))))
        .or_else(|| Some((Dist::get(path)?, None)))?;
    let mut response = Response::builder()
        .header(CONTENT_TYPE, content_type(path))
        .header(VARY, "Accept-Encoding")
        // Names under assets/ carry a hash of what is in them.
        .header(
            CACHE_CONTROL,
            if path.starts_with("assets/") {
                "public, max-age=31536000, immutable"
            } else {
                "no-cache"
            },
        );
    if let Some(coding) = coding {
        response = response.header(CONTENT_ENCODING, coding);
    }
    response.body(Body::from(content.data.into_owned())).ok().map(secured)
}

fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    secured(response)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
