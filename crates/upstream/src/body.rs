//! Answers of another registry: bounded, and its own words when it refuses.

use bytes::{Bytes, BytesMut};
use registry::upstream::UpstreamError;
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::guard::Forbidden;
use crate::retry::retry_after;

/// Largest document other than a manifest that is read: tokens, lists.
pub const DOCUMENT_BYTES_MAX: u64 = 8 << 20;
/// Bytes of an error's body that are read.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Characters of the other side's words that are passed on.
const WORDS_CHARS_MAX: usize = 500;

/// A whole body of at most `limit` bytes.
pub async fn small(
    host: &str,
    what: &str,
    mut response: Response,
    limit: u64,
) -> Result<Bytes, UpstreamError> {
    let mut bytes = BytesMut::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| UpstreamError::BrokeOff {
            host: host.to_owned(),
            what: what.to_owned(),
            why: chain(&error),
        })?;
        let Some(chunk) = chunk else { return Ok(bytes.freeze()) };
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(UpstreamError::TooLarge {
                host: host.to_owned(),
                what: what.to_owned(),
                limit,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// What an answer that is no success means.
pub async fn failure(host: &str, what: &str, response: Response) -> UpstreamError {
    let status = response.status();
    let retry_after = retry_after(&response);
    let words = words(response).await;
    let (host, what) = (host.to_owned(), what.to_owned());
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            UpstreamError::Refused { host, what, words }
        }
        StatusCode::NOT_FOUND => UpstreamError::Unknown { host, what, words },
        StatusCode::TOO_MANY_REQUESTS => UpstreamError::Throttled { host, words, retry_after },
        // Overloaded, and says when it will not be: the same thing.
        StatusCode::SERVICE_UNAVAILABLE if retry_after.is_some() => {
            UpstreamError::Throttled { host, words, retry_after }
        }
        _ => UpstreamError::Failed { host, what, status: status.as_u16(), words },
    }
}

/// Why no answer came.
pub fn unreachable(host: &str, error: &reqwest::Error) -> UpstreamError {
    let causes = std::iter::successors(std::error::Error::source(error), |e| e.source());
    match causes.into_iter().find_map(|cause| cause.downcast_ref::<Forbidden>()) {
        Some(forbidden) => {
            UpstreamError::Forbidden { host: host.to_owned(), why: forbidden.to_string() }
        }
        None => UpstreamError::Unreachable { host: host.to_owned(), why: chain(error) },
    }
}

/// An error with its causes, without the address: that may carry a signature.
pub fn chain(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |e| e.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    if text.is_empty() { "no answer in time".to_owned() } else { printable(&text) }
}

/// The messages of an OCI error body, or the body itself if it is text.
async fn words(mut response: Response) -> String {
    let status = response.status();
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ERROR_BYTES_MAX {
            bytes.truncate(ERROR_BYTES_MAX);
            break;
        }
    }
    words_of(&bytes).unwrap_or_else(|| status.to_string())
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Error>,
}

#[derive(Deserialize)]
struct Error {
    #[serde(default)]
    code: String,
    message: Option<String>,
}

fn words_of(bytes: &[u8]) -> Option<String> {
    let text = match serde_json::from_slice::<Errors>(bytes) {
        Ok(body) => {
            let said = body.errors.into_iter().map(|e| match e.message {
                Some(message) if e.code.is_empty() => message,
                Some(message) => format!("{}: {message}", e.code),
                None => e.code,
            });
            said.collect::<Vec<_>>().join("; ")
        }
        // A page for people says nothing in a line.
        Err(_) if bytes.trim_ascii_start().starts_with(b"<") => return None,
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    };
    let text = printable(text.trim());
    (!text.is_empty()).then_some(text)
}

/// One line, without control characters, not too long.
fn printable(text: &str) -> String {
    let flat = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    flat.filter(|c| !c.is_control()).take(WORDS_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_sides_words_are_passed_on() {
        let check = |body: &str, expected: Option<&str>| {
            assert_eq!(words_of(body.as_bytes()).as_deref(), expected, "{body}");
        };
        check(
            r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#,
            Some("TOOMANYREQUESTS: You have reached your pull rate limit."),
        );
        check(r#"{"errors":[{"code":"A"},{"message":"b"}]}"#, Some("A; b"));
        check("too\nmany \u{1b}[31mrequests", Some("too many [31mrequests"));
        check("<html><body>502</body></html>", None);
        check("", None);
    }
}
