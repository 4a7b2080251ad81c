//! Package URLs (purl-spec): written for every package, read by `match`.
//!
//! Two rules of the specification are left out on purpose: npm and Go names
//! keep their case, since `JSONStream` and `jsonstream` are two packages and
//! advisories name them as they are.

mod convert;
mod encoding;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use encoding::{Allow, decode, encode};

/// Longest purl that is read, in bytes.
pub const PURL_BYTES_MAX: usize = 8192;

/// A package URL taken apart; every part is decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Purl {
    /// The type, lower case, such as `deb`.
    pub kind: String,
    /// Distribution, scope, group or path before the name; `/` between its
    /// segments. Never empty where present.
    pub namespace: Option<String>,
    /// The name, never empty.
    pub name: String,
    /// The version, never empty where present.
    pub version: Option<String>,
    /// Lower-case keys, values that are not empty.
    pub qualifiers: BTreeMap<String, String>,
    /// A path inside the package; `/` between its segments.
    pub subpath: Option<String>,
}

/// Why a text is no purl, or a purl no package of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PurlError {
    /// Longer than `PURL_BYTES_MAX`.
    #[error("the purl has {0} bytes, more than the {PURL_BYTES_MAX} that are read")]
    TooLong(usize),
    /// Does not begin with `pkg:`.
    #[error("a purl begins with `pkg:`, as in pkg:deb/debian/openssl@3.0.11-1")]
    MissingScheme,
    /// No type, or characters that a type may not have.
    #[error("{0:?} is not a purl type: letters, digits, `.`, `+`, `-`, no digit first")]
    InvalidType(String),
    /// Nothing where the name should be.
    #[error("the purl has no name behind its type")]
    MissingName,
    /// A percent sign without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("{0:?} is not percent-encoded UTF-8")]
    InvalidEncoding(String),
    /// A qualifier's key has characters that it may not have.
    #[error("{0:?} is not a qualifier's key: letters, digits, `.`, `-`, `_`, no digit first")]
    InvalidQualifier(String),
    /// The same qualifier twice.
    #[error("the qualifier {0:?} is given twice")]
    RepeatedQualifier(String),
    /// A type that no feed is known for.
    #[error("packages of type {0:?} are not known here")]
    UnknownType(String),
    /// Without a version nothing can be compared.
    #[error("the purl has no version: write it behind the name, as in @1.2.3")]
    MissingVersion,
}

impl Purl {
    /// A purl of a type and a name alone.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            namespace: None,
            name: name.into(),
            version: None,
            qualifiers: BTreeMap::new(),
            subpath: None,
        }
    }

    /// Applies the rules that a type has for its own names.
    fn normalise(&mut self) {
        let (namespace, name) = match self.kind.as_str() {
            "deb" | "apk" | "composer" => (true, true),
            "rpm" => (true, false),
            "pypi" => {
                self.name = self.name.replace('_', "-");
                (false, true)
            }
            _ => (false, false),
        };
        if namespace {
            self.namespace = self.namespace.as_ref().map(|text| text.to_lowercase());
        }
        if name {
            self.name = self.name.to_lowercase();
        }
    }
}

impl FromStr for Purl {
    type Err = PurlError;

    /// Reads from the right, as the specification's parser does.
    fn from_str(text: &str) -> Result<Self, PurlError> {
        let text = text.trim();
        if text.len() > PURL_BYTES_MAX {
            return Err(PurlError::TooLong(text.len()));
        }
        let (rest, subpath) = match text.rsplit_once('#') {
            Some((rest, subpath)) => (rest, read_subpath(subpath)?),
            None => (text, None),
        };
        let (rest, qualifiers) = match rest.rsplit_once('?') {
            Some((rest, qualifiers)) => (rest, read_qualifiers(qualifiers)?),
            None => (rest, BTreeMap::new()),
        };
        let rest = match rest.split_once(':') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("pkg") => rest,
            _ => return Err(PurlError::MissingScheme),
        };
        let (kind, rest) = rest.trim_matches('/').split_once('/').ok_or(PurlError::MissingName)?;
        let kind = kind.to_ascii_lowercase();
        if !is_word(&kind, b".+-") {
            return Err(PurlError::InvalidType(kind));
        }
        // An `@` that begins a segment is an npm scope, not a version.
        let (path, version) = match rest.rsplit_once('@') {
            Some((path, version)) if !path.is_empty() && !path.ends_with('/') => (path, version),
            _ => (rest, ""),
        };
        let mut segments = Vec::new();
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            segments.push(decode(segment)?);
        }
        let name = segments.pop().filter(|name| !name.is_empty()).ok_or(PurlError::MissingName)?;
        let mut purl = Self {
            kind,
            namespace: Some(segments.join("/")).filter(|text| !text.is_empty()),
            name,
            version: Some(decode(version)?).filter(|text| !text.is_empty()),
            qualifiers,
            subpath,
        };
        purl.normalise();
        Ok(purl)
    }
}

impl fmt::Display for Purl {
    /// Writes the canonical form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pkg:{}", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "/{}", encode(namespace, Allow::Slash))?;
        }
        write!(f, "/{}", encode(&self.name, Allow::Nothing))?;
        if let Some(version) = &self.version {
            write!(f, "@{}", encode(version, Allow::Nothing))?;
        }
        for (index, (key, value)) in self.qualifiers.iter().enumerate() {
            let lead = if index == 0 { '?' } else { '&' };
            write!(f, "{lead}{key}={}", encode(value, Allow::Nothing))?;
        }
        if let Some(subpath) = &self.subpath {
            write!(f, "#{}", encode(subpath, Allow::Slash))?;
        }
        Ok(())
    }
}

/// Whether it has only lower-case letters, digits and `others`, no digit first.
fn is_word(text: &str, others: &[u8]) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || others.contains(&c);
    !text.is_empty() && !text.as_bytes()[0].is_ascii_digit() && text.bytes().all(allowed)
}

fn read_qualifiers(text: &str) -> Result<BTreeMap<String, String>, PurlError> {
    let mut qualifiers = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = key.to_ascii_lowercase();
        if !is_word(&key, b".-_") {
            return Err(PurlError::InvalidQualifier(key));
        }
        let value = decode(value)?;
        // A qualifier without a value is as good as absent.
        if !value.is_empty() && qualifiers.insert(key.clone(), value).is_some() {
            return Err(PurlError::RepeatedQualifier(key));
        }
    }
    Ok(qualifiers)
}

/// Drops empty and dot segments, so that no subpath leads out of a package.
fn read_subpath(text: &str) -> Result<Option<String>, PurlError> {
    let decoded = decode(text)?;
    let kept: Vec<_> =
        decoded.split('/').filter(|segment| !matches!(*segment, "" | "." | "..")).collect();
    Ok(Some(kept.join("/")).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(input: &str, canonical: &str) {
        let purl: Purl = input.parse().unwrap_or_else(|error| panic!("{input}: {error}"));
        assert_eq!(purl.to_string(), canonical, "{input}");
        assert_eq!(canonical.parse(), Ok(purl), "{input}");
    }

    fn refuse(input: &str, expected: PurlError) {
        assert_eq!(input.parse::<Purl>(), Err(expected), "{input}");
    }

    #[test]
    fn reads_and_writes_the_canonical_form() {
        check(
            "pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie",
            "pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie",
        );
        check("PKG:DEB/Debian/Curl@1%3A2?Arch=i386", "pkg:deb/debian/curl@1:2?arch=i386");
        check("pkg:/apk//Alpine/MUSL/@1.2-r0", "pkg:apk/alpine/musl/%401.2-r0");
        check("pkg://pypi/Typing_Extensions@4.0", "pkg:pypi/typing-extensions@4.0");
        check("pkg:npm/%40angular/core@1.0", "pkg:npm/%40angular/core@1.0");
        check("pkg:npm/@angular/core@1.0", "pkg:npm/%40angular/core@1.0");
        check("pkg:npm/@angular/core", "pkg:npm/%40angular/core");
        check("pkg:npm/JSONStream@1.0.0", "pkg:npm/JSONStream@1.0.0");
        check(
            "pkg:golang/google.golang.org/genproto@abc#/googleapis/./api/../x/",
            "pkg:golang/google.golang.org/genproto@abc#googleapis/api/x",
        );
        check(
            "pkg:golang/github.com/a/b@v2.0.0+incompatible",
            "pkg:golang/github.com/a/b@v2.0.0%2Bincompatible",
        );
        check(
            "pkg:maven/org.apache/x@1?type=jar&classifier=&Repository_url=a/b",
            "pkg:maven/org.apache/x@1?repository_url=a%2Fb&type=jar",
        );
        check("pkg:gem/é%20x@1~2", "pkg:gem/%C3%A9%20x@1~2");
        check("pkg:rpm/Fedora/Curl@7-1?epoch=1", "pkg:rpm/fedora/Curl@7-1?epoch=1");
    }

    #[test]
    fn refuses_what_is_no_purl() {
        refuse("deb/debian/curl", PurlError::MissingScheme);
        refuse("", PurlError::MissingScheme);
        refuse("pkg:deb", PurlError::MissingName);
        refuse("pkg:deb/", PurlError::MissingName);
        refuse("pkg:2deb/x", PurlError::InvalidType("2deb".into()));
        refuse("pkg:d_b/x", PurlError::InvalidType("d_b".into()));
        refuse("pkg:deb/x%2", PurlError::InvalidEncoding("x%2".into()));
        refuse("pkg:deb/x%+1", PurlError::InvalidEncoding("x%+1".into()));
        refuse("pkg:deb/x%ff", PurlError::InvalidEncoding("x%ff".into()));
        refuse("pkg:deb/x?a b=1", PurlError::InvalidQualifier("a b".into()));
        refuse("pkg:deb/x?a=1&A=2", PurlError::RepeatedQualifier("a".into()));
        refuse(
            &format!("pkg:deb/{}", "x".repeat(PURL_BYTES_MAX)),
            PurlError::TooLong(PURL_BYTES_MAX + 8),
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            kind in "[a-z][a-z0-9.+-]{0,5}",
            namespace in prop::option::of("[^/]{1,6}(/[^/]{1,6}){0,2}"),
            name in ".{1,8}",
            version in prop::option::of(".{1,8}"),
            qualifiers in prop::collection::btree_map("[a-z][a-z0-9._-]{0,4}", ".{1,8}", 0..4),
            subpath in prop::option::of("[a-z%#?@ ]{1,4}(/[a-z.é]{0,3}x){0,2}"),
        ) {
            let mut purl = Purl { kind, namespace, name, version, qualifiers, subpath };
            purl.normalise();
            prop_assert_eq!(purl.to_string().parse(), Ok(purl.clone()), "{}", purl);
        }

        #[test]
        fn any_text_is_survived(text in "(pkg:)?[a-z/@?#&=%.:0-9 é-]{0,40}") {
            if let Ok(purl) = text.parse::<Purl>() {
                prop_assert_eq!(purl.to_string().parse(), Ok(purl.clone()), "{}", purl);
            }
        }
    }
}
