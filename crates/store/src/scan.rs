//! What inspection remembers: analyses of layers, inventories of images, and
//! findings on interned packages.

use async_trait::async_trait;
use matching::Status;
use oci::Digest;
use packages::{InventoryItem, Namespace, OsRelease, Package, Problem};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// Unix time in milliseconds.
pub type Millis = i64;

/// Row id of an interned package.
pub type PackageId = i64;

/// What an image runs on, as its configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagePlatform {
    /// `linux`, `windows` ...; empty where unknown.
    pub os: String,
    /// `amd64` ...; empty where unknown.
    pub architecture: String,
    /// `v8` ...
    pub variant: Option<String>,
}

/// Findings of an image by severity, each security check counted once with
/// its worst severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeverityCounts {
    /// Critical.
    pub critical: u64,
    /// High.
    pub high: u64,
    /// Medium.
    pub medium: u64,
    /// Low.
    pub low: u64,
    /// Nobody has rated them.
    pub unscored: u64,
}

impl SeverityCounts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.critical + self.high + self.medium + self.low + self.unscored
    }

    /// Adds another image's counts.
    pub fn add(&mut self, other: &Self) {
        self.critical += other.critical;
        self.high += other.high;
        self.medium += other.medium;
        self.low += other.low;
        self.unscored += other.unscored;
    }
}

/// A package of an image on its way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePackage {
    /// Who judges it, where anybody does.
    pub namespace: Option<Namespace>,
    /// The name its feed keys on.
    pub match_name: String,
    /// The package, its layer and file.
    pub item: InventoryItem,
    /// False where the distribution that owns the file answers for it.
    pub judged: bool,
}

/// An interned package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPackage {
    /// Its row.
    pub id: PackageId,
    /// Who judges it.
    pub namespace: Option<Namespace>,
    /// The package.
    pub package: Package,
    /// Index generation it was last matched with; 0: never.
    pub generation: i64,
}

/// One open finding of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFinding {
    /// The security check's stable id.
    pub finding_id: u64,
    /// 4 critical, 3 high, 2 medium, 1 low, 0 unscored.
    pub severity: u8,
    /// Whether a fixed version exists.
    pub patchable: bool,
    /// Why it is kept out of the counts, where it is.
    pub suppressed: Option<String>,
    /// Title of the check when it was matched.
    pub title: String,
    /// Category of the check.
    pub category: String,
    /// The whole finding with its evidence, as JSON of `matching::PackageFinding`.
    pub detail: String,
}

/// What matching said of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageMatch {
    /// The package.
    pub package_id: PackageId,
    /// Why nobody could assess it, where so.
    pub unassessed: Option<String>,
    /// What stayed undetermined, one reason each.
    pub undetermined: Vec<String>,
    /// Its findings, all of them.
    pub findings: Vec<StoredFinding>,
}

/// A scan of an image that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecord {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Version of the analysers that made the inventory.
    pub analyser_version: u32,
    /// What asked for it: `push`, `catch_up`, `manual` ...
    pub trigger: String,
    /// When the scan began.
    pub started_at: Millis,
    /// When it ended.
    pub finished_at: Millis,
    /// From the configuration.
    pub platform: ImagePlatform,
    /// From os-release.
    pub os: Option<OsRelease>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Why nothing about it can be assessed, where so.
    pub inapplicable: Option<String>,
    /// Why the scan has to be tried again, where part of it failed.
    pub failure: Option<ScanFailure>,
    /// Layer digests in manifest order.
    pub layers: Vec<Digest>,
    /// Its packages, with the ids that [`ScanStore::intern_packages`] gave.
    pub packages: Vec<(PackageId, ImagePackage)>,
}

/// Why a scan, or a part of it, failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanFailure {
    /// In a sentence.
    pub message: String,
    /// How often it failed in a row, this time included.
    pub attempts: u32,
    /// When to try again; `None`: not by itself.
    pub retry_at: Option<Millis>,
}

/// A scan that brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedScan {
    /// Digest of the image's manifest.
    pub digest: Digest,
    /// Version of the analysers that tried.
    pub analyser_version: u32,
    /// What asked for it.
    pub trigger: String,
    /// When it began.
    pub started_at: Millis,
    /// When it failed.
    pub finished_at: Millis,
    /// Why, and when to try again.
    pub failure: ScanFailure,
}

/// What happened to a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingChange {
    /// It was not there before.
    Opened,
    /// It says something else than before.
    Changed,
    /// It is there no more.
    Closed,
}

impl FindingChange {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Changed => "changed",
            Self::Closed => "closed",
        }
    }
}

/// Says what brought a change about, for the history.
pub type CauseOf<'a> = &'a (dyn Fn(FindingChange, &StoredFinding) -> String + Send + Sync);

/// An inspected image as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredImage {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Version of the analysers that made the inventory.
    pub analyser_version: u32,
    /// Whether the last scan failed.
    pub failure: Option<String>,
    /// How often it failed in a row.
    pub attempts: u32,
    /// What asked for the last scan.
    pub trigger: String,
    /// When it began.
    pub started_at: Millis,
    /// When it ended.
    pub finished_at: Millis,
    /// From the configuration.
    pub platform: ImagePlatform,
    /// From os-release.
    pub os: Option<OsRelease>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Its state.
    pub status: Status,
    /// Why that state, where it is not applicable.
    pub cause: Option<String>,
    /// Distinct packages.
    pub packages: u64,
    /// Findings by severity.
    pub severities: SeverityCounts,
    /// How many of them have a fix.
    pub patchable: u64,
    /// Raised whenever what its findings say may have changed.
    pub revision: i64,
}

/// A package as one image holds it, from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImagePackage {
    /// Its row.
    pub id: PackageId,
    /// Who judges it.
    pub namespace: Option<Namespace>,
    /// The package, its layer and file.
    pub item: InventoryItem,
    /// False where the distribution that owns the file answers for it.
    pub judged: bool,
    /// Why nobody could assess it.
    pub unassessed: Option<String>,
    /// What stayed undetermined.
    pub undetermined: Vec<String>,
    /// How many findings it has.
    pub findings: u64,
}

/// A finding on one occurrence of one package in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFindingRow {
    /// The package's row.
    pub package_id: PackageId,
    /// The package, its layer and file.
    pub item: InventoryItem,
    /// The finding.
    pub finding: StoredFinding,
    /// When it opened on this package.
    pub opened_at: Millis,
}

/// One line of an image's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingEvent {
    /// When.
    pub at: Millis,
    /// `opened`, `changed` or `closed`.
    pub event: String,
    /// The check.
    pub finding_id: u64,
    /// Its title then.
    pub title: String,
    /// Its severity then, 4 to 0.
    pub severity: u8,
    /// Name and version of the package.
    pub package: (String, String),
    /// What brought it about.
    pub cause: String,
}

/// An image that stands in a repository and waits for inspection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueImage {
    /// Digest of its manifest.
    pub digest: Digest,
    /// A repository that holds it.
    pub repository: String,
    /// How often inspection failed in a row.
    pub attempts: u32,
}

/// Sums over the images of all repositories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImageTotals {
    /// Images that some repository holds, indexes not counted.
    pub total: u64,
    /// Healthy ones.
    pub healthy: u64,
    /// Unhealthy ones.
    pub unhealthy: u64,
    /// Not applicable ones, those not inspected yet included.
    pub not_applicable: u64,
    /// Findings of all.
    pub severities: SeverityCounts,
    /// Scans whose last attempt failed.
    pub failed: u64,
}

/// Storage of inspection. After a method that writes returns, its rows are
/// durable and every reader sees them.
#[async_trait]
pub trait ScanStore: Send + Sync {
    /// The stored analysis of a layer, as `analysis::LayerAnalysis` wrote it.
    async fn layer_analysis(
        &self,
        layer: &Digest,
        analyser_version: u32,
    ) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps an analysis; one that is there already stays.
    async fn save_layer_analysis(
        &self,
        layer: &Digest,
        analyser_version: u32,
        analysis: &[u8],
        now: Millis,
    ) -> Result<(), StoreError>;

    /// Gives each package its row, in the order asked.
    async fn intern_packages(
        &self,
        packages: &[ImagePackage],
    ) -> Result<Vec<StoredPackage>, StoreError>;

    /// Writes an image, what it holds and what matching said of packages that
    /// were new, in one transaction; gives the image as then stored.
    async fn save_image(
        &self,
        image: &ImageRecord,
        matches: &[PackageMatch],
        generation: i64,
        cause_of: CauseOf<'_>,
    ) -> Result<StoredImage, StoreError>;

    /// Writes that an image could not be inspected. An earlier good result stays readable.
    async fn save_failed_scan(&self, scan: &FailedScan) -> Result<(), StoreError>;

    /// Packages that feeds know under these names.
    async fn packages_named(
        &self,
        names: &[(Namespace, String)],
    ) -> Result<Vec<StoredPackage>, StoreError>;

    /// Packages last matched before this generation, at most `limit`, from row id `after` on.
    async fn packages_behind(
        &self,
        generation: i64,
        after: PackageId,
        limit: u32,
    ) -> Result<Vec<StoredPackage>, StoreError>;

    /// Has every image with packages of this namespace inspected again: who
    /// judges them has changed. Gives how many.
    async fn mark_for_rescan(&self, namespace: &Namespace) -> Result<u64, StoreError>;

    /// Packages of a namespace, at most `limit`, from row id `after` on.
    async fn packages_of(
        &self,
        namespace: &Namespace,
        after: PackageId,
        limit: u32,
    ) -> Result<Vec<StoredPackage>, StoreError>;

    /// Replaces what is known of packages: opens, changes and closes findings,
    /// writes history, and brings every image that holds them up
    /// to date. Gives the images whose findings or state changed. A package
    /// that a later generation already matched is left alone.
    async fn apply_matches(
        &self,
        matches: &[PackageMatch],
        generation: i64,
        cause_of: CauseOf<'_>,
        now: Millis,
    ) -> Result<Vec<Digest>, StoreError>;

    /// One inspected image.
    async fn image(&self, digest: &Digest) -> Result<Option<StoredImage>, StoreError>;

    /// Many inspected images; those not inspected are left out.
    async fn images(&self, digests: &[Digest]) -> Result<Vec<StoredImage>, StoreError>;

    /// Every finding of an image on every occurrence of a package, suppressed ones included.
    async fn image_findings(&self, digest: &Digest) -> Result<Vec<ImageFindingRow>, StoreError>;

    /// An image's packages.
    async fn image_packages(&self, digest: &Digest) -> Result<Vec<StoredImagePackage>, StoreError>;

    /// Openings and closings on an image's packages, newest first.
    async fn image_history(
        &self,
        digest: &Digest,
        limit: u32,
    ) -> Result<Vec<FindingEvent>, StoreError>;

    /// Images that have a finding now.
    async fn images_with_finding(
        &self,
        finding_id: u64,
        limit: u32,
    ) -> Result<Vec<Digest>, StoreError>;

    /// Findings anywhere whose title or detail names this text, newest first, each once.
    async fn search_findings(
        &self,
        text: &str,
        limit: u32,
    ) -> Result<Vec<StoredFinding>, StoreError>;

    /// The worst open findings on images that repositories hold, newest first.
    async fn newest_findings(
        &self,
        severity_min: u8,
        limit: u32,
    ) -> Result<Vec<(Digest, ImageFindingRow)>, StoreError>;

    /// Images in repositories that wait for inspection: never inspected,
    /// inspected by older analysers, or failed and due again.
    async fn due_images(
        &self,
        analyser_version: u32,
        now: Millis,
        attempts_max: u32,
        limit: u32,
    ) -> Result<Vec<DueImage>, StoreError>;

    /// Sums over all repositories, or over one.
    async fn image_totals(&self, repository: Option<&str>) -> Result<ImageTotals, StoreError>;

    /// A small fact by name.
    async fn scan_fact(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// The fact of this name. The first caller's `fresh` becomes it; every
    /// later caller, in whatever process, gets the same one.
    async fn ensure_scan_fact(&self, name: &str, fresh: &str) -> Result<String, StoreError>;

    /// Writes a small fact.
    async fn set_scan_fact(&self, name: &str, value: &str) -> Result<(), StoreError>;
}
