//! What an image says it is (freedesktop.org, os-release(5)).

use serde::{Deserialize, Serialize};

/// The fields of os-release that decide which feed judges an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OsRelease {
    /// `ID`, lower case, such as `debian`; `linux` where absent.
    pub id: String,
    /// `ID_LIKE`, split at blanks.
    pub id_like: Vec<String>,
    /// `VERSION_ID`, such as `12` or `3.18.4`.
    pub version_id: Option<String>,
    /// `VERSION_CODENAME`, such as `bookworm`.
    pub codename: Option<String>,
    /// `PRETTY_NAME`, for people.
    pub pretty_name: Option<String>,
}

/// Longest value that is kept, in characters; the rest is cut.
const VALUE_CHARS_MAX: usize = 256;

impl OsRelease {
    /// Reads the file. Never fails: a line that is not `KEY=value` is passed
    /// over, bytes that are not UTF-8 are replaced.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut os = Self { id: "linux".into(), ..Self::default() };
        for line in text.lines() {
            let Some((key, value)) = line.trim().split_once('=') else { continue };
            let value = unquote(value);
            if value.is_empty() {
                continue;
            }
            match key {
                "ID" => os.id = value.to_ascii_lowercase(),
                "ID_LIKE" => os.id_like = value.split_whitespace().map(str::to_owned).collect(),
                "VERSION_ID" => os.version_id = Some(value),
                "VERSION_CODENAME" => os.codename = Some(value),
                "PRETTY_NAME" => os.pretty_name = Some(value),
                _ => {}
            }
        }
        os
    }
}

/// Removes one pair of shell quotes and the backslashes inside them.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let (inner, escapes) = match value.as_bytes() {
        [b'"', .., b'"'] if value.len() >= 2 => (&value[1..value.len() - 1], true),
        [b'\'', .., b'\''] if value.len() >= 2 => (&value[1..value.len() - 1], false),
        _ => (value, true),
    };
    let mut out = String::new();
    let mut chars = inner.chars().filter(|c| !c.is_control());
    while let Some(c) = chars.next() {
        let c = if c == '\\' && escapes { chars.next().unwrap_or(c) } else { c };
        out.push(c);
        if out.chars().count() >= VALUE_CHARS_MAX {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, id: &str, version_id: Option<&str>, codename: Option<&str>) {
        let os = OsRelease::parse(input.as_bytes());
        assert_eq!(
            (os.id.as_str(), os.version_id.as_deref(), os.codename.as_deref()),
            (id, version_id, codename)
        );
    }

    #[test]
    fn reads_what_distributions_write() {
        check(
            "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
            "debian",
            Some("12"),
            Some("bookworm"),
        );
        check("NAME='x'\nID='alpine'\r\nVERSION_ID=3.18.4", "alpine", Some("3.18.4"), None);
        check("", "linux", None, None);
        check("ID=\"\nVERSION_ID='\n=\n\0\n", "\"", Some("'"), None);
    }
}
