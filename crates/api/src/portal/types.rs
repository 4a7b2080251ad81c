//! Wire types of the native API. JSON is camelCase, times are RFC 3339 in UTC,
//! an absent value is `null` and never zero.
//!
//! Handlers convert use-case types into these in one place; nothing below the
//! `api` crate knows them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Rows of a page when the client names no limit.
pub const PAGE_LIMIT_DEFAULT: u32 = 50;
/// Most rows of one page; a larger `limit` is cut to this.
pub const PAGE_LIMIT_MAX: u32 = 200;
/// Stands for `/` of a repository name in a URL path; it is not legal in names.
pub const REPOSITORY_SLASH: char = '~';

/// An error, as RFC 9457 describes it (`application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Stable kind of the error, a relative URI such as `/problems/not-found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status, repeated.
    pub status: u16,
    /// What was attempted, why it failed and what to do.
    pub detail: String,
    /// Find the log lines of this request by it.
    pub request_id: String,
}

/// Credentials of an account.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SignIn {
    /// Name of the account.
    pub username: String,
    /// Its password.
    #[schema(format = Password)]
    pub password: String,
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// The account.
    pub user: User,
}

/// An account and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Name it signs in with.
    pub name: String,
    /// Azure role names, such as `Owner` or `AcrPull`.
    pub roles: Vec<String>,
}

/// One window of a longer list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// Rows that match the filters, in all.
    pub total: u64,
    /// 0-based position of the first row of this page.
    pub offset: u64,
    /// The rows.
    pub items: Vec<T>,
}

/// Which window of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Text that a row must contain.
    pub q: Option<String>,
    /// 0-based position of the first row.
    pub offset: Option<u64>,
    /// Most rows to return: 50 when absent, 200 at most.
    pub limit: Option<u32>,
}

/// Which images of a repository are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImagesQuery {
    /// Text that a tag must contain or a digest begin with.
    pub q: Option<String>,
    /// Only images with this status: `healthy`, `unhealthy` or `notApplicable`.
    pub status: Option<ImageStatus>,
    /// 0-based position of the first row.
    pub offset: Option<u64>,
    /// Most rows to return: 50 when absent, 200 at most.
    pub limit: Option<u32>,
}

/// Which findings of all images are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FindingSearch {
    /// Text that ID, title, a CVE or a package name must contain.
    pub q: Option<String>,
    /// Severities, comma-separated, such as `critical,high`.
    pub severity: Option<String>,
    /// Only findings of this registry.
    pub registry: Option<String>,
    /// Only findings of this repository, with its slashes.
    pub repository: Option<String>,
    /// 0-based position of the first row.
    pub offset: Option<u64>,
    /// Most rows to return: 50 when absent, 200 at most.
    pub limit: Option<u32>,
}

/// How bad a finding is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Nobody has rated it yet.
    Unscored,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical; Azure's own interfaces call it High.
    Critical,
}

/// Findings by severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeverityCounts {
    /// Critical findings.
    pub critical: u64,
    /// High findings.
    pub high: u64,
    /// Medium findings.
    pub medium: u64,
    /// Low findings.
    pub low: u64,
    /// Findings without a rating.
    pub unscored: u64,
}

/// Images by status; the three sum to the total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageCounts {
    /// All of them.
    pub total: u64,
    /// Looked at, nothing found.
    pub healthy: u64,
    /// With at least one finding.
    pub unhealthy: u64,
    /// Without a verdict; each has a cause.
    pub not_applicable: u64,
}

/// Scans by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanCounts {
    /// Waiting.
    pub queued: u64,
    /// Being worked on.
    pub running: u64,
    /// Given up, with a reason.
    pub failed: u64,
}

/// The first screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Images of all registries by status.
    pub images: ImageCounts,
    /// Findings of all images by severity.
    pub severities: SeverityCounts,
    /// Critical or known-exploited findings, newest first, ten at most.
    pub newest_critical: Vec<FindingRef>,
    /// What the scanner has to do.
    pub scan_queue: ScanCounts,
    /// How fresh each advisory source is.
    pub advisories: Vec<FeedStatus>,
}

/// A finding together with the image that has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingRef {
    /// Finding ID, a decimal number too long for a JSON number.
    pub id: String,
    /// The security check.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// In CISA's list of exploited vulnerabilities.
    pub kev: bool,
    /// CVE names.
    pub cves: Vec<String>,
    /// Packages it is about.
    pub packages: Vec<PackageRef>,
    /// Installed versions, one text.
    pub installed: String,
    /// Versions that fix it, one text.
    pub fixed: Option<String>,
    /// Registry of the image.
    pub registry: String,
    /// Repository of the image.
    pub repository: String,
    /// Digest of the image.
    pub digest: String,
    /// Tags that point at it now.
    pub tags: Vec<String>,
    /// When it was first seen here.
    #[schema(format = DateTime)]
    pub first_seen_at: Option<String>,
}

/// A package by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PackageRef {
    /// Its name.
    pub name: String,
    /// Its purl type, such as `deb` or `pypi`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// How old an advisory source is: amber after 24 hours, red after 72.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum FeedState {
    /// Within 24 hours.
    Fresh,
    /// Older than 24 hours.
    Amber,
    /// Older than 72 hours.
    Red,
}

/// One source of advisories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedStatus {
    /// Its name, such as `debian-tracker`.
    pub source: String,
    /// Advisories it holds.
    pub records: u64,
    /// Newest statement in the data.
    #[schema(format = DateTime)]
    pub data_date: Option<String>,
    /// When it was imported here.
    #[schema(format = DateTime)]
    pub imported_at: Option<String>,
    /// Distributions and ecosystems it speaks of, such as `debian:12`.
    pub namespaces: Vec<String>,
    /// How old it is.
    pub state: FeedState,
}

/// A registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registry {
    /// Its name.
    pub name: String,
    /// Host and port that clients push to.
    pub login_server: String,
    /// Number of repositories.
    pub repositories: u64,
    /// Its images by status.
    pub images: ImageCounts,
    /// Findings of its images.
    pub severities: SeverityCounts,
    /// Newest push.
    #[schema(format = DateTime)]
    pub last_push_at: Option<String>,
    /// Newest finished scan.
    #[schema(format = DateTime)]
    pub last_scan_at: Option<String>,
}

/// A repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    /// Its name, with its slashes.
    pub name: String,
    /// Number of tags.
    pub tags: u64,
    /// Its images by status, untagged ones included.
    pub images: ImageCounts,
    /// Findings of its images.
    pub severities: SeverityCounts,
    /// Newest push.
    #[schema(format = DateTime)]
    pub last_push_at: Option<String>,
    /// Newest finished scan.
    #[schema(format = DateTime)]
    pub last_scan_at: Option<String>,
    /// Bytes of its blobs, each counted once.
    pub size_bytes: u64,
}

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

/// A CVSS score in brief.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CvssScore {
    /// Version of CVSS, such as `3.1`.
    pub version: String,
    /// Base score, 0 to 10.
    pub score: f64,
}

/// A CVSS score with its vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CvssVector {
    /// Version of CVSS, such as `3.1`.
    pub version: String,
    /// Base score, 0 to 10.
    pub score: f64,
    /// The vector string.
    pub vector: String,
    /// Who gave it.
    pub source: Option<String>,
}

/// How likely exploitation within 30 days is, by FIRST's model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Epss {
    /// Probability, 0 to 1.
    pub score: f64,
    /// Share of all CVEs scored lower or equal, 0 to 1.
    pub percentile: f64,
    /// Day of the score, `YYYY-MM-DD`.
    #[schema(format = Date)]
    pub date: Option<String>,
}

/// State of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum FindingStatus {
    /// It applies.
    Open,
    /// A rule hides it.
    Disabled,
    /// It applied once.
    Closed,
}

/// Which findings are wanted and in what order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FindingsQuery {
    /// Severities, comma-separated, such as `critical,high`.
    pub severity: Option<String>,
    /// Text that ID, title, a CVE or a package name must contain.
    pub q: Option<String>,
    /// Only findings with (`true`) or without (`false`) a fixed version.
    pub patchable: Option<bool>,
    /// Only findings that are (`true`) or are not (`false`) known to be exploited.
    pub kev: Option<bool>,
    /// Only findings of this category.
    pub category: Option<String>,
    /// Column to sort by, with a leading `-` for descending: `id`, `severity`,
    /// `title`, `cvss`, `patchable`, `package`, `installed`, `fixed`, `epss`,
    /// `kev`, `category`, `publishedAt`, `layer`, `firstSeenAt` or `status`.
    /// When absent: known-exploited, then severity, then EPSS, highest first.
    /// Ties go by ID, so pages never overlap.
    pub sort: Option<String>,
    /// 0-based position of the first row.
    pub offset: Option<u64>,
    /// Most rows to return: 50 when absent, 200 at most.
    pub limit: Option<u32>,
}

/// A finding in the table of one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingRow {
    /// Finding ID, a decimal number too long for a JSON number.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// The security check.
    pub title: String,
    /// Highest version of CVSS that is given; absent when none is.
    pub cvss: Option<CvssScore>,
    /// Whether a fixed version exists.
    pub patchable: bool,
    /// Packages it is about.
    pub packages: Vec<PackageRef>,
    /// Installed versions, one text.
    pub installed: String,
    /// Versions that fix it, one text.
    pub fixed: Option<String>,
    /// EPSS, where given.
    pub epss: Option<Epss>,
    /// In CISA's list of exploited vulnerabilities.
    pub kev: bool,
    /// Debian, Alpine, Python, Node.js and so on.
    pub category: String,
    /// CVE names.
    pub cves: Vec<String>,
    /// When it was published.
    #[schema(format = DateTime)]
    pub published_at: Option<String>,
    /// 0-based layer that brought the first of its packages.
    pub layer: Option<u32>,
    /// When it was first seen in this image.
    #[schema(format = DateTime)]
    pub first_seen_at: Option<String>,
    /// Its state.
    pub status: FindingStatus,
}

/// A window of findings; stable while `scanId` stays the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingsPage {
    /// Rows that match the filters, in all.
    pub total: u64,
    /// 0-based position of the first row of this page.
    pub offset: u64,
    /// The result these rows belong to; changes when the image is matched again.
    pub scan_id: String,
    /// The rows.
    pub items: Vec<FindingRow>,
}

/// A name of a vulnerability and where to read about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alias {
    /// The name, such as `CVE-2023-5678` or a GHSA.
    pub id: String,
    /// An http or https address.
    pub url: Option<String>,
}

/// What CISA's list of exploited vulnerabilities says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kev {
    /// When it was listed.
    #[schema(format = Date)]
    pub added_at: Option<String>,
    /// Until when it must be fixed in US federal agencies.
    #[schema(format = Date)]
    pub due_at: Option<String>,
    /// Whether ransomware is known to use it.
    pub ransomware: Option<bool>,
}

/// Where the statement comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdvisorySource {
    /// Name of the advisory, such as `DSA-5532-1`.
    pub id: String,
    /// The source it was read from, such as `debian-tracker`.
    pub feed: String,
    /// Snapshot of the index.
    pub snapshot: Option<String>,
    /// Date of the source's data.
    #[schema(format = DateTime)]
    pub data_date: Option<String>,
    /// An http or https address.
    pub url: Option<String>,
}

/// What to do about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Remediation {
    /// Steps that fit this distribution or ecosystem, in order.
    pub steps: Vec<String>,
    /// A line for the Dockerfile.
    pub dockerfile: Option<String>,
}

/// The layer that brought a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LayerRef {
    /// 0-based position in the manifest.
    pub index: u32,
    /// Digest of the blob.
    pub digest: String,
    /// The instruction that made it.
    pub created_by: Option<String>,
}

/// Why this package in this version is affected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The source of the statement.
    pub feed: String,
    /// The advisory that makes it.
    pub advisory: String,
    /// The rule that matched, in words.
    pub rule: String,
    /// The version that was compared: the source package's, where the
    /// distribution speaks of sources.
    pub installed: String,
    /// What it was compared with.
    pub compared_with: String,
}

/// A package that a finding applies to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AffectedPackage {
    /// Its purl type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The version in the image.
    pub installed: String,
    /// The version that fixes it.
    pub fixed: Option<String>,
    /// Its purl.
    pub purl: String,
    /// The layer that brought it.
    pub layer: Option<LayerRef>,
    /// The file it was read from.
    pub path: Option<String>,
    /// The proof.
    pub evidence: Evidence,
}

/// A link to read more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reference {
    /// What it is.
    pub title: Option<String>,
    /// An http or https address; others are dropped.
    pub url: String,
}

/// An image by address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageRef {
    /// Its registry.
    pub registry: String,
    /// Its repository.
    pub repository: String,
    /// Its digest.
    pub digest: String,
    /// Tags that point at it now.
    pub tags: Vec<String>,
}

/// What happened to a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum HistoryWhat {
    /// It began to apply.
    Opened,
    /// It ceased to apply.
    Closed,
    /// It applies again.
    Reopened,
}

/// What made a finding open or close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum HistoryCauseKind {
    /// The image was pushed.
    Push,
    /// An advisory was published, changed or withdrawn.
    Advisory,
    /// A newer analyser read the image.
    Analyser,
    /// A rule was made, changed or removed.
    Rule,
}

/// What made a finding open or close, and which one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryCause {
    /// The kind.
    pub kind: HistoryCauseKind,
    /// Which push, advisory or rule.
    pub detail: Option<String>,
}

/// One step in the life of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingEvent {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// What happened.
    pub what: HistoryWhat,
    /// Why.
    pub cause: HistoryCause,
}

/// All that is known of one finding of one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingDetail {
    /// Finding ID, a decimal number too long for a JSON number.
    pub id: String,
    /// The security check.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whose rating that is and over which others it went.
    pub severity_reason: String,
    /// Its state.
    pub status: FindingStatus,
    /// What is wrong, as the source wrote it.
    pub description: Option<String>,
    /// What an attacker gains, as the source wrote it.
    pub impact: Option<String>,
    /// Language of `description` and `impact`, such as `en`.
    pub text_language: Option<String>,
    /// CVEs, with links.
    pub cves: Vec<Alias>,
    /// Other names: GHSA, DSA and the like.
    pub aliases: Vec<Alias>,
    /// Present when it is known to be exploited.
    pub kev: Option<Kev>,
    /// EPSS, where given.
    pub epss: Option<Epss>,
    /// All CVSS scores, newest version first.
    pub cvss: Vec<CvssVector>,
    /// When it was published.
    #[schema(format = DateTime)]
    pub published_at: Option<String>,
    /// When the statement last changed.
    #[schema(format = DateTime)]
    pub modified_at: Option<String>,
    /// When it was first seen in this image.
    #[schema(format = DateTime)]
    pub first_seen_at: Option<String>,
    /// Where the statement comes from.
    pub advisory: AdvisorySource,
    /// Debian, Alpine, Python, Node.js and so on.
    pub category: String,
    /// Always `Vulnerability` today.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether a fixed version exists.
    pub patchable: bool,
    /// Versions that fix it.
    pub fixed_versions: Vec<String>,
    /// Packages it applies to, each with its proof.
    pub packages: Vec<AffectedPackage>,
    /// What to do.
    pub remediation: Remediation,
    /// Links of the vendor and others.
    pub references: Vec<Reference>,
    /// Other images with it, 100 at most.
    pub other_images: Vec<ImageRef>,
    /// Its life, newest first.
    pub history: Vec<FindingEvent>,
}

/// The source package that a distribution built a package from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
}

/// A package of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PackageRow {
    /// Its purl type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub arch: Option<String>,
    /// The source package it was built from.
    pub source: Option<SourceRef>,
    /// Its purl.
    pub purl: String,
    /// 0-based layer that brought it.
    pub layer: u32,
    /// The file it was read from.
    pub path: String,
    /// Its findings by severity.
    pub findings: SeverityCounts,
    /// Why no verdict could be given, where none could.
    pub undetermined: Option<String>,
}

/// The opening or closing of a finding of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryRow {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// What happened.
    pub what: HistoryWhat,
    /// Why.
    pub cause: HistoryCause,
    /// Finding ID.
    pub finding_id: String,
    /// The security check.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// Packages it is about.
    pub packages: Vec<PackageRef>,
}

/// What started a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ScanTrigger {
    /// A push.
    Push,
    /// An import from another registry.
    Import,
    /// New advisories.
    Advisories,
    /// A newer analyser.
    Analyser,
    /// The weekly scan from scratch.
    Periodic,
    /// Somebody asked.
    Manual,
}

/// A scan in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanJob {
    /// The image.
    #[serde(flatten)]
    pub image: ImageRef,
    /// What started it.
    pub trigger: ScanTrigger,
    /// Where it stands.
    pub scan: Scan,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was queued.
    #[schema(format = DateTime)]
    pub queued_at: Option<String>,
}

/// What the event `image` carries: an image appeared or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageEvent {
    /// The image.
    #[serde(flatten)]
    pub image: ImageRef,
    /// Its verdict now.
    pub status: ImageStatus,
    /// Where its scan stands.
    pub scan: ScanProgress,
}

/// Where a scan stands, in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScanProgress {
    /// Where it stands.
    pub state: ScanState,
    /// What it does, while running.
    pub stage: Option<ScanStage>,
}

/// What the event `repository` carries: a repository appeared, changed or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryEvent {
    /// Its registry.
    pub registry: String,
    /// Its name.
    pub repository: String,
}

/// What the event `advisories` carries: a new index is in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdvisoriesEvent {
    /// Name of the snapshot.
    pub snapshot: Option<String>,
}
