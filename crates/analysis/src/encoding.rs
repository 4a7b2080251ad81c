//! What a layer's media type says of its bytes, and what cannot be read.

use packages::ProblemKind;

/// How a layer is compressed, going by its media type. The bytes are looked at
/// too: where they disagree, they win and the disagreement is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerEncoding {
    /// A plain tar archive.
    Plain,
    /// gzip, of one or more members.
    Gzip,
    /// zstd, of one or more frames.
    Zstd,
    /// The media type does not say; the bytes decide.
    Unknown,
}

/// Why a layer is not analysed, whatever its bytes are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedLayer {
    /// `+encrypted`: the key is not the registry's to have.
    #[error("layer is encrypted ({0}); its packages cannot be listed")]
    Encrypted(String),
    /// Not an image layer at all, as in artifacts and attestations.
    #[error("media type {0} is not a layer of an image; its packages are not known")]
    NotALayer(String),
}

impl UnsupportedLayer {
    /// The kind under which it is reported.
    pub fn kind(&self) -> ProblemKind {
        ProblemKind::UnsupportedLayer
    }
}

const LAYER_PREFIXES: [&str; 4] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
];

impl LayerEncoding {
    /// What a media type, where one is known, says of the bytes.
    pub fn hinted(media_type: Option<&str>) -> Self {
        media_type.and_then(|m| Self::from_media_type(m).ok()).unwrap_or(Self::Unknown)
    }

    /// Reads a descriptor's media type; parameters and case do not matter.
    /// Foreign (non-distributable) layers are layers like others where their
    /// blob is at hand; whether it is, the caller knows
    /// ([`ProblemKind::MissingLayer`]).
    pub fn from_media_type(media_type: &str) -> Result<Self, UnsupportedLayer> {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let Some(suffix) = LAYER_PREFIXES.iter().find_map(|prefix| essence.strip_prefix(prefix))
        else {
            return Err(UnsupportedLayer::NotALayer(media_type.to_owned()));
        };
        match suffix {
            "" => Ok(Self::Plain),
            "+gzip" | ".gzip" => Ok(Self::Gzip),
            "+zstd" | ".zstd" => Ok(Self::Zstd),
            encrypted if encrypted.ends_with("+encrypted") => {
                Err(UnsupportedLayer::Encrypted(media_type.to_owned()))
            }
            _ => Err(UnsupportedLayer::NotALayer(media_type.to_owned())),
        }
    }

    /// Word for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain tar",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(media_type: &str, expected: Option<LayerEncoding>) {
        assert_eq!(LayerEncoding::from_media_type(media_type).ok(), expected, "{media_type}");
    }

    #[test]
    fn media_types() {
        check("application/vnd.oci.image.layer.v1.tar", Some(LayerEncoding::Plain));
        check("application/vnd.oci.image.layer.v1.tar+gzip", Some(LayerEncoding::Gzip));
        check("application/vnd.oci.image.layer.v1.tar+zstd", Some(LayerEncoding::Zstd));
        check("application/vnd.docker.image.rootfs.diff.tar.gzip", Some(LayerEncoding::Gzip));
        check(
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            Some(LayerEncoding::Gzip),
        );
        check(
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            Some(LayerEncoding::Gzip),
        );
        check("Application/vnd.oci.image.layer.v1.tar+GZIP; x=y", Some(LayerEncoding::Gzip));
        check("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", None);
        check("application/vnd.in-toto+json", None);
        check("application/vnd.oci.empty.v1+json", None);
        check("application/vnd.oci.image.layer.v1.tar+lz4", None);
    }

    #[test]
    fn an_encrypted_layer_is_said_to_be_one() {
        let error =
            LayerEncoding::from_media_type("application/vnd.oci.image.layer.v1.tar+encrypted");
        assert!(matches!(error, Err(UnsupportedLayer::Encrypted(_))));
    }
}
