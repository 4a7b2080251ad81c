//! `registry:`: an image in any OCI registry. Blobs are downloaded to a
//! temporary directory and checked against their digests on the way.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, bail};
use async_trait::async_trait;
use futures::StreamExt;
use oci::{Descriptor, Digest, Hasher, media_type};
use registry::upstream::{Patience, Remote, Upstream, UpstreamError, parse_reference};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use upstream::{Guard, HttpUpstream, UpstreamSettings, login};

use super::Blobs;

/// How to reach a registry.
#[derive(Debug, Clone, Default)]
pub struct RegistryAccess {
    /// Certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Plain HTTP instead of TLS.
    pub plain_http: bool,
}

struct Registry {
    upstream: HttpUpstream,
    remote: Remote,
    dir: TempDir,
}

pub(super) async fn open(
    reference: &str,
    access: &RegistryAccess,
) -> anyhow::Result<(Box<dyn Blobs>, Descriptor)> {
    let (host, repository, reference) = parse_reference(reference)?;
    let upstream = HttpUpstream::new(UpstreamSettings {
        // Whoever runs this command reaches from here what they name anyway.
        guard: Guard { local: vec!["*".into()], ..Guard::default() },
        plain_http: if access.plain_http { vec![host.clone()] } else { Vec::new() },
        ca_file: access.ca_file.clone(),
    })?;
    let credentials = login::credentials(&host);
    let remote = Remote { host, repository, credentials, patience: Patience::Client };
    let manifest = upstream.manifest(&remote, &reference).await.map_err(advise)?;
    let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
    let registry = Registry { upstream, remote, dir };
    tokio::fs::write(registry.path(&manifest.digest), &manifest.bytes)
        .await
        .context("cannot write a temporary file")?;
    let root = Descriptor {
        media_type: manifest.media_type,
        digest: manifest.digest,
        size: manifest.bytes.len() as u64,
        urls: Vec::new(),
        annotations: oci::descriptor::Annotations::new(),
        platform: None,
        artifact_type: None,
    };
    Ok((Box::new(registry), root))
}

/// Says what to do about a refusal.
fn advise(error: UpstreamError) -> anyhow::Error {
    let refused = matches!(error, UpstreamError::Refused { .. });
    let error = anyhow::Error::from(error);
    if refused { error.context("log in with docker, podman or skopeo first") } else { error }
}

impl Registry {
    fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.path().join(digest.hex())
    }

    /// Gives `false` if it is not there.
    async fn download(&self, descriptor: &Descriptor) -> anyhow::Result<bool> {
        let digest = &descriptor.digest;
        let is_manifest = media_type::is_image(&descriptor.media_type)
            || media_type::is_index(&descriptor.media_type);
        let mut body = if is_manifest {
            match self.upstream.manifest(&self.remote, &(*digest).into()).await {
                Ok(manifest) => futures::stream::iter([Ok(manifest.bytes)]).boxed(),
                Err(UpstreamError::Unknown { .. }) => return Ok(false),
                Err(error) => return Err(advise(error)),
            }
        } else {
            match self.upstream.blob(&self.remote, digest).await {
                Ok(blob) => blob.body,
                Err(UpstreamError::Unknown { .. }) => return Ok(false),
                Err(error) => return Err(advise(error)),
            }
        };
        let mut file = tokio::fs::File::create(self.path(digest))
            .await
            .context("cannot write a temporary file")?;
        let mut hasher = Hasher::new(digest.algorithm());
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            hasher.update(&chunk);
            file.write_all(&chunk)
                .await
                .context("cannot write a temporary file; is the disk full?")?;
        }
        file.flush().await.context("cannot write a temporary file")?;
        let actual = hasher.finish();
        if actual != *digest {
            bail!("{} served bytes that hash to {actual} for {digest}", self.remote.host);
        }
        Ok(true)
    }
}

#[async_trait]
impl Blobs for Registry {
    async fn open(&mut self, descriptor: &Descriptor) -> anyhow::Result<Option<File>> {
        let path = self.path(&descriptor.digest);
        if !path.exists() && !self.download(descriptor).await? {
            return Ok(None);
        }
        Ok(Some(File::open(&path).context("cannot reopen a temporary file")?))
    }
}
