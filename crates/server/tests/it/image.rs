//! Small images made in memory.

use oci::Digest;
use serde_json::json;

/// Media type of an image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

const DEBIAN_12: &str = "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n";

/// Content by digest.
#[derive(Clone)]
pub struct Blob {
    pub digest: String,
    pub bytes: Vec<u8>,
}

impl Blob {
    /// Any bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }

    fn new(bytes: Vec<u8>) -> Self {
        Self { digest: sha256(&bytes), bytes }
    }
}

/// A layer with the diff_id that the configuration names.
#[derive(Clone)]
pub struct Layer {
    pub blob: Blob,
    diff_id: String,
}

/// An image ready to be pushed.
pub struct Image {
    pub manifest: Vec<u8>,
    pub media_type: String,
    config: Blob,
    layers: Vec<Layer>,
}

impl Image {
    /// An image of these layers.
    pub fn of(layers: &[Layer]) -> Self {
        let diff_ids: Vec<_> = layers.iter().map(|l| &l.diff_id).collect();
        let config = Blob::new(
            json!({
                "architecture": "amd64", "os": "linux",
                "rootfs": { "type": "layers", "diff_ids": diff_ids }
            })
            .to_string()
            .into_bytes(),
        );
        let descriptors: Vec<_> = layers
            .iter()
            .map(|l| {
                json!({
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "digest": l.blob.digest, "size": l.blob.bytes.len()
                })
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config.digest, "size": config.bytes.len()
            },
            "layers": descriptors
        });
        Self {
            manifest: manifest.to_string().into_bytes(),
            media_type: MANIFEST.to_owned(),
            config,
            layers: layers.to_vec(),
        }
    }

    /// The same with layers that somebody else hands out, so that it can be
    /// pushed without them.
    pub fn with_foreign_layers(self) -> Self {
        let manifest = String::from_utf8(self.manifest).expect("JSON");
        let manifest = manifest
            .replace("image.layer.v1.tar+gzip", "image.layer.nondistributable.v1.tar+gzip")
            .into_bytes();
        Self { manifest, ..self }
    }

    /// Digest of the manifest.
    pub fn digest(&self) -> String {
        sha256(&self.manifest)
    }

    /// Everything that has to be pushed before the manifest.
    pub fn blobs(&self) -> Vec<&Blob> {
        self.layers.iter().map(|l| &l.blob).chain([&self.config]).collect()
    }
}

/// A layer of these files.
pub fn layer(files: &[(&str, &str)]) -> Layer {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, content.as_bytes()).expect("a file in memory");
    }
    let plain = archive.into_inner().expect("an archive in memory");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &plain).expect("memory");
    Layer { diff_id: sha256(&plain), blob: Blob::new(gzip.finish().expect("memory")) }
}

/// Debian 12 with one package.
pub fn debian(package: &str, version: &str) -> Layer {
    let status = format!(
        "Package: {package}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n"
    );
    layer(&[("etc/os-release", DEBIAN_12), ("var/lib/dpkg/status", &status)])
}

/// An operating system by its os-release, with one deb.
pub fn distribution(os_release: &str) -> Layer {
    let status = "Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n";
    layer(&[("etc/os-release", os_release), ("var/lib/dpkg/status", status)])
}

/// A Python package as pip installs it.
pub fn python(name: &str, version: &str) -> Layer {
    let path = format!("usr/lib/python3/site-packages/{name}-{version}.dist-info/METADATA");
    layer(&[(&path, &format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n"))])
}

/// `sha256:...`
pub fn sha256(bytes: &[u8]) -> String {
    Digest::sha256(bytes).to_string()
}
