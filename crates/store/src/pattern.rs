//! Patterns for names of repositories and tags, as operators write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest pattern, in bytes; a repository's name has no more.
pub const PATTERN_BYTES_MAX: usize = 255;

/// A name in which `*` stands for any text, slashes too, and `?` for one
/// character. Never empty, at most [`PATTERN_BYTES_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no pattern: 1 to {PATTERN_BYTES_MAX} printable ASCII characters, `*` for any text, `?` for one character"
)]
pub struct PatternError(String);

impl Pattern {
    /// Matches every name.
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for the whole name. Costs at most the product of both
    /// lengths.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // Where the last star stands, and how much of the name it has taken.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(c) if *c == b'?' || *c == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => match star {
                    Some((at, taken)) => {
                        star = Some((at, taken + 1));
                        p = at + 1;
                        n = taken + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|c| *c == b'*')
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let fits = !text.is_empty() && text.len() <= PATTERN_BYTES_MAX;
        if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PatternError(text.chars().take(PATTERN_BYTES_MAX).collect()))
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern: Pattern = pattern.parse().unwrap();
        for name in yes {
            assert!(pattern.matches(name), "{pattern} {name}");
        }
        for name in no {
            assert!(!pattern.matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn stars_stand_for_any_text() {
        check("v*", &["v", "v1", "v1.2"], &["", "1v", "V1"]);
        check("release/*", &["release/a", "release/a/b"], &["release", "prerelease/a"]);
        check("*", &["", "a", "a/b"], &[]);
        check("*-rc?", &["1-rc1", "-rc-rc2"], &["1-rc", "1-rc10"]);
        check("a*b*c", &["abc", "aXbYbZc"], &["abcd", "ac", "acb"]);
        check("a.b", &["a.b"], &["axb"]);
    }

    #[test]
    fn hostile_patterns_cost_little() {
        let pattern: Pattern = "*a".repeat(100).parse().unwrap();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(4000))));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "a b", "ä", &"x".repeat(256)] {
            assert!(text.parse::<Pattern>().is_err(), "{text:?}");
        }
    }
}
