//! Another registry, as imports and caches ask it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use oci::{Descriptor, Digest, Reference, ReferenceError, RepositoryName};

use crate::ByteStream;

/// Longest name of a host with its port, in bytes.
pub const HOST_BYTES_MAX: usize = 255;

/// What somebody signs in with at another registry.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// Absent where the password is a token that says who it is for.
    pub username: Option<String>,
    /// Password or token.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    /// Never the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// How long it is worth trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Patience {
    /// A client waits for the answer: soon, or not at all.
    Client,
    /// A job in the background: minutes.
    Job,
}

/// A repository of another registry, and how to ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Host as people write it, with its port where it has one: `docker.io`.
    pub host: String,
    /// The repository.
    pub repository: RepositoryName,
    /// Nobody, where there are none.
    pub credentials: Option<Credentials>,
    /// How long to try.
    pub patience: Patience,
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)
    }
}

/// Why a text does not name something in another registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteNameError {
    /// It does not begin with a host.
    #[error(
        "{0:?} does not begin with a registry's host; write for example docker.io/library/debian:12"
    )]
    NoHost(String),
    /// Repository, tag or digest do not follow their grammar.
    #[error("in {text:?}: {source}")]
    Reference {
        /// The whole text.
        text: String,
        /// What is wrong with it.
        source: ReferenceError,
    },
}

/// Reads `HOST/REPOSITORY`, where Docker Hub's own images may leave out
/// `library/`.
pub fn parse_repository(text: &str) -> Result<(String, RepositoryName), RemoteNameError> {
    let no_host = || RemoteNameError::NoHost(text.chars().take(HOST_BYTES_MAX).collect());
    let (host, path) = text.split_once('/').ok_or_else(no_host)?;
    let host = host.to_ascii_lowercase();
    if !is_host(&host) {
        return Err(no_host());
    }
    let official = host == DOCKER_HUB && !path.contains('/');
    let path = if official { format!("library/{path}") } else { path.to_owned() };
    let repository = RepositoryName::parse(&path)
        .map_err(|source| RemoteNameError::Reference { text: text.to_owned(), source })?;
    Ok((host, repository))
}

/// Reads `HOST/REPOSITORY[:TAG][@DIGEST]`; a digest counts more than a tag, and
/// without either the tag is `latest`.
pub fn parse_reference(text: &str) -> Result<(String, RepositoryName, Reference), RemoteNameError> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    // A colon before the last slash belongs to a port.
    let (name, tag) = match name.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => (before, Some(tag)),
        _ => (name, None),
    };
    let (host, repository) = parse_repository(name)?;
    let reference = Reference::parse(digest.or(tag).unwrap_or("latest"))
        .map_err(|source| RemoteNameError::Reference { text: text.to_owned(), source })?;
    Ok((host, repository, reference))
}

/// The name under which people know Docker's registry.
pub const DOCKER_HUB: &str = "docker.io";

/// A first path component with a dot or a port, or `localhost`: what tells a
/// host from the first part of a repository name.
fn is_host(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
    text.len() <= HOST_BYTES_MAX
        && text.bytes().all(allowed)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
        && (text.contains('.') || text.contains(':') || text == "localhost")
}

/// A manifest as another registry serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteManifest {
    /// Of `bytes`, verified.
    pub digest: Digest,
    /// Its `Content-Type`, without parameters; empty if it has none.
    pub media_type: String,
    /// The document.
    pub bytes: Bytes,
}

/// A blob that is on its way.
pub struct RemoteBlob {
    /// What the other side says its size is.
    pub size: Option<u64>,
    /// Its bytes, not verified.
    pub body: ByteStream,
}

/// Why another registry did not give what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// The operator does not let this server speak to it.
    #[error("{host} may not be asked: {why}")]
    Forbidden {
        /// The other registry.
        host: String,
        /// By which rule.
        why: String,
    },
    /// No connection, or no answer in time.
    #[error("cannot reach {host}: {why}")]
    Unreachable {
        /// The other registry.
        host: String,
        /// What the system said.
        why: String,
    },
    /// Credentials are missing, wrong, or not enough.
    #[error("{host} refuses access to {what}: {words}")]
    Refused {
        /// The other registry.
        host: String,
        /// What was asked for.
        what: String,
        /// In its own words.
        words: String,
    },
    /// It has no such thing.
    #[error("{host} has no {what}: {words}")]
    Unknown {
        /// The other registry.
        host: String,
        /// What was asked for.
        what: String,
        /// In its own words.
        words: String,
    },
    /// Too many requests.
    #[error("{host} asks to slow down: {words}")]
    Throttled {
        /// The other registry.
        host: String,
        /// In its own words.
        words: String,
        /// When to come back, if it says so.
        retry_after: Option<Duration>,
    },
    /// Any other answer that is an error.
    #[error("{host} answers {status} for {what}: {words}")]
    Failed {
        /// The other registry.
        host: String,
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
        /// In its own words.
        words: String,
    },
    /// The connection ended in the middle of an answer.
    #[error("{host} broke off in the middle of {what}: {why}")]
    BrokeOff {
        /// The other registry.
        host: String,
        /// What was asked for.
        what: String,
        /// What the transport said.
        why: String,
    },
    /// The bytes are not those that were asked for.
    #[error("{host} serves bytes that hash to {actual} for {expected}")]
    Untrue {
        /// The other registry.
        host: String,
        /// What was asked for.
        expected: Box<Digest>,
        /// What came.
        actual: Box<Digest>,
    },
    /// The answer is larger than any honest one.
    #[error("{host} answers with more than the {limit} bytes that {what} may have")]
    TooLarge {
        /// The other registry.
        host: String,
        /// What was asked for.
        what: String,
        /// In bytes.
        limit: u64,
    },
    /// The answer cannot be read.
    #[error("{host} does not answer with {expected}: {why}")]
    Malformed {
        /// The other registry.
        host: String,
        /// What was expected.
        expected: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl UpstreamError {
    /// Whether the same question may be answered a little later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Throttled { .. } | Self::BrokeOff { .. } => true,
            Self::Failed { status, .. } => *status >= 500,
            _ => false,
        }
    }
}

/// Asks other registries. Implementations bound every answer, try again what
/// can pass, and verify the digest of every document.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// What a tag stands for now, as cheaply as can be found out.
    async fn resolve(
        &self,
        remote: &Remote,
        reference: &Reference,
    ) -> Result<Digest, UpstreamError>;

    /// A manifest. Asked for by digest, it has that digest.
    async fn manifest(
        &self,
        remote: &Remote,
        reference: &Reference,
    ) -> Result<RemoteManifest, UpstreamError>;

    /// Size in bytes of a blob.
    async fn blob_size(&self, remote: &Remote, digest: &Digest) -> Result<u64, UpstreamError>;

    /// A blob from its first byte. A connection that breaks is taken up again
    /// where it broke; the stream fails only when that does not help.
    async fn blob(&self, remote: &Remote, digest: &Digest) -> Result<RemoteBlob, UpstreamError>;

    /// What is about a manifest, by the referrers API or, where there is none,
    /// by its fallback tag.
    async fn referrers(
        &self,
        remote: &Remote,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, UpstreamError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_people_write_them() {
        let check = |text: &str, host: &str, repository: &str, reference: &str| {
            let (h, r, t) = parse_reference(text).expect(text);
            assert_eq!(
                (h.as_str(), r.as_str(), t.to_string().as_str()),
                (host, repository, reference)
            );
        };
        let digest = format!("sha256:{}", "a".repeat(64));
        check("localhost:5000/a/b:1", "localhost:5000", "a/b", "1");
        check("localhost:5000/a", "localhost:5000", "a", "latest");
        check("example.org/a", "example.org", "a", "latest");
        check(&format!("h.io/a:1@{digest}"), "h.io", "a", &digest);
        check("docker.io/debian", "docker.io", "library/debian", "latest");
        check("Docker.io/grafana/loki:3", "docker.io", "grafana/loki", "3");
        check("[::1]:5000/a:2", "[::1]:5000", "a", "2");
        for wrong in
            ["nothing", "library/debian", "a.b", "h.io/UPPER", "h.io/a:", "-a.b/c", "a b.c/d"]
        {
            assert!(parse_reference(wrong).is_err(), "{wrong}");
        }
    }
}
