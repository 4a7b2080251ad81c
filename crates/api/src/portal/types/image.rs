//! Images: what a list shows of one, and all that is known of it but its
//! findings and packages.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::SeverityCounts;

/// What a manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ManifestKind {
    /// A container image for one platform.
    Image,
    /// A list of images, one per platform.
    Index,
    /// Anything else: a chart, a signature, an SBOM.
    Artifact,
}

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Platform {
    /// Operating system, such as `linux`.
    pub os: String,
    /// Processor, such as `arm64`.
    pub architecture: String,
    /// Its variant, such as `v8`.
    pub variant: Option<String>,
}

/// The verdict on an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ImageStatus {
    /// Looked at, nothing found.
    Healthy,
    /// At least one finding.
    Unhealthy,
    /// No verdict; `cause` says why.
    NotApplicable,
}

/// Why an image has no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum CauseKind {
    /// Queued or running; a verdict will follow.
    NotScannedYet,
    /// The scan was given up.
    ScanFailed,
    /// A content that is not inspected: an artifact without packages, an
    /// unknown layer type, an encrypted layer.
    UnsupportedContent,
    /// A layer or package database could not be read, so packages may be missing.
    Unreadable,
    /// No advisory source speaks of this distribution or release.
    NoFeed,
    /// The release gets no security updates any more.
    EndOfLife,
    /// The advisory index is empty.
    NoAdvisories,
    /// Nothing in it could be recognised as a package.
    NoPackages,
    /// The plan is off for its subscription.
    PlanOff,
    /// A rule exempts it.
    Exempt,
    /// A network rule keeps the scanner out.
    NetworkRule,
    /// Not pulled within the window in which images are kept current.
    NotPulledRecently,
}

/// Why an image has no verdict, with what is known beyond the kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    /// The kind; the portal names it and the next step in the reader's language.
    pub kind: CauseKind,
    /// What exactly, such as the distribution without a feed.
    pub detail: Option<String>,
}

/// Where a scan stands; separate from the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ScanState {
    /// Waiting for a worker.
    Queued,
    /// Being worked on; `stage` says at what.
    Running,
    /// Finished with the current advisories.
    Done,
    /// Given up; `failure` says why.
    Failed,
    /// Finished, but advisories or analysers are newer than the result.
    Stale,
}

/// What a running scan does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ScanStage {
    /// Layers arrive or are read.
    Analysing,
    /// Layer inventories become one.
    Merging,
    /// Packages meet advisories.
    Matching,
}

/// The scan of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scan {
    /// Where it stands.
    pub state: ScanState,
    /// What it does, while running.
    pub stage: Option<ScanStage>,
    /// When it began.
    #[schema(format = DateTime)]
    pub started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
    /// Why it failed, in a sentence.
    pub failure: Option<String>,
}

/// An image, index or artifact in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageSummary {
    /// Digest of the manifest.
    pub digest: String,
    /// Tags that point at it now.
    pub tags: Vec<String>,
    /// Media type of the manifest.
    pub media_type: String,
    /// What it is.
    pub kind: ManifestKind,
    /// What it runs on; absent for indexes and artifacts.
    pub platform: Option<Platform>,
    /// Compressed bytes of configuration and layers.
    pub size_bytes: u64,
    /// When this digest was pushed here first.
    #[schema(format = DateTime)]
    pub pushed_at: Option<String>,
    /// Who pushed it.
    pub pushed_by: Option<String>,
    /// Newest pull, the scanner's own not counted.
    #[schema(format = DateTime)]
    pub last_pulled_at: Option<String>,
    /// The verdict; of an index the worst of its platforms.
    pub status: ImageStatus,
    /// Why there is no verdict; present exactly when `status` is `notApplicable`.
    pub cause: Option<Cause>,
    /// Where its scan stands.
    pub scan: Scan,
    /// Its findings by severity.
    pub severities: SeverityCounts,
    /// Findings with a fixed version.
    pub patchable: u64,
    /// Packages in it.
    pub packages: u64,
    /// Images of an index; empty otherwise.
    #[schema(no_recursion)]
    pub children: Vec<ImageSummary>,
}

/// The operating system found in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperatingSystem {
    /// `ID` of os-release.
    pub id: String,
    /// `VERSION_ID` of os-release; rolling releases have none.
    pub version: Option<String>,
    /// What to call it, such as `Debian GNU/Linux 12 (bookworm)`.
    pub name: Option<String>,
    /// Whether its support has ended; absent when unknown.
    pub eol: Option<bool>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// 0-based position in the manifest.
    pub index: u32,
    /// Digest of the blob.
    pub digest: String,
    /// Media type of the blob.
    pub media_type: String,
    /// Bytes of the blob.
    pub size_bytes: u64,
    /// The instruction that made it, from the image's history.
    pub created_by: Option<String>,
    /// Packages whose origin it is.
    pub packages: u64,
    /// Findings in those packages.
    pub findings: SeverityCounts,
}

/// A variable of the image's environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvVariable {
    /// Its name.
    pub name: String,
    /// Its value; only for names known to be harmless, such as `PATH`.
    pub value: Option<String>,
}

/// A label of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Label {
    /// Its key.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What the image's configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageConfig {
    /// When it was built, as the builder wrote it.
    pub created: Option<String>,
    /// Who built it, as the builder wrote it.
    pub author: Option<String>,
    /// Environment; values are masked, since builds leak secrets there.
    pub env: Vec<EnvVariable>,
    /// Entry point.
    pub entrypoint: Vec<String>,
    /// Default command or arguments.
    pub cmd: Vec<String>,
    /// Labels, sorted by key.
    pub labels: Vec<Label>,
    /// User it runs as.
    pub user: Option<String>,
    /// Directory it starts in.
    pub working_dir: Option<String>,
}

/// Something in the image that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageProblem {
    /// 0-based layer, where it is about one.
    pub layer: Option<u32>,
    /// Path in the layer, where it is about one file.
    pub path: Option<String>,
    /// Stable kind, such as `unreadable_layer`.
    pub kind: String,
    /// What was tried and what came of it.
    pub message: String,
}

/// A package on which no verdict could be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Undetermined {
    /// The package, as a purl.
    pub package: String,
    /// Why.
    pub reason: String,
}

/// With which advisories an image was matched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdvisorySnapshot {
    /// Name of the index snapshot.
    pub snapshot: Option<String>,
    /// Newest statement in it.
    #[schema(format = DateTime)]
    pub newest_data_date: Option<String>,
}

/// A command to copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PullCommand {
    /// The client, such as `docker`.
    pub client: String,
    /// The whole command line.
    pub command: String,
}

/// An image with all that is known of it but its findings and packages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: ImageSummary,
    /// Its operating system; absent for images without os-release.
    pub os: Option<OperatingSystem>,
    /// Its layers, in the manifest's order.
    pub layers: Vec<Layer>,
    /// Its configuration; absent for indexes and artifacts.
    pub config: Option<ImageConfig>,
    /// What could not be read.
    pub problems: Vec<ImageProblem>,
    /// Packages without a verdict.
    pub undetermined: Vec<Undetermined>,
    /// The advisories it was matched with.
    pub advisories: AdvisorySnapshot,
    /// How to pull it by digest.
    pub pull_commands: Vec<PullCommand>,
}
