//! One layer's analysis: what it is, and how it is kept.

use std::io::Read;

use oci::Digest;
use packages::{OsRelease, Package, ProblemKind};
use serde::{Deserialize, Serialize};

use crate::analysers::UnreadKind;
use crate::limits::STORED_BYTES_MAX;
use crate::table::PathTable;

/// Everything that is kept of one layer. A function of the layer's bytes and
/// [`crate::ANALYSER_VERSION`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerAnalysis {
    /// sha256 of the uncompressed stream; absent where it could not be read
    /// to its end.
    pub diff_id: Option<Digest>,
    /// Uncompressed bytes that were read.
    pub uncompressed_bytes: u64,
    /// What the layer does to each path it names.
    pub events: PathTable,
    /// What was found in its files, sorted by path.
    pub evidence: Vec<Evidence>,
    /// Hard links to files of lower layers, from paths where metadata would
    /// count: the path, and where it leads.
    pub outside_links: Vec<(String, String)>,
    /// What could not be read.
    pub problems: Vec<LayerProblem>,
}

/// What one analyser found in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The file, relative to the root, without a leading slash.
    pub path: String,
    /// What it holds.
    pub record: Record,
    /// What could not be read of it. It counts only where the file does.
    pub problems: Vec<(ProblemKind, String)>,
}

/// The content of one metadata file, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// An os-release file.
    OsRelease(OsRelease),
    /// A dpkg status database: counts only where dpkg looks for it.
    DpkgStatus(Vec<Package>),
    /// One file of a `status.d` folder: counts only where dpkg looks for it.
    DpkgControl(Vec<Package>),
    /// What a deb's file list names of files that may be evidence themselves.
    DpkgFiles {
        /// Name of the deb.
        owner: String,
        /// Paths relative to the root.
        paths: Vec<String>,
    },
    /// An apk database: counts only where apk looks for it.
    Apk {
        /// Its packages.
        packages: Vec<Package>,
        /// Path of a file that may be evidence itself, and the name of the apk
        /// that owns it.
        owned: Vec<(String, String)>,
    },
    /// Metadata of a language package: counts wherever it lies.
    Language(Package),
    /// Metadata or a database that could not be read, or is of a kind that is
    /// not read.
    Unread,
    /// Content that names packages and is not read: a gap in the inventory,
    /// unless a distribution's package owns the file.
    UnreadContent(UnreadKind),
}

/// One thing about a layer that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerProblem {
    /// Path inside the layer, where it is about one file.
    pub path: Option<String>,
    /// What kind of thing went wrong.
    pub kind: ProblemKind,
    /// What was tried and what came of it, in a sentence.
    pub message: String,
}

/// Why stored bytes are no analysis.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// They do not decompress.
    #[error("stored layer analysis does not decompress")]
    Compression(#[source] std::io::Error),
    /// They would be larger than any analysis is.
    #[error("stored layer analysis decompresses to more than {STORED_BYTES_MAX} bytes")]
    TooLarge,
    /// They decompress to something else.
    #[error("stored layer analysis cannot be decoded")]
    Encoding(#[source] postcard::Error),
}

/// zstd level of stored analyses: they are written once, while a push waits.
const STORED_LEVEL: i32 = 1;

impl LayerAnalysis {
    /// The form in which it is stored and leaves the sandbox.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CodecError> {
        let plain = postcard::to_stdvec(self).map_err(CodecError::Encoding)?;
        zstd::bulk::compress(&plain, STORED_LEVEL).map_err(CodecError::Compression)
    }

    /// Reads [`Self::to_bytes`]. The bytes may be anything: they crossed the
    /// sandbox's border, or a disk.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut plain = Vec::new();
        zstd::stream::read::Decoder::new(bytes)
            .and_then(|decoder| decoder.take(STORED_BYTES_MAX as u64 + 1).read_to_end(&mut plain))
            .map_err(CodecError::Compression)?;
        if plain.len() > STORED_BYTES_MAX {
            return Err(CodecError::TooLarge);
        }
        postcard::from_bytes(&plain).map_err(CodecError::Encoding)
    }
}
