//! `registry:`: an image in any OCI registry. Blobs are downloaded to a
//! temporary directory and checked against their digests on the way.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use base64::Engine;
use oci::{Descriptor, Digest, Hasher, Reference, RepositoryName, media_type};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use super::{Blobs, DOCUMENT_BYTES_MAX};

/// A registry that is silent for so long is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How to reach a registry.
#[derive(Debug, Clone, Default)]
pub struct RegistryAccess {
    /// Certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Plain HTTP instead of TLS.
    pub plain_http: bool,
}

struct Registry {
    client: Client,
    base: String,
    host: String,
    repository: RepositoryName,
    authorization: Option<String>,
    dir: TempDir,
}

pub(super) async fn open(
    reference: &str,
    access: &RegistryAccess,
) -> anyhow::Result<(Box<dyn Blobs>, Descriptor)> {
    let (host, repository, reference) = parse(reference)?;
    let mut builder = Client::builder().user_agent("lazaret").read_timeout(READ_TIMEOUT);
    if let Some(file) = &access.ca_file {
        let pem = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        for certificate in reqwest::Certificate::from_pem_bundle(&pem)
            .with_context(|| format!("{} holds no certificates in PEM form", file.display()))?
        {
            builder = builder.add_root_certificate(certificate);
        }
    }
    let scheme = if access.plain_http { "http" } else { "https" };
    let mut registry = Registry {
        client: builder.build().context("cannot set up an HTTP client")?,
        base: format!("{scheme}://{host}"),
        host,
        repository,
        authorization: None,
        dir: tempfile::tempdir().context("cannot make a temporary directory")?,
    };
    let root = registry.resolve(&reference).await?;
    Ok((Box::new(registry), root))
}

fn parse(text: &str) -> anyhow::Result<(String, RepositoryName, Reference)> {
    let (host, rest) = text
        .split_once('/')
        .with_context(|| format!("{text:?} is not HOST/REPO:TAG; name the registry's host"))?;
    let (repository, reference) = match rest.split_once('@') {
        // repo:tag@digest: the digest decides.
        Some((name, digest)) => (name.split(':').next().unwrap_or(name), digest),
        None => rest.rsplit_once(':').unwrap_or((rest, "latest")),
    };
    Ok((
        host.to_owned(),
        RepositoryName::parse(repository).with_context(|| format!("in {text:?}"))?,
        Reference::parse(reference).with_context(|| format!("in {text:?}"))?,
    ))
}

impl Registry {
    /// Asks the registry what a reference stands for.
    async fn resolve(&mut self, reference: &Reference) -> anyhow::Result<Descriptor> {
        let response = self.fetch("manifests", &reference.to_string()).await?;
        let media_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .map(media_type::essence)
            .unwrap_or_default();
        let bytes = small_body(response).await?;
        let digest = match reference {
            Reference::Digest(digest) => *digest,
            Reference::Tag(_) => Digest::sha256(&bytes),
        };
        let size = bytes.len() as u64;
        tokio::fs::write(self.path(&digest), &bytes)
            .await
            .context("cannot write a temporary file")?;
        Ok(Descriptor {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: oci::descriptor::Annotations::new(),
            platform: None,
            artifact_type: None,
        })
    }

    async fn fetch(&mut self, kind: &str, reference: &str) -> anyhow::Result<Response> {
        let url = format!("{}/v2/{}/{kind}/{reference}", self.base, self.repository.as_str());
        for attempt in 0..2 {
            let mut request = self.client.get(&url);
            for accepted in [
                media_type::OCI_MANIFEST,
                media_type::OCI_INDEX,
                media_type::DOCKER_MANIFEST,
                media_type::DOCKER_LIST,
            ] {
                request = request.header(ACCEPT, accepted);
            }
            if let Some(authorization) = &self.authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            let response =
                request.send().await.with_context(|| format!("cannot reach {}", self.host))?;
            if response.status() == StatusCode::UNAUTHORIZED {
                if attempt > 0 {
                    break;
                }
                let challenge = response.headers().get(WWW_AUTHENTICATE);
                let challenge = challenge.and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
                self.authorization = Some(self.authorize(&challenge).await?);
                continue;
            }
            if response.status() == StatusCode::NOT_FOUND && kind == "manifests" {
                bail!("{} has no {}:{reference}", self.host, self.repository.as_str());
            }
            return Ok(response);
        }
        bail!(
            "{} refuses access to {}; log in with docker, podman or skopeo first",
            self.host,
            self.repository.as_str()
        )
    }

    /// Answers a challenge: Basic as it is, Bearer by asking its realm for a token.
    async fn authorize(&self, challenge: &str) -> anyhow::Result<String> {
        let basic = credentials(&self.host).map(|c| format!("Basic {c}"));
        let Some(parameters) = challenge.strip_prefix("Bearer ") else {
            return basic.with_context(|| {
                format!(
                    "{} asks for a login; log in with docker, podman or skopeo first",
                    self.host
                )
            });
        };
        let parameter = |name: &str| {
            parameters.split(',').find_map(|p| {
                let (key, value) = p.trim().split_once('=')?;
                (key == name).then(|| value.trim_matches('"').to_owned())
            })
        };
        let realm =
            parameter("realm").with_context(|| format!("{} names no token realm", self.host))?;
        let scope = format!("repository:{}:pull", self.repository.as_str());
        let mut url =
            reqwest::Url::parse(&realm).with_context(|| format!("{realm:?} is not an address"))?;
        url.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = parameter("service") {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let mut request = self.client.get(url);
        if let Some(basic) = basic {
            request = request.header(AUTHORIZATION, basic);
        }
        let response = request
            .send()
            .await
            .with_context(|| format!("cannot reach the token service {realm}"))?;
        if !response.status().is_success() {
            bail!(
                "the token service {realm} answers {}; log in with docker, podman or skopeo first",
                response.status()
            );
        }
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let token: Token = serde_json::from_slice(&small_body(response).await?)
            .with_context(|| format!("the token service {realm} does not answer with a token"))?;
        let token =
            token.token.or(token.access_token).context("the token service gave no token")?;
        Ok(format!("Bearer {token}"))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.path().join(digest.hex())
    }
}

#[async_trait]
impl Blobs for Registry {
    async fn open(&mut self, descriptor: &Descriptor) -> anyhow::Result<Option<File>> {
        let path = self.path(&descriptor.digest);
        if !path.exists() {
            let is_manifest = media_type::is_image(&descriptor.media_type)
                || media_type::is_index(&descriptor.media_type);
            let kind = if is_manifest { "manifests" } else { "blobs" };
            let mut response = self.fetch(kind, &descriptor.digest.to_string()).await?;
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            if !response.status().is_success() {
                bail!("{} answers {} for {}", self.host, response.status(), descriptor.digest);
            }
            let mut file =
                tokio::fs::File::create(&path).await.context("cannot write a temporary file")?;
            let mut hasher = Hasher::new(descriptor.digest.algorithm());
            while let Some(chunk) = response
                .chunk()
                .await
                .with_context(|| format!("{} broke off", descriptor.digest))?
            {
                hasher.update(&chunk);
                file.write_all(&chunk)
                    .await
                    .context("cannot write a temporary file; is the disk full?")?;
            }
            file.flush().await.context("cannot write a temporary file")?;
            let actual = hasher.finish();
            if actual != descriptor.digest {
                bail!("{} served bytes that hash to {actual} for {}", self.host, descriptor.digest);
            }
        }
        Ok(Some(File::open(&path).context("cannot reopen a temporary file")?))
    }
}

async fn small_body(mut response: Response) -> anyhow::Result<Vec<u8>> {
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.context("the registry broke off")? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
            bail!("the registry's answer is larger than {DOCUMENT_BYTES_MAX} bytes");
        }
    }
    if !status.is_success() {
        let words: String =
            String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).take(300).collect();
        bail!("the registry answers {status}: {words}");
    }
    Ok(bytes)
}

/// The number of the user that this process runs as.
fn user_id() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").ok().map(|own| own.uid())
}

/// Credentials for a host, in the files where clients keep them.
fn credentials(host: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Entry {
        auth: Option<String>,
    }
    #[derive(Deserialize)]
    struct AuthFile {
        #[serde(default)]
        auths: std::collections::HashMap<String, Entry>,
    }
    let env = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let files = [
        env("REGISTRY_AUTH_FILE"),
        env("XDG_RUNTIME_DIR").map(|d| d.join("containers/auth.json")),
        // Where podman and skopeo put them for a user without a runtime directory.
        user_id().map(|id| format!("/run/containers/{id}/auth.json").into()),
        env("DOCKER_CONFIG").map(|d| d.join("config.json")),
        env("HOME").map(|d| d.join(".docker/config.json")),
        env("HOME").map(|d| d.join(".config/containers/auth.json")),
    ];
    files.into_iter().flatten().find_map(|file| {
        let parsed: AuthFile = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        let auth = parsed.auths.get(host)?.auth.clone()?;
        // Only what decodes can be credentials.
        base64::engine::general_purpose::STANDARD.decode(&auth).ok().map(|_| auth)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_clients_write_them() {
        let check = |text: &str, host: &str, repository: &str, reference: &str| {
            let (h, r, t) = parse(text).expect(text);
            assert_eq!(
                (h.as_str(), r.as_str(), t.to_string().as_str()),
                (host, repository, reference)
            );
        };
        let digest = format!("sha256:{}", "a".repeat(64));
        check("localhost:5000/a/b:1", "localhost:5000", "a/b", "1");
        check("example.org/a", "example.org", "a", "latest");
        check(&format!("h/a:1@{digest}"), "h", "a", &digest);
        assert!(parse("nothing").is_err());
    }
}
