//! The `Warning` header on a manifest push, which some clients print
//! (OCI Distribution 1.1, "Warnings").

use async_trait::async_trait;
use http::HeaderValue;
use registry::PushedManifest;

/// Longest header value, in bytes, of all warnings together.
const WARNING_BYTES_MAX: usize = 4096;

/// Says something about a manifest that was just accepted.
#[async_trait]
pub trait PushVerdict: Send + Sync {
    /// One or two sentences, or nothing. The push is answered when this
    /// returns, so the implementation bounds how long it takes.
    async fn verdict(&self, manifest: &PushedManifest) -> Option<String>;
}

/// `299 - "text"`, with the text made fit for a quoted string: ASCII, no
/// control characters, quotes and backslashes escaped, cut to the limit.
pub(super) fn warning(text: &str) -> Option<HeaderValue> {
    let mut value = String::from("299 - \"");
    for c in text.chars() {
        let piece = match c {
            '"' | '\\' => format!("\\{c}"),
            ' '..='~' => c.to_string(),
            '\t' | '\n' | '\r' => " ".to_owned(),
            c if c.is_control() => continue,
            _ => "?".to_owned(),
        };
        if value.len() + piece.len() + 1 > WARNING_BYTES_MAX {
            break;
        }
        value.push_str(&piece);
    }
    value.push('"');
    HeaderValue::from_str(&value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(warning(text).unwrap(), expected, "{text:?}");
    }

    #[test]
    fn any_text_becomes_a_quoted_string() {
        check("2 high", r#"299 - "2 high""#);
        check("a \"b\" \\ c", r#"299 - "a \"b\" \\ c""#);
        check("a\r\nX-Injected: 1", r#"299 - "a  X-Injected: 1""#);
        check("é\0", r#"299 - "?""#);
        let long = warning(&"\"".repeat(9000)).unwrap();
        assert!(long.len() <= WARNING_BYTES_MAX && long.to_str().unwrap().ends_with("\\\"\""));
    }
}
