//! Images that the command line names: layouts, archives, registries.

mod archive;
mod layout;
mod registry;

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, bail};
use async_trait::async_trait;
use oci::manifest::{Image, Manifest};
use oci::{Descriptor, Digest};

pub use registry::RegistryAccess;

/// Largest manifest, index or configuration that is read, in bytes: the
/// registry's own limit.
pub const DOCUMENT_BYTES_MAX: u64 = 4 << 20;

/// Indexes inside indexes that are followed.
const INDEX_DEPTH_MAX: usize = 8;

/// A target as the command line writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `oci:DIR[:TAG]`
    Layout { dir: PathBuf, tag: Option<String> },
    /// `oci-archive:FILE[:TAG]`
    LayoutArchive { file: PathBuf, tag: Option<String> },
    /// `docker-archive:FILE`
    DockerArchive { file: PathBuf },
    /// `registry:HOST/REPO:TAG`
    Registry { reference: String },
}

impl Target {
    /// Reads a target. A colon that is part of an existing path is not a tag's.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let Some((scheme, rest)) = text.split_once(':') else {
            bail!(
                "{text:?} is not a target; write oci:DIR, oci-archive:FILE, docker-archive:FILE or registry:HOST/REPO:TAG"
            );
        };
        if rest.is_empty() {
            bail!("{text:?} names nothing after {scheme}:");
        }
        Ok(match scheme {
            "oci" => {
                let (dir, tag) = path_and_tag(rest);
                Self::Layout { dir, tag }
            }
            "oci-archive" => {
                let (file, tag) = path_and_tag(rest);
                Self::LayoutArchive { file, tag }
            }
            "docker-archive" => Self::DockerArchive { file: rest.into() },
            "registry" => {
                Self::Registry { reference: rest.strip_prefix("//").unwrap_or(rest).to_owned() }
            }
            other => bail!(
                "targets of kind {other:?} are not known; write oci:, oci-archive:, docker-archive: or registry:"
            ),
        })
    }
}

fn path_and_tag(text: &str) -> (PathBuf, Option<String>) {
    let whole = PathBuf::from(text);
    match text.rsplit_once(':') {
        Some((path, tag)) if !whole.exists() && !path.is_empty() && !tag.contains('/') => {
            (path.into(), Some(tag.to_owned()))
        }
        _ => (whole, None),
    }
}

/// Where a target's blobs come from.
#[async_trait]
trait Blobs: Send {
    /// A blob as a file that begins at its first byte; `None` if it is not there.
    async fn open(&mut self, descriptor: &Descriptor) -> anyhow::Result<Option<File>>;

    /// A manifest, index or configuration, its digest checked.
    async fn document(&mut self, descriptor: &Descriptor) -> anyhow::Result<Vec<u8>> {
        let file = self
            .open(descriptor)
            .await?
            .with_context(|| format!("{} is missing", descriptor.digest))?;
        read_document(file, &descriptor.digest)
    }
}

fn read_document(file: File, digest: &Digest) -> anyhow::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    file.take(DOCUMENT_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {digest}"))?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        bail!(
            "{digest} is larger than {DOCUMENT_BYTES_MAX} bytes, the most a manifest or configuration may have"
        );
    }
    let actual = Digest::of(digest.algorithm(), &bytes);
    if actual != *digest {
        bail!("the bytes of {digest} hash to {actual}");
    }
    Ok(bytes)
}

/// An image opened for inspection.
pub struct TargetImage {
    /// Digest of the manifest; of the configuration for a Docker archive, which has no manifest.
    pub digest: Digest,
    /// The manifest.
    pub manifest: Image,
    /// The configuration's bytes.
    pub config: Vec<u8>,
    /// One file a layer, in order; `None` where the blob is not there.
    pub layers: Vec<Option<File>>,
}

/// Opens the image that a target names: of an index, the one for `platform`,
/// or else for Linux on this machine's architecture, or else the first.
pub async fn open(
    target: &Target,
    platform: Option<&str>,
    access: &RegistryAccess,
) -> anyhow::Result<TargetImage> {
    let (mut blobs, root): (Box<dyn Blobs>, Descriptor) = match target {
        Target::Layout { dir, tag } => layout::open(dir, tag.as_deref())?,
        Target::LayoutArchive { file, tag } => archive::open_layout(file, tag.as_deref())?,
        Target::DockerArchive { file } => return archive::open_docker(file),
        Target::Registry { reference } => registry::open(reference, access).await?,
    };
    let mut descriptor = root;
    for _ in 0..INDEX_DEPTH_MAX {
        let bytes = blobs.document(&descriptor).await.context("cannot read the manifest")?;
        match Manifest::parse(
            &bytes,
            Some(&descriptor.media_type).filter(|m| !m.is_empty()).map(String::as_str),
        )
        .with_context(|| format!("{} is not a usable manifest", descriptor.digest))?
        {
            Manifest::Image(manifest) => {
                let config = blobs
                    .document(&manifest.config)
                    .await
                    .context("cannot read the image's configuration")?;
                let mut layers = Vec::with_capacity(manifest.layers.len());
                for layer in &manifest.layers {
                    layers.push(
                        blobs
                            .open(layer)
                            .await
                            .with_context(|| format!("cannot read layer {}", layer.digest))?,
                    );
                }
                return Ok(TargetImage { digest: descriptor.digest, manifest, config, layers });
            }
            Manifest::Index(index) => descriptor = choose(&index.manifests, platform)?.clone(),
        }
    }
    bail!("indexes are nested more than {INDEX_DEPTH_MAX} deep")
}

fn choose<'a>(
    manifests: &'a [Descriptor],
    platform: Option<&str>,
) -> anyhow::Result<&'a Descriptor> {
    let name = |d: &Descriptor| {
        d.platform.as_ref().map(|p| match &p.variant {
            Some(v) => format!("{}/{}/{v}", p.os, p.architecture),
            None => format!("{}/{}", p.os, p.architecture),
        })
    };
    if let Some(asked) = platform {
        return manifests
            .iter()
            .find(|d| {
                name(d).is_some_and(|n| {
                    n == asked || n.strip_prefix(asked).is_some_and(|r| r.starts_with('/'))
                })
            })
            .with_context(|| {
                let there: Vec<_> = manifests.iter().filter_map(&name).collect();
                format!("the index has no image for {asked}; it has {}", there.join(", "))
            });
    }
    let here = format!("linux/{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });
    manifests
        .iter()
        .find(|d| name(d).is_some_and(|n| n.starts_with(&here)))
        .or_else(|| manifests.iter().find(|d| name(d).is_none_or(|n| n != "unknown/unknown")))
        .context("the index names no image")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_written() {
        let check =
            |text: &str, expected: Target| assert_eq!(Target::parse(text).expect(text), expected);
        check("oci:out/app", Target::Layout { dir: "out/app".into(), tag: None });
        check("oci:out/app:v1", Target::Layout { dir: "out/app".into(), tag: Some("v1".into()) });
        check("oci:host:8/app", Target::Layout { dir: "host:8/app".into(), tag: None });
        check(
            "registry:localhost:5000/a/b:1",
            Target::Registry { reference: "localhost:5000/a/b:1".into() },
        );
        for wrong in ["", "app", "oci:", "ftp:x"] {
            assert!(Target::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
