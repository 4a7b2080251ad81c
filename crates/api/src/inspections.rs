//! What is known of images, read from catalog, scans and advisories together:
//! the common ground of the native API and Azure's.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use advisories::{Check, FindingId, Index};
use matching::Status;
use oci::{Digest, Platform, RepositoryName, media_type};
use posture::cause::FeedFacts;
use posture::{Cause, CauseKind, Finding, FindingError, Verdict, aggregate, cause_of};
use registry::Clock;
use store::catalog::{CatalogManifest, CatalogStore, IndexChild};
use store::scan::{ImageFindingRow, ScanStore, StoredImage};
use store::{BlobStore, StoreError};

use crate::portal::types::ManifestKind;
use crate::portal::view::{ScanProgress, ScanView};

/// Most results that are kept ready.
const CACHED_SETS_MAX: usize = 256;
/// Most findings in all results that are kept ready.
const CACHED_FINDINGS_MAX: usize = 200_000;

/// Why something about images cannot be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectionError {
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored finding is damaged.
    #[error(transparent)]
    Finding(#[from] FindingError),
}

/// The readers of both APIs. Cheap to share.
pub struct Inspections {
    pub(crate) catalog: Arc<dyn CatalogStore>,
    pub(crate) scans: Arc<dyn ScanStore>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) view: Arc<dyn ScanView>,
    pub(crate) clock: Clock,
    cache: Mutex<Cache>,
}

/// A finding with what the advisory index adds to it.
#[derive(Debug, Clone)]
pub(crate) struct EnrichedFinding {
    pub finding: Finding,
    /// `None`: no imported record stands for it any more.
    pub check: Option<Arc<Check>>,
    /// The worst of its CVEs.
    pub epss: Option<advisories::Epss>,
    /// Of the first of its CVEs that is listed.
    pub kev: Option<advisories::Kev>,
    /// What free text is looked for in, lower case.
    pub search: String,
}

/// Findings of some images at one moment, suppressed ones included, by id.
#[derive(Debug)]
pub(crate) struct FindingSet {
    /// Changes whenever the findings may have changed.
    pub scan_id: String,
    pub findings: Vec<EnrichedFinding>,
}

impl FindingSet {
    /// Those that count.
    pub fn open(&self) -> impl Iterator<Item = &EnrichedFinding> {
        self.findings.iter().filter(|f| f.finding.suppressed.is_none())
    }

    /// One, suppressed or not.
    pub fn find(&self, id: FindingId) -> Option<&EnrichedFinding> {
        let at = self.findings.binary_search_by_key(&id, |f| f.finding.id).ok()?;
        self.findings.get(at)
    }
}

/// An image or index as it stands.
#[derive(Debug, Clone)]
pub(crate) struct ImageState {
    pub verdict: Verdict,
    pub progress: Option<ScanProgress>,
    pub stored: Option<StoredImage>,
}

/// A manifest of a repository with its verdict.
#[derive(Debug, Clone)]
pub(crate) struct ImageView {
    pub manifest: CatalogManifest,
    pub kind: ManifestKind,
    /// Of an index the sum of its children.
    pub state: ImageState,
    /// What an index lists.
    pub children: Vec<ChildView>,
}

/// What an index lists.
#[derive(Debug, Clone)]
pub(crate) struct ChildView {
    pub entry: IndexChild,
    /// `None`: it was never pushed here.
    pub image: Option<Box<ImageView>>,
    pub verdict: Verdict,
}

impl ImageView {
    /// The images whose findings are the findings of this one.
    pub fn leaves(&self) -> Vec<&ImageView> {
        if self.kind != ManifestKind::Index {
            return vec![self];
        }
        self.children.iter().filter_map(|child| child.image.as_deref()).collect()
    }
}

/// What a manifest is, by what it refers to.
pub(crate) fn kind_of(manifest: &CatalogManifest) -> ManifestKind {
    let image_config =
        manifest.config_media_type.as_deref().is_some_and(media_type::is_image_config);
    if media_type::is_index(&manifest.media_type) {
        ManifestKind::Index
    } else if image_config && (manifest.layers == 0 || manifest.file_system_layers > 0) {
        ManifestKind::Image
    } else {
        ManifestKind::Artifact
    }
}

impl Inspections {
    /// Over one installation's storage and its running inspection.
    pub fn new(
        catalog: Arc<dyn CatalogStore>,
        scans: Arc<dyn ScanStore>,
        blobs: Arc<dyn BlobStore>,
        view: Arc<dyn ScanView>,
        clock: Clock,
    ) -> Self {
        Self { catalog, scans, blobs, view, clock, cache: Mutex::default() }
    }

    /// Every manifest of a repository with its verdict, newest push first.
    /// Those that an index of the same repository lists stand under it alone,
    /// unless a tag points at them.
    pub(crate) async fn images(
        &self,
        repository: &RepositoryName,
    ) -> Result<Vec<ImageView>, StoreError> {
        let manifests = self.catalog.catalog_manifests(repository).await?;
        let listed: std::collections::HashSet<Digest> =
            manifests.iter().flat_map(|m| m.children.iter().map(|child| child.digest)).collect();
        let stored = self.stored(manifests.iter().map(|m| m.digest).collect()).await?;
        let by_digest: HashMap<Digest, CatalogManifest> =
            manifests.iter().map(|m| (m.digest, m.clone())).collect();
        let top =
            manifests.into_iter().filter(|m| !listed.contains(&m.digest) || !m.tags.is_empty());
        Ok(top.map(|m| self.view_of(m, &by_digest, &stored)).collect())
    }

    /// One manifest of a repository with its verdict.
    pub(crate) async fn image(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<ImageView>, StoreError> {
        let Some(manifest) = self.catalog.catalog_manifest(repository, digest).await? else {
            return Ok(None);
        };
        let mut by_digest = HashMap::new();
        for child in &manifest.children {
            if let Some(found) = self.catalog.catalog_manifest(repository, &child.digest).await? {
                by_digest.insert(found.digest, found);
            }
        }
        let digests = by_digest.keys().copied().chain([manifest.digest]).collect();
        let stored = self.stored(digests).await?;
        Ok(Some(self.view_of(manifest, &by_digest, &stored)))
    }

    async fn stored(
        &self,
        digests: Vec<Digest>,
    ) -> Result<HashMap<Digest, StoredImage>, StoreError> {
        let images = self.scans.images(&digests).await?;
        Ok(images.into_iter().map(|image| (image.digest, image)).collect())
    }

    fn view_of(
        &self,
        manifest: CatalogManifest,
        by_digest: &HashMap<Digest, CatalogManifest>,
        stored: &HashMap<Digest, StoredImage>,
    ) -> ImageView {
        let kind = kind_of(&manifest);
        if kind != ManifestKind::Index {
            let state = self.leaf_state(&manifest, kind, stored.get(&manifest.digest).cloned());
            return ImageView { manifest, kind, state, children: Vec::new() };
        }
        let child = |entry: &IndexChild| {
            // An index inside an index is not looked into: nothing pulls through two.
            let known = by_digest.get(&entry.digest);
            let image = known.map(|child| {
                let kind = kind_of(child);
                let state = self.leaf_state(child, kind, stored.get(&child.digest).cloned());
                Box::new(ImageView { manifest: child.clone(), kind, state, children: Vec::new() })
            });
            let verdict = image.as_ref().map_or_else(absent, |image| image.state.verdict.clone());
            ChildView { entry: entry.clone(), image, verdict }
        };
        let children: Vec<ChildView> = manifest.children.iter().map(child).collect();
        let judged = children.iter().filter(|child| !is_attachment(child));
        let verdict = aggregate(judged.map(|child| (child_name(child), &child.verdict)));
        let state = ImageState { verdict, progress: self.progress_of(&children), stored: None };
        ImageView { manifest, kind, state, children }
    }

    /// A running child outweighs one that waits.
    fn progress_of(&self, children: &[ChildView]) -> Option<ScanProgress> {
        let all = children.iter().filter_map(|child| child.image.as_ref()?.state.progress);
        all.max_by_key(|progress| progress.stage.is_some())
    }

    fn leaf_state(
        &self,
        manifest: &CatalogManifest,
        kind: ManifestKind,
        stored: Option<StoredImage>,
    ) -> ImageState {
        let progress = self.view.progress(&manifest.digest);
        let verdict = match &stored {
            Some(image) if image.status == Status::NotApplicable => {
                Verdict::none(cause_of(image, &self.feed_facts(image)))
            }
            Some(image) => Verdict { status: image.status, cause: None },
            None => Verdict::none(unscanned(manifest, kind, progress)),
        };
        ImageState { verdict, progress, stored }
    }

    fn feed_facts(&self, image: &StoredImage) -> FeedFacts {
        let index = self.view.index();
        let today = (self.clock)().date();
        FeedFacts {
            any: index.feeds().iter().any(|feed| !feed.family.is_empty()),
            end_of_life: image.os.as_ref().and_then(|os| index.end_of_life(os)),
            today: format!("{:04}-{:02}-{:02}", today.year(), u8::from(today.month()), today.day()),
        }
    }

    /// Findings of some images taken together. Kept ready while neither the
    /// images nor the advisories change.
    pub(crate) async fn findings(
        &self,
        leaves: &[&ImageView],
    ) -> Result<Arc<FindingSet>, InspectionError> {
        let index = self.view.index();
        let scanned = leaves.iter().filter_map(|leaf| leaf.state.stored.as_ref());
        let parts: Vec<(Digest, i64)> =
            scanned.map(|image| (image.digest, image.revision)).collect();
        self.findings_of(&parts, &index).await
    }

    /// The same for one inspected image.
    pub(crate) async fn findings_of_image(
        &self,
        image: &StoredImage,
    ) -> Result<Arc<FindingSet>, InspectionError> {
        self.findings_of(&[(image.digest, image.revision)], &self.view.index()).await
    }

    async fn findings_of(
        &self,
        parts: &[(Digest, i64)],
        index: &Index,
    ) -> Result<Arc<FindingSet>, InspectionError> {
        let scan_id = scan_id(parts, &index.snapshot_id());
        if let Some(found) = self.cache().find(&scan_id) {
            return Ok(found);
        }
        let mut rows: Vec<ImageFindingRow> = Vec::new();
        for (digest, _) in parts {
            rows.extend(self.scans.image_findings(digest).await?);
        }
        let findings = posture::group(rows)?;
        let findings = findings.into_iter().map(|finding| enrich(finding, index)).collect();
        let set = Arc::new(FindingSet { scan_id, findings });
        self.cache().keep(Arc::clone(&set));
        Ok(set)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn absent() -> Verdict {
    let detail = "the index lists it, but it was never pushed here";
    Verdict::none(Cause::new(CauseKind::Unreadable, detail))
}

/// Whether a child is no image but something about one: a build attestation,
/// say, which builders list under the platform `unknown/unknown`.
fn is_attachment(child: &ChildView) -> bool {
    let unknown = child.entry.platform.as_ref().is_some_and(Platform::is_unknown);
    unknown || child.image.as_ref().is_some_and(|image| image.kind == ManifestKind::Artifact)
}

fn child_name(child: &ChildView) -> String {
    match &child.entry.platform {
        Some(platform) => platform.to_string(),
        None => child.entry.digest.to_string(),
    }
}

fn unscanned(
    manifest: &CatalogManifest,
    kind: ManifestKind,
    progress: Option<ScanProgress>,
) -> Cause {
    if kind == ManifestKind::Index {
        return Cause::new(
            CauseKind::UnsupportedContent,
            "an index inside an index is not looked into; push the image under a tag of its own",
        );
    }
    if kind == ManifestKind::Artifact {
        let what = manifest.artifact_type.as_deref().or(manifest.config_media_type.as_deref());
        let what = what.unwrap_or("an artifact");
        return Cause::new(
            CauseKind::UnsupportedContent,
            format!("{what} holds no packages that are inspected"),
        );
    }
    let detail = match progress {
        Some(ScanProgress { stage: Some(_), .. }) => "its scan is running",
        Some(_) => "its scan waits for its turn",
        None => "it waits for the next round of the scanner",
    };
    Cause::new(CauseKind::NotScannedYet, detail)
}

fn enrich(finding: Finding, index: &Index) -> EnrichedFinding {
    let check = index.check(finding.id).map(Arc::new);
    let facts: Vec<_> = finding.cves.iter().map(|cve| index.cve(cve)).collect();
    let kev = facts.iter().find_map(|facts| facts.kev.clone());
    let epss = facts.into_iter().filter_map(|facts| facts.epss);
    let epss = epss.max_by(|a, b| a.score.total_cmp(&b.score));
    let search = search_text(&finding);
    EnrichedFinding { finding, check, epss, kev, search }
}

/// ID, title, CVEs, advisories and packages, a line each.
fn search_text(finding: &Finding) -> String {
    let mut lines = vec![finding.id.to_string(), finding.title.clone()];
    lines.extend(finding.cves.iter().cloned());
    for occurrence in &finding.occurrences {
        lines.push(occurrence.item.package.name.clone());
        lines.extend(occurrence.verdict.advisories.iter().cloned());
    }
    lines.join("\n").to_lowercase()
}

fn scan_id(parts: &[(Digest, i64)], snapshot: &str) -> String {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    for (digest, revision) in parts {
        hash.update(digest.to_string());
        hash.update(revision.to_be_bytes());
    }
    hash.update(snapshot);
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Results in the order of their last use, the oldest first.
#[derive(Default)]
struct Cache {
    sets: VecDeque<Arc<FindingSet>>,
}

impl Cache {
    fn find(&mut self, scan_id: &str) -> Option<Arc<FindingSet>> {
        let at = self.sets.iter().position(|set| set.scan_id == scan_id)?;
        let found = self.sets.remove(at)?;
        self.sets.push_back(Arc::clone(&found));
        Some(found)
    }

    fn keep(&mut self, set: Arc<FindingSet>) {
        if self.find(&set.scan_id).is_some() {
            return;
        }
        self.sets.push_back(set);
        let size =
            |sets: &VecDeque<Arc<FindingSet>>| sets.iter().map(|s| s.findings.len()).sum::<usize>();
        while self.sets.len() > CACHED_SETS_MAX
            || (self.sets.len() > 1 && size(&self.sets) > CACHED_FINDINGS_MAX)
        {
            self.sets.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(scan_id: usize) -> Arc<FindingSet> {
        Arc::new(FindingSet { scan_id: scan_id.to_string(), findings: Vec::new() })
    }

    #[test]
    fn the_cache_forgets_what_was_not_used_for_longest() {
        let mut cache = Cache::default();
        cache.keep(set(0));
        for i in 1..=CACHED_SETS_MAX {
            cache.keep(set(i));
            assert!(cache.find("0").is_some(), "in use");
        }
        assert!(cache.find("1").is_none());
        assert_eq!(cache.sets.len(), CACHED_SETS_MAX);
    }

    #[test]
    fn a_change_of_image_or_advisories_changes_the_scan_id() {
        let digest = Digest::sha256(b"x");
        let ids = [
            scan_id(&[(digest, 1)], "a"),
            scan_id(&[(digest, 2)], "a"),
            scan_id(&[(digest, 1)], "b"),
            scan_id(&[], "a"),
        ];
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len());
    }
}
