//! `oci-archive:` and `docker-archive:`: images in one tar file. Members are
//! copied to a temporary directory under names of our own, since inspection
//! wants a file for each layer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, bail};
use async_trait::async_trait;
use oci::manifest::Image;
use oci::{Algorithm, Descriptor, Digest, Hasher, media_type};
use serde::Deserialize;
use tempfile::TempDir;

use super::{Blobs, DOCUMENT_BYTES_MAX, TargetImage, layout};

/// Links from member to member that are followed.
const LINK_HOPS_MAX: usize = 8;

struct Unpacked {
    dir: TempDir,
}

pub(super) fn open_layout(
    file: &Path,
    tag: Option<&str>,
) -> anyhow::Result<(Box<dyn Blobs>, Descriptor)> {
    let unpacked =
        Unpacked { dir: tempfile::tempdir().context("cannot make a temporary directory")? };
    let mut index = None;
    each_member(file, |name, entry| {
        if name == "index.json" {
            index = Some(read_member(entry, "index.json")?);
        } else if let Some(digest) = blob_name(&name) {
            copy(entry, &unpacked.dir.path().join(file_name(&digest)))?;
        }
        Ok(())
    })?;
    let index = index
        .with_context(|| format!("{} has no index.json; is it an OCI archive?", file.display()))?;
    let root = layout::choose(&index, tag)?;
    Ok((Box::new(unpacked), root))
}

#[async_trait]
impl Blobs for Unpacked {
    async fn open(&mut self, descriptor: &Descriptor) -> anyhow::Result<Option<File>> {
        Ok(File::open(self.dir.path().join(file_name(&descriptor.digest))).ok())
    }
}

#[derive(Deserialize)]
struct DockerImage {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

/// Docker's archive (`docker save`): `manifest.json` names the members.
pub(super) fn open_docker(file: &Path) -> anyhow::Result<TargetImage> {
    let mut manifest = None;
    let mut links = BTreeMap::new();
    each_member(file, |name, entry| {
        if name == "manifest.json" {
            manifest = Some(read_member(entry, "manifest.json")?);
        } else if let Some(target) = entry.link_name().ok().flatten() {
            // Old writers store a repeated layer as a link to its first copy.
            let base = Path::new(&name).parent().unwrap_or(Path::new(""));
            links.insert(name.clone(), normal(&base.join(target)));
        }
        Ok(())
    })?;
    let manifest = manifest.with_context(|| {
        format!("{} has no manifest.json; is it a Docker archive?", file.display())
    })?;
    let images: Vec<DockerImage> =
        serde_json::from_slice(&manifest).context("manifest.json is malformed")?;
    let [image] = <[DockerImage; 1]>::try_from(images).map_err(|all| {
        anyhow::anyhow!("{} holds {} images; save one alone", file.display(), all.len())
    })?;

    let resolve = |name: &str| {
        let mut name = normal(Path::new(name));
        for _ in 0..LINK_HOPS_MAX {
            match links.get(&name) {
                Some(target) => name.clone_from(target),
                None => break,
            }
        }
        name
    };
    let config_name = resolve(&image.config);
    let layer_names: Vec<_> = image.layers.iter().map(|l| resolve(l)).collect();
    let wanted: BTreeSet<_> = layer_names.iter().cloned().collect();
    let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
    let mut config = None;
    let mut files = BTreeMap::new();
    each_member(file, |name, entry| {
        if name == config_name {
            config = Some(read_member(entry, &name)?);
        } else if wanted.contains(&name) && !files.contains_key(&name) {
            let path = dir.path().join(files.len().to_string());
            let digest = copy(entry, &path)?;
            files.insert(name, (path, digest));
        }
        Ok(())
    })?;
    let config =
        config.with_context(|| format!("the archive lacks {config_name}, its configuration"))?;
    let mut layers = Vec::new();
    let mut descriptors = Vec::new();
    for name in &layer_names {
        let (path, (digest, size)) =
            files.get(name).with_context(|| format!("the archive lacks {name}, a layer"))?;
        layers.push(Some(File::open(path).context("cannot reopen a layer")?));
        descriptors.push(described(media_type::DOCKER_LAYER, *digest, *size));
    }
    let digest = Digest::sha256(&config);
    let manifest = Image {
        media_type: media_type::DOCKER_MANIFEST.into(),
        config: described(media_type::DOCKER_CONFIG, digest, config.len() as u64),
        layers: descriptors,
        subject: None,
        artifact_type: None,
        annotations: BTreeMap::new(),
    };
    Ok(TargetImage { digest, manifest, config, layers })
}

fn described(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.into(),
        digest,
        size,
        urls: Vec::new(),
        annotations: BTreeMap::new(),
        platform: None,
        artifact_type: None,
    }
}

/// Calls `visit` for each member of a tar file, plain or gzip.
fn each_member(
    file: &Path,
    mut visit: impl FnMut(String, &mut tar::Entry<'_, Box<dyn Read>>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let mut magic = [0; 2];
    let gzip = opened.read(&mut magic)? == 2 && magic == [0x1f, 0x8b];
    opened.seek(SeekFrom::Start(0))?;
    let opened = BufReader::with_capacity(1 << 18, opened);
    let reader: Box<dyn Read> =
        if gzip { Box::new(flate2::read::MultiGzDecoder::new(opened)) } else { Box::new(opened) };
    let mut archive = tar::Archive::new(reader);
    for entry in
        archive.entries().with_context(|| format!("{} is not a tar file", file.display()))?
    {
        let mut entry =
            entry.with_context(|| format!("{} breaks off or is not a tar file", file.display()))?;
        let name = normal(&entry.path().context("a member has a malformed name")?);
        visit(name, &mut entry)?;
    }
    Ok(())
}

/// A member's name without `.` and `..`.
fn normal(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(p) => parts.push(p.to_string_lossy().into_owned()),
            std::path::Component::ParentDir => {
                parts.pop();
            }
            _ => {}
        }
    }
    parts.join("/")
}

fn blob_name(name: &str) -> Option<Digest> {
    let (algorithm, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

fn file_name(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm(), digest.hex())
}

fn read_member(entry: &mut impl Read, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry
        .take(DOCUMENT_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        bail!("{name} is larger than {DOCUMENT_BYTES_MAX} bytes");
    }
    Ok(bytes)
}

/// Copies a member to a file; gives what it hashes to and its size.
fn copy(entry: &mut impl Read, to: &Path) -> anyhow::Result<(Digest, u64)> {
    use std::io::Write;
    let mut file = File::create(to).context("cannot write a temporary file; is the disk full?")?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; 1 << 18];
    let mut size = 0;
    loop {
        let n = entry.read(&mut buffer).context("the archive breaks off")?;
        if n == 0 {
            return Ok((hasher.finish(), size));
        }
        hasher.update(&buffer[..n]);
        file.write_all(&buffer[..n]).context("cannot write a temporary file; is the disk full?")?;
        size += n as u64;
    }
}
