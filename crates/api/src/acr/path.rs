//! Paths under `/acr/v1/`. Some clients encode the slashes of a repository's
//! name and some do not, so parts are decoded after splitting and a path is
//! read from its end.

use oci::{Digest, RepositoryName, Tag};
use percent_encoding::percent_decode_str;

use crate::distribution::path::{Part, PathError};

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `_catalog`
    Catalog,
    /// `NAME`
    Repository(RepositoryName),
    /// `NAME/_tags`
    Tags(RepositoryName),
    /// `NAME/_tags/TAG`
    Tag(RepositoryName, Tag),
    /// `NAME/_manifests`
    Manifests(RepositoryName),
    /// `NAME/_manifests/DIGEST`
    Manifest(RepositoryName, Digest),
    /// `_deleted/_catalog`
    DeletedCatalog,
    /// `_deleted/NAME/_manifests`
    DeletedManifests(RepositoryName),
    /// `_deleted/NAME/_tags`
    DeletedTags(RepositoryName),
    /// `_deleted/NAME/_manifests/DIGEST/restore`, or without the last part.
    Deleted(RepositoryName, Digest),
}

impl Target {
    /// Reads a raw path.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let rest = path.strip_prefix("/acr/v1/").ok_or(PathError::NotFound)?;
        let parts: Vec<String> = rest
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8().ok().map(|text| text.into_owned()))
            .collect::<Option<_>>()
            .ok_or(PathError::NotFound)?;
        let parts: Vec<_> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["_catalog"] => Ok(Self::Catalog),
            ["_deleted", "_catalog"] => Ok(Self::DeletedCatalog),
            ["_deleted", name @ .., "_manifests"] => Ok(Self::DeletedManifests(repository(name)?)),
            ["_deleted", name @ .., "_tags"] => Ok(Self::DeletedTags(repository(name)?)),
            ["_deleted", name @ .., "_manifests", text, "restore"]
            | ["_deleted", name @ .., "_manifests", text] => {
                Ok(Self::Deleted(repository(name)?, digest(text)?))
            }
            [name @ .., "_tags"] => Ok(Self::Tags(repository(name)?)),
            [name @ .., "_tags", tag] => {
                let tag = Tag::parse(tag).map_err(|e| PathError::Malformed(Part::Tag, e))?;
                Ok(Self::Tag(repository(name)?, tag))
            }
            [name @ .., "_manifests"] => Ok(Self::Manifests(repository(name)?)),
            [name @ .., "_manifests", text] => Ok(Self::Manifest(repository(name)?, digest(text)?)),
            name => Ok(Self::Repository(repository(name)?)),
        }
    }
}

fn repository(parts: &[&str]) -> Result<RepositoryName, PathError> {
    RepositoryName::parse(&parts.join("/")).map_err(|error| PathError::Malformed(Part::Name, error))
}

fn digest(text: &str) -> Result<Digest, PathError> {
    Digest::parse(text).map_err(|error| PathError::Malformed(Part::Digest, error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn check(path: &str, expected: &str) {
        let read = match Target::parse(&path.replace("DIGEST", D)) {
            Ok(Target::Catalog) => "catalog".into(),
            Ok(Target::Repository(name)) => format!("repository {name}"),
            Ok(Target::Tags(name)) => format!("tags {name}"),
            Ok(Target::Tag(name, tag)) => format!("tag {name} {tag}"),
            Ok(Target::Manifests(name)) => format!("manifests {name}"),
            Ok(Target::Manifest(name, _)) => format!("manifest {name}"),
            Ok(Target::DeletedCatalog) => "deleted".into(),
            Ok(Target::DeletedManifests(name)) => format!("deleted manifests {name}"),
            Ok(Target::DeletedTags(name)) => format!("deleted tags {name}"),
            Ok(Target::Deleted(name, _)) => format!("deleted manifest {name}"),
            Err(PathError::NotFound) => "not found".into(),
            Err(PathError::Malformed(part, _)) => format!("bad {part:?}"),
        };
        assert_eq!(read, expected, "{path}");
    }

    #[test]
    fn names_are_encoded_or_not() {
        check("/acr/v1/_catalog", "catalog");
        check("/acr/v1/library%2Fhello/_tags", "tags library/hello");
        check("/acr/v1/library/hello/_tags", "tags library/hello");
        check("/acr/v1/a/_tags/v1", "tag a v1");
        check(&format!("/acr/v1/a/_manifests/{}", D.replace(':', "%3A")), "manifest a");
        check("/acr/v1/a%2Fb/_manifests", "manifests a/b");
        check("/acr/v1/a/b", "repository a/b");
        check("/acr/v1/_deleted/_catalog", "deleted");
        check("/acr/v1/_deleted/a/b/_manifests", "deleted manifests a/b");
        check("/acr/v1/_deleted/a%2Fb/_tags", "deleted tags a/b");
        check("/acr/v1/_deleted/a/_manifests/DIGEST/restore", "deleted manifest a");
    }

    #[test]
    fn what_is_malformed_says_which_part() {
        check("/acr/v1/", "bad Name");
        check("/acr/v1/A", "bad Name");
        check("/acr/v1/a/_tags/.x", "bad Tag");
        check("/acr/v1/a/_manifests/latest", "bad Digest");
        check("/acr/v1/%FF", "not found");
        check("/acr/v2/a", "not found");
    }
}
