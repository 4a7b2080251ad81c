//! Manifest and index, read from bytes that somebody else wrote.
//!
//! The bytes themselves are what is stored and served; what is read here
//! serves to check them and to find what they refer to.

use serde::Deserialize;

use crate::descriptor::{Annotations, null_is_default};
use crate::media_type::{self, essence};
use crate::{Descriptor, Digest};

/// Most documents an index, or layers an image, may list. Far above what any
/// tool makes; below it a 4 MiB document cannot be a burden.
pub const DESCRIPTORS_MAX: usize = 20_000;

/// A manifest of either kind.
// One is read per request and moved a few times; a box would buy nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// An image or artifact.
    Image(Image),
    /// A list of manifests.
    Index(Index),
}

/// A manifest that refers to blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// One of [`media_type::OCI_MANIFEST`], [`media_type::DOCKER_MANIFEST`].
    pub media_type: String,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one says something about.
    pub subject: Option<Descriptor>,
    /// What kind of artifact it is, where it says so itself.
    pub artifact_type: Option<String>,
    /// Free-form notes.
    pub annotations: Annotations,
}

/// A manifest that refers to manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// One of [`media_type::OCI_INDEX`], [`media_type::DOCKER_LIST`].
    pub media_type: String,
    /// What it lists, usually one per platform.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one says something about.
    pub subject: Option<Descriptor>,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// Free-form notes.
    pub annotations: Annotations,
}

/// Why bytes are not a manifest that can be kept.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The bytes are not JSON, or a field has the wrong shape.
    #[error("manifest cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Docker's schema 1, which no client has made since 2017.
    #[error(
        "manifest schema 1 is not supported: push it again with a current client, as schema 2 or OCI"
    )]
    Schema1,
    /// Neither manifest nor index.
    #[error("{0:?} is not the media type of a manifest or index")]
    UnsupportedMediaType(String),
    /// The request and the document disagree.
    #[error("manifest says it is {document:?}, but was sent as {sent:?}")]
    MediaTypeMismatch {
        /// `mediaType` in the document.
        document: String,
        /// `Content-Type` of the request.
        sent: String,
    },
    /// Fields of both kinds, which two clients could read in two ways.
    #[error(
        "manifest mixes the fields of an image (config, layers) with those of an index (manifests)"
    )]
    Mixed,
    /// A field is missing without which the document means nothing.
    #[error("manifest has no {0}")]
    Missing(&'static str),
    /// More than [`DESCRIPTORS_MAX`] layers or manifests.
    #[error("manifest lists more than {DESCRIPTORS_MAX} descriptors")]
    TooManyDescriptors,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    #[serde(default, deserialize_with = "null_is_default")]
    media_type: String,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    fs_layers: Option<serde::de::IgnoredAny>,
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    annotations: Annotations,
}

impl Manifest {
    /// Reads a manifest. `media_type` is the `Content-Type` it came with, whose
    /// parameters are ignored; without one the document's own word counts, and
    /// without that its fields.
    ///
    /// Nesting cannot exhaust the stack: what is read is a few levels deep, and
    /// the JSON reader passes over the rest without recursion.
    pub fn parse(bytes: &[u8], media_type: Option<&str>) -> Result<Self, ManifestError> {
        let sent = media_type.map(essence).filter(|t| !is_generic(t));
        if sent.as_deref().is_some_and(|t| t.starts_with(media_type::DOCKER_SCHEMA_1)) {
            return Err(ManifestError::Schema1);
        }
        let document: Document = serde_json::from_slice(bytes)?;
        if document.fs_layers.is_some() || document.schema_version == Some(1) {
            return Err(ManifestError::Schema1);
        }
        if document.schema_version != Some(2) {
            return Err(ManifestError::Missing("schemaVersion 2"));
        }
        if document.manifests.is_some() && (document.layers.is_some() || document.config.is_some())
        {
            return Err(ManifestError::Mixed);
        }
        let named = match (sent, document.media_type.as_str()) {
            (Some(sent), "") => Some(sent),
            (Some(sent), said) if sent == said => Some(sent),
            (Some(sent), said) => {
                return Err(ManifestError::MediaTypeMismatch { document: said.to_owned(), sent });
            }
            (None, "") => None,
            (None, said) => Some(said.to_owned()),
        };
        let media_type = named.unwrap_or_else(|| {
            let inferred = if document.manifests.is_some() {
                media_type::OCI_INDEX
            } else {
                media_type::OCI_MANIFEST
            };
            inferred.to_owned()
        });
        if media_type::is_index(&media_type) {
            document.into_index(media_type)
        } else {
            document.into_image(media_type)
        }
    }

    /// The media type it is served as.
    pub fn media_type(&self) -> &str {
        match self {
            Self::Image(image) => &image.media_type,
            Self::Index(index) => &index.media_type,
        }
    }

    /// The manifest that this one is about.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Image(image) => image.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
        }
    }

    /// Free-form notes.
    pub fn annotations(&self) -> &Annotations {
        match self {
            Self::Image(image) => &image.annotations,
            Self::Index(index) => &index.annotations,
        }
    }

    /// The type that the referrers list gives and filters by: an image without
    /// one is known by its configuration, an index is not (OCI Distribution
    /// 1.1, "Listing Referrers").
    pub fn artifact_type(&self) -> Option<&str> {
        match self {
            Self::Image(image) => image.artifact_type.as_deref().or(Some(&image.config.media_type)),
            Self::Index(index) => index.artifact_type.as_deref(),
        }
    }

    /// The blobs without which it cannot be pulled. Layers that only somebody
    /// else may distribute are not among them.
    pub fn required_blobs(&self) -> Vec<Digest> {
        let Self::Image(image) = self else { return Vec::new() };
        let present = image.layers.iter().filter(|l| !media_type::is_foreign_layer(&l.media_type));
        std::iter::once(&image.config).chain(present).map(|d| d.digest).collect()
    }
}

/// What clients send that do not know better; says nothing.
fn is_generic(media_type: &str) -> bool {
    matches!(media_type, "" | "application/json" | "application/octet-stream" | "text/plain")
}

impl Document {
    fn into_image(self, media_type: String) -> Result<Manifest, ManifestError> {
        if !media_type::is_image(&media_type) {
            return Err(ManifestError::UnsupportedMediaType(crate::digest::quoted(&media_type)));
        }
        let layers = self.layers.unwrap_or_default();
        if layers.len() > DESCRIPTORS_MAX {
            return Err(ManifestError::TooManyDescriptors);
        }
        Ok(Manifest::Image(Image {
            media_type,
            config: self.config.ok_or(ManifestError::Missing("config"))?,
            layers,
            subject: self.subject,
            artifact_type: self.artifact_type.filter(|t| !t.is_empty()),
            annotations: self.annotations,
        }))
    }

    fn into_index(self, media_type: String) -> Result<Manifest, ManifestError> {
        let manifests = self.manifests.ok_or(ManifestError::Missing("manifests"))?;
        if manifests.len() > DESCRIPTORS_MAX {
            return Err(ManifestError::TooManyDescriptors);
        }
        Ok(Manifest::Index(Index {
            media_type,
            manifests,
            subject: self.subject,
            artifact_type: self.artifact_type.filter(|t| !t.is_empty()),
            annotations: self.annotations,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

    /// `expected` is the media type, or the beginning of the error.
    fn check(json: &str, sent: Option<&str>, expected: &str) {
        let json = json.replace("EMPTY", EMPTY);
        match Manifest::parse(json.as_bytes(), sent) {
            Ok(manifest) => assert_eq!(manifest.media_type(), expected, "{json}"),
            Err(error) => {
                assert!(error.to_string().starts_with(expected), "{error}, not {expected}")
            }
        }
    }

    #[test]
    fn the_type_is_sent_said_or_inferred() {
        let image = r#"{"schemaVersion":2,"config":EMPTY,"layers":[EMPTY]}"#;
        check(image, None, media_type::OCI_MANIFEST);
        check(
            image,
            Some("application/vnd.docker.distribution.manifest.v2+json; charset=utf-8"),
            media_type::DOCKER_MANIFEST,
        );
        check(image, Some("application/json"), media_type::OCI_MANIFEST);
        check(image, Some("image/png"), "\"image/png\" is not");
        check(image, Some(media_type::OCI_INDEX), "manifest has no manifests");
        check(r#"{"schemaVersion":2,"manifests":[EMPTY]}"#, None, media_type::OCI_INDEX);
        check(
            r#"{"schemaVersion":2,"manifests":[]}"#,
            Some(media_type::OCI_MANIFEST),
            "manifest has no config",
        );
        let said = r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}"#;
        check(said, None, media_type::DOCKER_LIST);
        check(said, Some(media_type::OCI_INDEX), "manifest says it is");
    }

    #[test]
    fn what_two_readers_would_read_differently_is_refused() {
        check(r#"{"schemaVersion":2,"config":EMPTY,"manifests":[]}"#, None, "manifest mixes");
        check(
            r#"{"schemaVersion":2,"config":EMPTY,"config":EMPTY}"#,
            None,
            "manifest cannot be read: duplicate",
        );
        check(r#"{"schemaVersion":1,"fsLayers":[]}"#, None, "manifest schema 1");
        check(
            r#"{}"#,
            Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
            "manifest schema 1",
        );
        check(r#"{"layers":[]}"#, None, "manifest has no schemaVersion 2");
        check(
            r#"{"schemaVersion":2,"config":{"digest":"sha256:1","size":2}}"#,
            None,
            "manifest cannot be read",
        );
        check(
            &r#"{"schemaVersion":2,"config":EMPTY}"#
                .replace("EMPTY", &EMPTY.replace(":2}", ":-2}")),
            None,
            "manifest cannot",
        );
        check("nul", None, "manifest cannot be read");
        let deep =
            format!(r#"{{"schemaVersion":2,"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        check(&deep, None, "manifest has no config");
    }

    #[test]
    fn null_lists_are_empty_and_config_names_the_artifact() {
        let json = r#"{"schemaVersion":2,"config":EMPTY,"layers":null,"annotations":null,"x":[1]}"#
            .replace("EMPTY", EMPTY);
        let manifest = Manifest::parse(json.as_bytes(), None).unwrap();
        assert_eq!(manifest.artifact_type(), Some("application/vnd.oci.empty.v1+json"));
        assert_eq!(manifest.required_blobs(), [Digest::sha256(b"{}")]);
    }

    #[test]
    fn foreign_layers_need_no_blob() {
        let layer = EMPTY
            .replace(media_type::OCI_EMPTY, media_type::DOCKER_LAYER_FOREIGN)
            .replace("4413", "0000");
        let json = format!(r#"{{"schemaVersion":2,"config":{EMPTY},"layers":[{layer}]}}"#);
        let manifest = Manifest::parse(json.as_bytes(), None).unwrap();
        assert_eq!(manifest.required_blobs(), [Digest::sha256(b"{}")]);
    }
}
