//! `oci:`: an OCI image layout in a directory (OCI Image Spec, "Image Layout").

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use async_trait::async_trait;
use oci::{Descriptor, Digest};
use serde::Deserialize;

use super::{Blobs, DOCUMENT_BYTES_MAX};

/// The annotation that names an image inside a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

#[derive(Deserialize)]
struct LayoutIndex {
    manifests: Vec<Descriptor>,
}

struct Layout {
    dir: PathBuf,
}

pub(super) fn open(dir: &Path, tag: Option<&str>) -> anyhow::Result<(Box<dyn Blobs>, Descriptor)> {
    let path = dir.join("index.json");
    let bytes = read_small(&path)?;
    let root = choose(&bytes, tag).with_context(|| format!("in {}", path.display()))?;
    Ok((Box::new(Layout { dir: dir.to_owned() }), root))
}

/// The manifest that `index.json` gives for a tag; without one, `latest` or
/// the only one.
pub(super) fn choose(index: &[u8], tag: Option<&str>) -> anyhow::Result<Descriptor> {
    let index: LayoutIndex =
        serde_json::from_slice(index).context("index.json of the layout is malformed")?;
    let name = |d: &Descriptor| d.annotations.get(REF_NAME).cloned();
    let found = match tag {
        Some(tag) => index
            .manifests
            .iter()
            .find(|d| name(d).as_deref() == Some(tag) || d.digest.to_string() == tag),
        None => index
            .manifests
            .iter()
            .find(|d| name(d).as_deref() == Some("latest"))
            .or(if index.manifests.len() == 1 { index.manifests.first() } else { None }),
    };
    match found {
        Some(descriptor) => Ok(descriptor.clone()),
        None => {
            let names: Vec<_> = index.manifests.iter().filter_map(name).collect();
            bail!("no image {}; the layout has {}", tag.unwrap_or("latest"), names.join(", "))
        }
    }
}

fn read_small(path: &Path) -> anyhow::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|f| f.take(DOCUMENT_BYTES_MAX).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

/// The file of a blob in a layout.
pub(super) fn blob_path(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
}

#[async_trait]
impl Blobs for Layout {
    async fn open(&mut self, descriptor: &Descriptor) -> anyhow::Result<Option<File>> {
        let path = blob_path(&self.dir, &descriptor.digest);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot open {}", path.display())),
        }
    }
}
