//! What an image holds: its operating system, its packages and where each was
//! seen, and what could not be read.

use serde::{Deserialize, Serialize};

use crate::{OsRelease, Package};

/// A package as one image holds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InventoryItem {
    /// The package itself.
    #[serde(flatten)]
    pub package: Package,
    /// 0-based index into the manifest's layers: the layer that brought this
    /// package in at this version. A database that a later layer rewrites does
    /// not move the packages it already had.
    pub layer: u32,
    /// The file it was read from, relative to the image's root, without a
    /// leading slash.
    pub path: String,
    /// Name of the distribution package that owns `path`, where one does: a
    /// distribution with a complete feed then judges this package.
    pub owner: Option<String>,
}

/// Why something in an image could not be read, or is not what the image says
/// of it. Whatever the kind, an image with a problem never reads as clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// A layer whose bytes are not what their type says, or break off.
    UnreadableLayer,
    /// A layer of a media type that is not understood, or is encrypted.
    UnsupportedLayer,
    /// A layer whose blob is not there (a foreign layer, say).
    MissingLayer,
    /// The uncompressed layer does not hash to the configuration's diff_id.
    DiffIdMismatch,
    /// A layer's blob is not of the size that the manifest says.
    SizeMismatch,
    /// A limit of the analyser was reached; the rest was not read.
    LimitReached,
    /// A record or file of metadata that is malformed.
    MalformedMetadata,
    /// The image's configuration is not usable.
    MalformedConfig,
    /// The worker that read the layer died or was stopped.
    WorkerFailed,
    /// Content that names packages, of a kind that is not read.
    UnreadContent,
}

/// One thing that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// 0-based index of the layer, where it is about one.
    pub layer: Option<u32>,
    /// Path inside the layer, where it is about one file.
    pub path: Option<String>,
    /// What kind of thing went wrong.
    pub kind: ProblemKind,
    /// What was tried and what came of it, in a sentence.
    pub message: String,
}

/// An image's packages. A function of its bytes and the analyser's version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// From `etc/os-release`; absent for scratch images.
    pub os: Option<OsRelease>,
    /// Sorted and free of duplicates.
    pub packages: Vec<InventoryItem>,
    /// What could not be read, sorted.
    pub problems: Vec<Problem>,
}
