//! One request after another, with everything around it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use oci::{Descriptor, Digest, Reference, media_type};
use registry::manifests::MANIFEST_BYTES_MAX;
use registry::upstream::{
    DOCKER_HUB, Patience, Remote, RemoteBlob, RemoteManifest, Upstream, UpstreamError,
};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LINK, RANGE, WWW_AUTHENTICATE,
};
use reqwest::{Client, Method, Response, StatusCode, Url, redirect};
use serde::Deserialize;

use crate::body::{self, DOCUMENT_BYTES_MAX, failure};
use crate::guard::Guard;
use crate::tokens::Tokens;
use crate::{blob, challenge, retry};

/// A registry that cannot be connected to within this time is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A registry that is silent for so long is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest that somebody who waits at a client waits for the beginning of
/// an answer.
const CLIENT_ANSWER_MAX: Duration = Duration::from_secs(10);
/// Redirects that are followed.
const REDIRECTS_MAX: usize = 5;
/// Referrers of one manifest that are read.
const REFERRERS_MAX: usize = 1000;
/// Pages on which they may come.
const REFERRERS_PAGES_MAX: usize = 100;

const MANIFEST_TYPES: [&str; 4] = [
    media_type::OCI_INDEX,
    media_type::DOCKER_LIST,
    media_type::OCI_MANIFEST,
    media_type::DOCKER_MANIFEST,
];

/// How other registries are reached.
#[derive(Debug, Clone, Default)]
pub struct UpstreamSettings {
    /// Which may be.
    pub guard: Guard,
    /// Hosts, with their ports, that speak plain HTTP.
    pub plain_http: Vec<String>,
    /// Certificates to trust beside the system's, in PEM form.
    pub ca_file: Option<PathBuf>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file of certificates cannot be read.
    #[error("cannot read {path}: {source}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds no certificates, or TLS cannot be set up.
    #[error("cannot set up the client for other registries: {0}")]
    Client(#[from] reqwest::Error),
}

/// Asks other registries over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct HttpUpstream {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    guard: Guard,
    plain_http: Vec<String>,
    tokens: Tokens,
}

/// One question.
struct Question<'a> {
    method: Method,
    url: String,
    accept: &'a [&'a str],
    /// First byte that is wanted.
    from: u64,
    /// For error messages.
    what: &'a str,
}

impl HttpUpstream {
    /// Reads the certificates; asks nobody yet.
    pub fn new(settings: UpstreamSettings) -> Result<Self, SetupError> {
        let UpstreamSettings { guard, plain_http, ca_file } = settings;
        let mut builder = Client::builder()
            .user_agent(concat!("lazaret/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .dns_resolver(Arc::new(guard.clone()))
            .redirect(redirects(guard.clone()));
        if let Some(path) = ca_file {
            let pem = std::fs::read(&path)
                .map_err(|source| SetupError::CaFile { path: path.clone(), source })?;
            for certificate in reqwest::Certificate::from_pem_bundle(&pem)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder.build()?;
        Ok(Self { inner: Arc::new(Inner { client, guard, plain_http, tokens: Tokens::default() }) })
    }

    fn is_plain(&self, remote: &Remote) -> bool {
        self.inner.plain_http.iter().any(|host| host.eq_ignore_ascii_case(&remote.host))
    }

    fn url(&self, remote: &Remote, rest: &str) -> String {
        let scheme = if self.is_plain(remote) { "http" } else { "https" };
        // The name that people use is not that of the machine.
        let host = match remote.host.as_str() {
            DOCKER_HUB | "index.docker.io" => "registry-1.docker.io",
            host => host,
        };
        format!("{scheme}://{host}/v2/{}/{rest}", remote.repository)
    }

    /// Asks until there is an answer that is a success or lasts.
    async fn ask(
        &self,
        remote: &Remote,
        question: &Question<'_>,
    ) -> Result<Response, UpstreamError> {
        let forbidden = |why: crate::guard::Forbidden| UpstreamError::Forbidden {
            host: remote.host.clone(),
            why: why.to_string(),
        };
        self.inner.guard.check_registry(&remote.host).map_err(forbidden)?;
        let url = Url::parse(&question.url).map_err(|error| UpstreamError::Unreachable {
            host: remote.host.clone(),
            why: error.to_string(),
        })?;
        self.inner.guard.check_url(&url).map_err(forbidden)?;
        let mut tried = 0;
        loop {
            let error = match self.ask_once(remote, question, &url).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            tried += 1;
            match retry::wait(remote.patience, tried, &error) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    async fn ask_once(
        &self,
        remote: &Remote,
        question: &Question<'_>,
        url: &Url,
    ) -> Result<Response, UpstreamError> {
        let mut authorization = self.inner.tokens.known(remote);
        let mut challenged = false;
        loop {
            let response = self.send(remote, question, url, authorization.as_deref()).await?;
            if response.status() == StatusCode::UNAUTHORIZED && !challenged {
                challenged = true;
                let values = response.headers().get_all(WWW_AUTHENTICATE).into_iter();
                let challenge = challenge::parse(values.filter_map(|v| v.to_str().ok()));
                if let Some(challenge) = challenge {
                    let secure = !self.is_plain(remote);
                    let Inner { client, guard, tokens, .. } = &*self.inner;
                    let answer = tokens.answer(client, guard, remote, &challenge, secure);
                    authorization = Some(answer.await?);
                    continue;
                }
            }
            if response.status().is_success() {
                return Ok(response);
            }
            return Err(failure(&remote.host, question.what, response).await);
        }
    }

    async fn send(
        &self,
        remote: &Remote,
        question: &Question<'_>,
        url: &Url,
        authorization: Option<&str>,
    ) -> Result<Response, UpstreamError> {
        let mut request = self.inner.client.request(question.method.clone(), url.clone());
        for accepted in question.accept {
            request = request.header(ACCEPT, *accepted);
        }
        if question.from > 0 {
            request = request.header(RANGE, format!("bytes={}-", question.from));
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let sent = match remote.patience {
            Patience::Job => request.send().await,
            Patience::Client => tokio::time::timeout(CLIENT_ANSWER_MAX, request.send())
                .await
                .map_err(|_| UpstreamError::Unreachable {
                    host: remote.host.clone(),
                    why: format!("no answer within {} s", CLIENT_ANSWER_MAX.as_secs()),
                })?,
        };
        sent.map_err(|error| body::unreachable(&remote.host, &error))
    }

    /// Begins to read a blob at a byte.
    pub(crate) async fn ask_blob(
        &self,
        remote: &Remote,
        digest: &Digest,
        from: u64,
    ) -> Result<Response, UpstreamError> {
        let what = format!("blob {digest} in {}", remote.repository);
        let url = self.url(remote, &format!("blobs/{digest}"));
        let question = Question { method: Method::GET, url, accept: &[], from, what: &what };
        self.ask(remote, &question).await
    }

    /// Where the referrers API is missing: the index under the fallback tag
    /// (OCI Distribution 1.1, "Referrers Tag Schema").
    async fn fallback_referrers(
        &self,
        remote: &Remote,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, UpstreamError> {
        let tag = format!("{}-{}", subject.algorithm(), subject.hex());
        // A digest longer than a tag may be has no such tag.
        let Ok(tag) = Reference::parse(&tag) else { return Ok(Vec::new()) };
        match self.manifest(remote, &tag).await {
            Ok(manifest) => read_list(remote, &manifest.bytes),
            Err(UpstreamError::Unknown { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Upstream for HttpUpstream {
    async fn resolve(
        &self,
        remote: &Remote,
        reference: &Reference,
    ) -> Result<Digest, UpstreamError> {
        let what = format!("manifest {}:{reference}", remote.repository);
        let question = Question {
            method: Method::HEAD,
            url: self.url(remote, &format!("manifests/{reference}")),
            accept: &MANIFEST_TYPES,
            from: 0,
            what: &what,
        };
        let response = self.ask(remote, &question).await?;
        match header(response.headers(), "docker-content-digest").map(Digest::parse) {
            Some(Ok(digest)) => Ok(digest),
            _ => Ok(self.manifest(remote, reference).await?.digest),
        }
    }

    async fn manifest(
        &self,
        remote: &Remote,
        reference: &Reference,
    ) -> Result<RemoteManifest, UpstreamError> {
        let what = format!("manifest {}:{reference}", remote.repository);
        let question = Question {
            method: Method::GET,
            url: self.url(remote, &format!("manifests/{reference}")),
            accept: &MANIFEST_TYPES,
            from: 0,
            what: &what,
        };
        let response = self.ask(remote, &question).await?;
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let media_type = media_type.map(media_type::essence).unwrap_or_default();
        let bytes = body::small(&remote.host, &what, response, MANIFEST_BYTES_MAX as u64).await?;
        let digest = match reference {
            Reference::Tag(_) => Digest::sha256(&bytes),
            Reference::Digest(expected) => {
                let actual = Digest::of(expected.algorithm(), &bytes);
                if actual != *expected {
                    let (host, actual) = (remote.host.clone(), Box::new(actual));
                    let expected = Box::new(*expected);
                    return Err(UpstreamError::Untrue { host, expected, actual });
                }
                actual
            }
        };
        Ok(RemoteManifest { digest, media_type, bytes })
    }

    async fn blob_size(&self, remote: &Remote, digest: &Digest) -> Result<u64, UpstreamError> {
        let what = format!("blob {digest} in {}", remote.repository);
        let url = self.url(remote, &format!("blobs/{digest}"));
        let question = Question { method: Method::HEAD, url, accept: &[], from: 0, what: &what };
        let response = self.ask(remote, &question).await?;
        length(response.headers()).ok_or_else(|| UpstreamError::Malformed {
            host: remote.host.clone(),
            expected: "the size of a blob",
            why: "the answer has no Content-Length".into(),
        })
    }

    async fn blob(&self, remote: &Remote, digest: &Digest) -> Result<RemoteBlob, UpstreamError> {
        let response = self.ask_blob(remote, digest, 0).await?;
        let size = length(response.headers());
        let body = blob::download(self.clone(), remote.clone(), *digest, response, size);
        Ok(RemoteBlob { size, body })
    }

    async fn referrers(
        &self,
        remote: &Remote,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, UpstreamError> {
        let what = format!("referrers of {subject} in {}", remote.repository);
        let mut url = self.url(remote, &format!("referrers/{subject}"));
        let mut found = Vec::new();
        for _ in 0..REFERRERS_PAGES_MAX {
            let question = Question {
                method: Method::GET,
                url: url.clone(),
                accept: &[media_type::OCI_INDEX],
                from: 0,
                what: &what,
            };
            let response = match self.ask(remote, &question).await {
                Ok(response) => response,
                // What registries say that do not know the path.
                Err(
                    UpstreamError::Unknown { .. }
                    | UpstreamError::Failed { status: 400 | 405 | 406 | 501, .. },
                ) if found.is_empty() => return self.fallback_referrers(remote, subject).await,
                Err(error) => return Err(error),
            };
            let next = next_page(&url, response.headers());
            let bytes = body::small(&remote.host, &what, response, DOCUMENT_BYTES_MAX).await?;
            found.extend(read_list(remote, &bytes)?);
            match next {
                Some(next) if found.len() < REFERRERS_MAX => url = next,
                _ => break,
            }
        }
        found.truncate(REFERRERS_MAX);
        Ok(found)
    }
}

/// Follows a few, not from TLS to none, and not to where [`Guard`] forbids.
/// The client itself leaves `Authorization` behind when the host changes.
fn redirects(guard: Guard) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        let was_secure = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        if attempt.previous().len() > REDIRECTS_MAX {
            return attempt.error("too many redirects");
        }
        if was_secure && attempt.url().scheme() != "https" {
            return attempt.error("it redirects to an address without TLS");
        }
        match guard.check_url(attempt.url()) {
            Ok(()) => attempt.follow(),
            Err(forbidden) => attempt.error(forbidden),
        }
    })
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
}

fn read_list(remote: &Remote, bytes: &[u8]) -> Result<Vec<Descriptor>, UpstreamError> {
    let list: List = serde_json::from_slice(bytes).map_err(|error| UpstreamError::Malformed {
        host: remote.host.clone(),
        expected: "a list of referrers",
        why: error.to_string(),
    })?;
    let mut found = list.manifests.unwrap_or_default();
    found.truncate(REFERRERS_MAX);
    Ok(found)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Not `Response::content_length`, which knows nothing of an answer to HEAD.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// `Link: <...>; rel="next"`, if it leads to the same registry.
fn next_page(current: &str, headers: &HeaderMap) -> Option<String> {
    let current = Url::parse(current).ok()?;
    let link = headers.get(LINK)?.to_str().ok()?;
    let target = link.trim().strip_prefix('<')?.split('>').next()?;
    let next = current.join(target).ok()?;
    (next.origin() == current.origin()).then(|| next.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_page_is_on_the_same_registry() {
        let check = |link: &str, expected: Option<&str>| {
            let headers = HeaderMap::from_iter([(LINK, link.parse().unwrap())]);
            let current = "https://h.example/v2/a/referrers/d";
            assert_eq!(next_page(current, &headers).as_deref(), expected, "{link}");
        };
        let next = "https://h.example/v2/a/referrers/d?last=1";
        check("</v2/a/referrers/d?last=1>; rel=\"next\"", Some(next));
        check(&format!("<{next}>; rel=\"next\""), Some(next));
        check("<https://evil.example/?last=1>; rel=\"next\"", None);
        check("<http://h.example/v2/>; rel=\"next\"", None);
        check("garbage", None);
    }
}
