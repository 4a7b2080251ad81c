//! Findings: rows of an image's table, one in full with its proof, and how they
//! open and close.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{PackageRef, Severity};

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
