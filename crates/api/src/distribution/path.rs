//! Paths under `/v2/`. Repository names contain slashes, so a path is read
//! from its end, once.

use oci::{Digest, Reference, ReferenceError, RepositoryName};
use percent_encoding::percent_decode_str;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/NAME/tags/list`
    Tags(RepositoryName),
    /// `/v2/NAME/manifests/REFERENCE`
    Manifest(RepositoryName, Reference),
    /// `/v2/NAME/blobs/DIGEST`
    Blob(RepositoryName, Digest),
    /// `/v2/NAME/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/NAME/blobs/uploads/ID`
    Upload(RepositoryName, String),
    /// `/v2/NAME/referrers/DIGEST`
    Referrers(RepositoryName, Digest),
}

/// Why a path names nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum PathError {
    /// No such route.
    NotFound,
    /// A part does not follow its grammar.
    Malformed(Part, ReferenceError),
}

/// Which part of a path is meant; each has an error code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The repository's name.
    Name,
    /// The tag of a manifest.
    Tag,
    /// A digest.
    Digest,
}

impl Target {
    /// Reads a raw path. Split first and decoded after, so that `%2F` in a part
    /// is a slash of the name, as some clients send it.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let rest = path.strip_prefix("/v2").ok_or(PathError::NotFound)?;
        let rest = match rest {
            "" | "/" => return Ok(Self::Base),
            rest => rest.strip_prefix('/').ok_or(PathError::NotFound)?,
        };
        let parts: Vec<_> =
            rest.split('/').map(decode).collect::<Option<_>>().ok_or(PathError::NotFound)?;
        let parts: Vec<_> = parts.iter().map(|p| p.as_ref()).collect();
        match parts.as_slice() {
            ["_catalog"] => Ok(Self::Catalog),
            [name @ .., "tags", "list"] => Ok(Self::Tags(repository(name)?)),
            [name @ .., "manifests", reference] => {
                Ok(Self::Manifest(repository(name)?, manifest(reference)?))
            }
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
                Ok(Self::Uploads(repository(name)?))
            }
            [name @ .., "blobs", "uploads", id] => {
                Ok(Self::Upload(repository(name)?, (*id).to_owned()))
            }
            [name @ .., "blobs", text] => Ok(Self::Blob(repository(name)?, digest(text)?)),
            [name @ .., "referrers", text] => Ok(Self::Referrers(repository(name)?, digest(text)?)),
            _ => Err(PathError::NotFound),
        }
    }
}

fn decode(part: &str) -> Option<std::borrow::Cow<'_, str>> {
    percent_decode_str(part).decode_utf8().ok()
}

fn repository(parts: &[&str]) -> Result<RepositoryName, PathError> {
    RepositoryName::parse(&parts.join("/")).map_err(|error| PathError::Malformed(Part::Name, error))
}

fn manifest(text: &str) -> Result<Reference, PathError> {
    let part = if text.contains(':') { Part::Digest } else { Part::Tag };
    Reference::parse(text).map_err(|error| PathError::Malformed(part, error))
}

fn digest(text: &str) -> Result<Digest, PathError> {
    Digest::parse(text).map_err(|error| PathError::Malformed(Part::Digest, error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn check(path: &str, expected: &str) {
        let path = path.replace("DIGEST", D);
        let read = match Target::parse(&path) {
            Ok(Target::Base) => "base".into(),
            Ok(Target::Catalog) => "catalog".into(),
            Ok(Target::Tags(name)) => format!("tags {name}"),
            Ok(Target::Manifest(name, reference)) => format!("manifest {name} {reference}"),
            Ok(Target::Blob(name, _)) => format!("blob {name}"),
            Ok(Target::Uploads(name)) => format!("uploads {name}"),
            Ok(Target::Upload(name, id)) => format!("upload {name} {id}"),
            Ok(Target::Referrers(name, _)) => format!("referrers {name}"),
            Err(PathError::NotFound) => "not found".into(),
            Err(PathError::Malformed(part, _)) => format!("bad {part:?}"),
        };
        assert_eq!(read, expected, "{path}");
    }

    #[test]
    fn paths_are_read_from_their_end() {
        check("/v2", "base");
        check("/v2/", "base");
        check("/v2/_catalog", "catalog");
        check("/v2/a/b/tags/list", "tags a/b");
        check("/v2/a/tags/list/manifests/x", "manifest a/tags/list x");
        check(
            "/v2/a%2Fb/manifests/sha256%3Ae3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            &format!("manifest a/b {D}"),
        );
        check("/v2/a/blobs/DIGEST", "blob a");
        check("/v2/a/blobs/uploads", "uploads a");
        check("/v2/a/blobs/uploads/", "uploads a");
        check("/v2/a/blobs/uploads/1-2", "upload a 1-2");
        check("/v2/a/referrers/DIGEST", "referrers a");
    }

    #[test]
    fn what_is_malformed_says_which_part() {
        check("/v2/A/tags/list", "bad Name");
        check("/v2/../tags/list", "bad Name");
        check("/v2/tags/list", "bad Name");
        check("/v2/a/manifests/.x", "bad Tag");
        check("/v2/a/manifests/sha256:0", "bad Digest");
        check("/v2/a/blobs/latest", "bad Digest");
        check("/v2/a", "not found");
        check("/v2/a/%FF", "not found");
        check("/v3/", "not found");
        check("/v2x/a/tags/list", "not found");
    }
}
