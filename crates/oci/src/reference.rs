//! Repository names, tags and references (OCI Distribution 1.1, "Pulling manifests").

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::quoted;
use crate::{Digest, DigestError};

/// Longest repository name, in bytes; what clients that put a host before it
/// still take.
pub const NAME_BYTES_MAX: usize = 255;
/// Longest tag, in bytes.
pub const TAG_BYTES_MAX: usize = 128;

/// Why a text does not name a repository or a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Not `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/...)*`, or too long.
    #[error(
        "repository name {0:?} is not valid: lower-case letters and digits, separated by '.', '_', '__' or \
         hyphens, in parts between slashes, at most {NAME_BYTES_MAX} bytes"
    )]
    Name(String),
    /// Not `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    #[error(
        "tag {0:?} is not valid: letters, digits, '_', '.', '-', not beginning with '.' or '-', at most {TAG_BYTES_MAX} bytes"
    )]
    Tag(String),
    /// Has a colon, so it should be a digest, and is not.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// The name of a repository, such as `library/debian`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(String);

impl RepositoryName {
    /// Reads a name by the grammar of the specification.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.len() <= NAME_BYTES_MAX && text.split('/').all(is_name_part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError::Name(quoted(text)))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_name_part(part: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !part.starts_with(alphanumeric) || !part.ends_with(alphanumeric) {
        return false;
    }
    part.split(alphanumeric).all(|between| {
        matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-')
    })
}

/// A tag, such as `1.4`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// Reads a tag by the grammar of the specification.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let bytes = text.as_bytes();
        let valid = bytes.first().is_some_and(|b| word(*b))
            && bytes.len() <= TAG_BYTES_MAX
            && bytes.iter().all(|b| word(*b) || matches!(b, b'.' | b'-'));
        if valid { Ok(Self(text.to_owned())) } else { Err(ReferenceError::Tag(quoted(text))) }
    }

    /// The tag under which clients of a registry without a referrers list keep
    /// an index of what refers to `subject`: the digest with a hyphen for its
    /// colon, its value cut to 64 characters (OCI Distribution 1.1, "Referrers
    /// Tag Schema").
    pub fn of_referrers(subject: &Digest) -> Self {
        /// Characters of a digest's value that the tag holds.
        const VALUE_CHARS: usize = 64;
        let mut value = subject.hex();
        value.truncate(VALUE_CHARS);
        Self(format!("{}-{value}", subject.algorithm().as_str()))
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a manifest is asked for by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By a tag, which may move.
    Tag(Tag),
    /// By its digest.
    Digest(Digest),
}

impl Reference {
    /// Reads a reference. A colon makes it a digest, since no tag has one.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            Ok(Self::Digest(Digest::parse(text)?))
        } else {
            Ok(Self::Tag(Tag::parse(text)?))
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

macro_rules! parsed_text {
    ($kind:ty) => {
        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl std::str::FromStr for $kind {
            type Err = ReferenceError;
            fn from_str(text: &str) -> Result<Self, ReferenceError> {
                Self::parse(text)
            }
        }
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}
parsed_text!(RepositoryName);
parsed_text!(Tag);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;

    fn check(name: &str, valid: bool) {
        assert_eq!(RepositoryName::parse(name).is_ok(), valid, "{name:?}");
    }

    #[test]
    fn the_tag_of_referrers_fits_any_digest() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = Digest::of(algorithm, b"subject");
            let tag = Tag::of_referrers(&digest);
            assert_eq!(Tag::parse(tag.as_str()), Ok(tag.clone()));
            assert_eq!(tag.as_str(), format!("{}-{}", algorithm.as_str(), &digest.hex()[..64]));
        }
    }

    #[test]
    fn names_follow_the_grammar() {
        for name in [
            "a",
            "library/debian",
            "a.b",
            "a_b",
            "a__b",
            "a---b",
            "0/1/2/3",
            &"a".repeat(NAME_BYTES_MAX),
        ] {
            check(name, true);
        }
        for name in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "a._b", "-a", "a-", ".a", "a b",
            "ä", "a/../b",
        ] {
            check(name, false);
        }
        check(&"a".repeat(NAME_BYTES_MAX + 1), false);
    }

    #[test]
    fn tags_follow_the_grammar() {
        let accepted = |text: &str| matches!(Reference::parse(text), Ok(Reference::Tag(_)));
        assert!(
            ["latest", "1.0", "_a", "A-b_c.d", &"t".repeat(TAG_BYTES_MAX)]
                .into_iter()
                .all(accepted)
        );
        assert!(
            !["", ".a", "-a", "a/b", "a b", "é", &"t".repeat(TAG_BYTES_MAX + 1)]
                .into_iter()
                .any(accepted)
        );
        assert!(matches!(Reference::parse("sha256:12"), Err(ReferenceError::Digest(_))));
    }
}
