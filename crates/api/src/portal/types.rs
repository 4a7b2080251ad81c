//! Wire types of the native API. JSON is camelCase, times are RFC 3339 in UTC,
//! an absent value is `null` and never zero.
//!
//! Handlers convert use-case types into these in one place; nothing below the
//! `api` crate knows them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

mod cache;
mod finding;
mod image;
mod import;

pub use cache::*;
pub use finding::*;
pub use image::*;
pub use import::*;

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
