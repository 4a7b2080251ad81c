//! This registry as the source of an import.

use access::{Permit, Pull};
use async_trait::async_trait;
use oci::{Descriptor, Digest, Reference};

use crate::upstream::{Remote, RemoteBlob, RemoteManifest, Upstream, UpstreamError};
use crate::{PullError, Registry};

/// What errors call it.
const HERE: &str = "this registry";

/// Reads a repository of this registry. Blobs are mounted and not read.
pub(super) struct Itself {
    pub registry: Registry,
    pub permit: Permit<Pull>,
}

fn failed(what: String, error: PullError) -> UpstreamError {
    let host = HERE.to_owned();
    match error {
        PullError::Store(error) => {
            UpstreamError::Failed { host, what, status: 500, words: error.to_string() }
        }
        unknown => UpstreamError::Unknown { host, what, words: unknown.to_string() },
    }
}

#[async_trait]
impl Upstream for Itself {
    async fn resolve(&self, remote: &Remote, at: &Reference) -> Result<Digest, UpstreamError> {
        Ok(self.manifest(remote, at).await?.digest)
    }

    async fn manifest(&self, _: &Remote, at: &Reference) -> Result<RemoteManifest, UpstreamError> {
        let found = self.registry.find_manifest(&self.permit, at).await;
        let found = found.map_err(|error| failed(format!("manifest {at}"), error))?;
        let (digest, media_type, bytes) = (found.digest, found.media_type, found.bytes);
        Ok(RemoteManifest { digest, media_type, bytes })
    }

    async fn blob_size(&self, _: &Remote, digest: &Digest) -> Result<u64, UpstreamError> {
        let size = self.registry.blob_size(&self.permit, digest).await;
        size.map_err(|error| failed(format!("blob {digest}"), error))
    }

    async fn blob(&self, _: &Remote, digest: &Digest) -> Result<RemoteBlob, UpstreamError> {
        // Whatever is here was mounted before this is asked.
        Err(failed(format!("blob {digest}"), PullError::UnknownBlob(*digest)))
    }

    async fn referrers(
        &self,
        _: &Remote,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, UpstreamError> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = self.registry.referrers(&self.permit, subject, None, after.as_ref()).await;
            let page = page.map_err(|error| UpstreamError::Failed {
                host: HERE.to_owned(),
                what: format!("referrers of {subject}"),
                status: 500,
                words: error.to_string(),
            })?;
            after = page.entries.last().map(|manifest| manifest.digest);
            found.extend(page.entries.into_iter().map(|manifest| Descriptor {
                media_type: manifest.media_type,
                digest: manifest.digest,
                size: manifest.size,
                urls: Vec::new(),
                annotations: manifest.annotations,
                platform: None,
                artifact_type: manifest.artifact_type,
            }));
            if !page.more || found.len() >= super::plan::MANIFESTS_MAX {
                return Ok(found);
            }
        }
    }
}
