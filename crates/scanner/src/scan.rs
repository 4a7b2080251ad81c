//! The scan of one image: its layers' analyses merged, its packages interned,
//! new ones matched, all of it stored in one transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use advisories::Index;
use analysis::{ANALYSER_VERSION, LayerAnalysis, LayerEncoding};
use futures::StreamExt;
use oci::manifest::{Image, Manifest};
use oci::{Descriptor, Digest, ManifestError, Reference, RepositoryName};
use packages::{Problem, ProblemKind};
use store::scan::{FailedScan, ImageRecord, Millis, ScanFailure, ScanStore, StoredImage};
use store::{BlobStore, RegistryStore, StoreError};
use tokio::sync::{Semaphore, broadcast, watch};

use crate::arrivals::Arrivals;
use crate::inspect::{self, Inspected, Plan};
use crate::layers::{LayerError, Layers};
use crate::matches::match_stored;
use crate::progress::{ScanEvent, ScanProgress, ScanStage};
use crate::worker::LayerWorkers;

/// Images scanned at once; their layers share the workers.
const SCANS_MAX: usize = 4;

/// Layers of one image that are waited for at once.
const LAYERS_AT_ONCE: usize = 8;

/// How often a scan that failed is tried again by itself.
pub(crate) const ATTEMPTS_MAX: u32 = 3;

/// Wait before the first new try; it doubles with each.
const RETRY_AFTER_MS: Millis = 30_000;

/// Events that a slow watcher may lag behind before it loses some.
const EVENTS_BUFFERED: usize = 1024;

/// What asked for a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The image was pushed.
    Push,
    /// The product itself copied it from another registry.
    Import,
    /// It stands in the registry and was not inspected yet, or has to be again.
    CatchUp,
}

impl Trigger {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Import => "import",
            Self::CatchUp => "catch_up",
        }
    }
}

/// Why there is no scan.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The registry does not hold the manifest.
    #[error("manifest {0} is not in the registry")]
    UnknownManifest(Digest),
    /// The manifest is not usable.
    #[error("the manifest is not usable: {0}")]
    Manifest(#[from] ManifestError),
    /// It is an index: its images are scanned, not itself.
    #[error("{0} is an index of images")]
    IsIndex(Digest),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration blob could not be read.
    #[error("the configuration cannot be read: {0}")]
    Config(#[source] std::io::Error),
    /// The computation broke off.
    #[error("the scan was abandoned: {0}")]
    Abandoned(#[from] tokio::task::JoinError),
}

/// What a scanner works with.
pub struct ScannerParts {
    /// Where its results go.
    pub scans: Arc<dyn ScanStore>,
    /// Where manifests are.
    pub registry: Arc<dyn RegistryStore>,
    /// Where layers are.
    pub blobs: Arc<dyn BlobStore>,
    /// Who reads layers.
    pub workers: Arc<dyn LayerWorkers>,
    /// Unix time in milliseconds.
    pub clock: Arc<dyn Fn() -> Millis + Send + Sync>,
}

/// The scanner. Cheap to clone.
#[derive(Clone)]
pub struct Scanner {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) scans: Arc<dyn ScanStore>,
    registry: Arc<dyn RegistryStore>,
    blobs: Arc<dyn BlobStore>,
    pub(crate) clock: Arc<dyn Fn() -> Millis + Send + Sync>,
    layers: Layers,
    pub(crate) in_force: RwLock<InForce>,
    under_way: Mutex<HashMap<Digest, UnderWay>>,
    turns: Semaphore,
    pub(crate) events: broadcast::Sender<ScanEvent>,
    pub(crate) due: tokio::sync::Notify,
}

/// The advisories in force, and how many times they were replaced.
#[derive(Clone)]
pub(crate) struct InForce {
    pub(crate) index: Arc<Index>,
    pub(crate) generation: i64,
}

struct UnderWay {
    progress: ScanProgress,
    ended: watch::Receiver<bool>,
}

impl Scanner {
    /// A scanner without advisories; see [`Scanner::put_in_force`].
    pub fn new(parts: ScannerParts) -> Self {
        let layers = Layers::new(Arc::clone(&parts.scans), Arc::clone(&parts.blobs), parts.workers);
        Self {
            inner: Arc::new(Inner {
                scans: parts.scans,
                registry: parts.registry,
                blobs: parts.blobs,
                clock: parts.clock,
                layers,
                in_force: RwLock::new(InForce {
                    index: Arc::new(Index::new(Vec::new())),
                    generation: 0,
                }),
                under_way: Mutex::default(),
                turns: Semaphore::new(SCANS_MAX),
                events: broadcast::channel(EVENTS_BUFFERED).0,
                due: tokio::sync::Notify::new(),
            }),
        }
    }

    /// What follows uploads, for the registry's observer.
    pub fn arrivals(&self) -> Arrivals {
        Arrivals::new(self.inner.layers.clone())
    }

    /// The advisories in force.
    pub fn index(&self) -> Arc<Index> {
        Arc::clone(&self.in_force().index)
    }

    /// Layers read by a worker since the start.
    pub fn layers_read(&self) -> u64 {
        self.inner.layers.layers_read()
    }

    /// Scans under way, oldest first.
    pub fn queue(&self) -> Vec<ScanProgress> {
        let mut all: Vec<_> = self.inner.under_way().values().map(|u| u.progress.clone()).collect();
        all.sort_by_key(|p| p.since);
        all
    }

    /// The scan of this image, if one is under way.
    pub fn progress(&self, digest: &Digest) -> Option<ScanProgress> {
        self.inner.under_way().get(digest).map(|u| u.progress.clone())
    }

    /// Everything that happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<ScanEvent> {
        self.inner.events.subscribe()
    }

    /// Inspects an image unless that was done already, and gives what is
    /// stored of it then. Joins a scan under way; goes on if the caller leaves.
    pub async fn scan(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        trigger: Trigger,
    ) -> Result<Option<StoredImage>, ScanError> {
        if let Some(done) = self.up_to_date(digest).await? {
            // A layer that was not there may have been pushed since.
            let missing = |p: &Problem| p.kind == ProblemKind::MissingLayer;
            if trigger != Trigger::Push || !done.problems.iter().any(missing) {
                return Ok(Some(done));
            }
        }
        let mut ended = self.begin(repository, digest, trigger);
        // An error: the task is gone, and so is its claim.
        let _ = ended.wait_for(|ended| *ended).await;
        Ok(self.inner.scans.image(digest).await?)
    }

    async fn up_to_date(&self, digest: &Digest) -> Result<Option<StoredImage>, StoreError> {
        let stored = self.inner.scans.image(digest).await?;
        Ok(stored
            .filter(|image| image.analyser_version == ANALYSER_VERSION && image.failure.is_none()))
    }

    fn begin(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        trigger: Trigger,
    ) -> watch::Receiver<bool> {
        let mut under_way = self.inner.under_way();
        if let Some(scan) = under_way.get(digest) {
            return scan.ended.clone();
        }
        let (sender, ended) = watch::channel(false);
        let progress = ScanProgress {
            digest: *digest,
            repository: repository.clone(),
            stage: ScanStage::Queued,
            trigger,
            since: self.now(),
        };
        let _ = self.inner.events.send(ScanEvent::Progress(progress.clone()));
        under_way.insert(*digest, UnderWay { progress, ended: ended.clone() });
        drop(under_way);
        let claim = Claim { scanner: self.clone(), digest: *digest, ended: sender };
        let repository = repository.clone();
        tokio::spawn(async move {
            claim.scanner.run(&repository, &claim.digest, trigger).await;
            drop(claim);
        });
        ended
    }

    async fn run(&self, repository: &RepositoryName, digest: &Digest, trigger: Trigger) {
        let Ok(_turn) = self.inner.turns.acquire().await else { return };
        let started_at = self.now();
        match self.scan_image(repository, digest, trigger, started_at).await {
            Ok(image) => {
                let _ = self
                    .inner
                    .events
                    .send(ScanEvent::Image { digest: *digest, status: image.status });
            }
            // Deleted meanwhile, or nothing that can be scanned.
            Err(ScanError::UnknownManifest(_) | ScanError::IsIndex(_)) => {}
            Err(error) => {
                tracing::warn!(%digest, %error, "a scan failed");
                let attempts = match self.inner.scans.image(digest).await {
                    Ok(image) => image.map_or(0, |i| i.attempts) + 1,
                    Err(_) => 1,
                };
                let failed = FailedScan {
                    digest: *digest,
                    analyser_version: ANALYSER_VERSION,
                    trigger: trigger.as_str().to_owned(),
                    started_at,
                    finished_at: self.now(),
                    failure: self.failure(error.to_string(), attempts),
                };
                if let Err(error) = self.inner.scans.save_failed_scan(&failed).await {
                    tracing::error!(%digest, %error, "a failed scan cannot be recorded");
                }
                let _ = self.inner.events.send(ScanEvent::Failed { digest: *digest });
            }
        }
    }

    async fn scan_image(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        trigger: Trigger,
        started_at: Millis,
    ) -> Result<StoredImage, ScanError> {
        let manifest = self.manifest(repository, digest).await?;
        self.advance(digest, ScanStage::Layers);
        let (inspected, failure) = self.inspect(repository, &manifest, started_at).await?;

        self.advance(digest, ScanStage::Matching);
        let in_force = self.in_force();
        let packages = {
            let (index, inventory) = (Arc::clone(&in_force.index), inspected.inventory.clone());
            tokio::task::spawn_blocking(move || inspect::image_packages(&index, &inventory)).await?
        };
        let interned = self.inner.scans.intern_packages(&packages).await?;
        let new: Vec<_> = interned.iter().filter(|p| p.generation == 0).cloned().collect();
        let matches = {
            let index = Arc::clone(&in_force.index);
            tokio::task::spawn_blocking(move || match_stored(&index, &new)).await?
        };
        let attempts = match &failure {
            Some(_) => self.inner.scans.image(digest).await?.map_or(0, |i| i.attempts) + 1,
            None => 0,
        };
        let record = ImageRecord {
            digest: *digest,
            analyser_version: ANALYSER_VERSION,
            trigger: trigger.as_str().to_owned(),
            started_at,
            finished_at: self.now(),
            platform: inspected.platform,
            os: inspected.inventory.os,
            problems: inspected.inventory.problems,
            inapplicable: inspected.inapplicable,
            failure: failure.map(|message| self.failure(message, attempts)),
            layers: manifest.layers.iter().map(|l| l.digest).collect(),
            packages: interned.iter().map(|p| p.id).zip(packages).collect(),
        };
        let cause = format!("first seen in {digest} ({})", trigger.as_str());
        let mut image = self
            .inner
            .scans
            .save_image(&record, &matches, in_force.generation, &|_, _| cause.clone())
            .await?;
        // Advisories that came into force meanwhile did not know these packages.
        if self.in_force().generation != in_force.generation {
            self.rematch(&interned).await?;
            image = self.inner.scans.image(digest).await?.unwrap_or(image);
        }
        Ok(image)
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Image, ScanError> {
        let reference = Reference::Digest(*digest);
        let stored = self.inner.registry.manifest(repository, &reference).await?;
        let stored = stored.ok_or_else(|| ScanError::UnknownManifest(*digest))?;
        match Manifest::parse(&stored.bytes, Some(&stored.media_type))? {
            Manifest::Image(image) => Ok(image),
            Manifest::Index(_) => Err(ScanError::IsIndex(*digest)),
        }
    }

    /// Reads everything an image consists of. The second value says what of it
    /// failed and may go better next time.
    async fn inspect(
        &self,
        repository: &RepositoryName,
        manifest: &Image,
        now: Millis,
    ) -> Result<(Inspected, Option<String>), ScanError> {
        let plan = match inspect::plan(manifest) {
            Plan::NotAnImage(why) => {
                let inspected = Inspected {
                    platform: Default::default(),
                    inventory: Default::default(),
                    inapplicable: Some(why),
                };
                return Ok((inspected, None));
            }
            Plan::Layers(plan) => plan,
        };
        let config = self.config(&manifest.config).await?;
        let (layers, failure) = self.analyses(manifest, &plan, now).await?;
        let problems = self.size_problems(repository, manifest).await?;
        let manifest = manifest.clone();
        let assemble = move || inspect::assemble(&config, &layers, &manifest, problems);
        let inspected = tokio::task::spawn_blocking(assemble).await?;
        Ok((inspected, failure))
    }

    async fn size_problems(
        &self,
        repository: &RepositoryName,
        manifest: &Image,
    ) -> Result<Vec<Problem>, ScanError> {
        let mut problems = Vec::new();
        for (digest, positions) in inspect::distinct_layers(manifest) {
            let Some(size) = self.inner.registry.linked_blob(repository, digest).await? else {
                continue;
            };
            let wrong = |&p: &usize| inspect::size_problem(p, &manifest.layers[p], size);
            problems.extend(positions.iter().filter_map(wrong));
        }
        Ok(problems)
    }

    async fn analyses(
        &self,
        manifest: &Image,
        plan: &[Result<LayerEncoding, Problem>],
        now: Millis,
    ) -> Result<(Vec<Result<Arc<LayerAnalysis>, Problem>>, Option<String>), ScanError> {
        let wanted = inspect::distinct_layers(manifest);
        let mut readings = Vec::with_capacity(wanted.len());
        for (digest, positions) in wanted {
            let Some(&readable) =
                positions.iter().find(|&&p| plan.get(p).is_some_and(Result::is_ok))
            else {
                continue;
            };
            let (layers, digest) = (self.inner.layers.clone(), *digest);
            let media_type = manifest.layers[readable].media_type.clone();
            readings
                .push(async move { (positions, layers.obtain(&digest, &media_type, now).await) });
        }
        let mut outcomes = futures::stream::iter(readings).buffer_unordered(LAYERS_AT_ONCE);

        let mut layers: Vec<Result<Arc<LayerAnalysis>, Problem>> = (0..manifest.layers.len())
            .map(|i| match plan.get(i) {
                Some(Err(problem)) => Err(problem.clone()),
                _ => {
                    Err(inspect::layer_problem(i, ProblemKind::MissingLayer, &LayerError::Missing))
                }
            })
            .collect();
        let mut failure = None;
        while let Some((positions, outcome)) = outcomes.next().await {
            for position in
                positions.into_iter().filter(|&p| plan.get(p).is_some_and(Result::is_ok))
            {
                layers[position] = match &outcome {
                    Ok(analysis) => Ok(Arc::clone(analysis)),
                    Err(LayerError::Missing) => Err(inspect::layer_problem(
                        position,
                        ProblemKind::MissingLayer,
                        &LayerError::Missing,
                    )),
                    Err(LayerError::Worker(error)) => {
                        let problem =
                            inspect::layer_problem(position, ProblemKind::WorkerFailed, error);
                        failure = Some(problem.message.clone());
                        Err(problem)
                    }
                    Err(LayerError::Store(error)) => {
                        let problem =
                            inspect::layer_problem(position, ProblemKind::UnreadableLayer, error);
                        failure = Some(problem.message.clone());
                        Err(problem)
                    }
                };
            }
        }
        Ok((layers, failure))
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ScanError> {
        let Some(blob) = self.inner.blobs.open_blob(&descriptor.digest).await? else {
            return Ok(Vec::new());
        };
        let limit = analysis::limits::CONFIG_BYTES_MAX as u64;
        blob.read_up_to(limit).await.map_err(ScanError::Config)
    }

    fn failure(&self, message: String, attempts: u32) -> ScanFailure {
        let wait = RETRY_AFTER_MS << attempts.saturating_sub(1).min(10);
        ScanFailure {
            message,
            attempts,
            retry_at: (attempts < ATTEMPTS_MAX).then(|| self.now() + wait),
        }
    }

    fn advance(&self, digest: &Digest, stage: ScanStage) {
        let mut under_way = self.inner.under_way();
        if let Some(scan) = under_way.get_mut(digest) {
            scan.progress.stage = stage;
            let _ = self.inner.events.send(ScanEvent::Progress(scan.progress.clone()));
        }
    }

    pub(crate) fn in_force(&self) -> InForce {
        self.inner.in_force.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn now(&self) -> Millis {
        (self.inner.clock)()
    }
}

impl Inner {
    pub(crate) fn registry(&self) -> &Arc<dyn RegistryStore> {
        &self.registry
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to scan an image; given back however the scan ends.
struct Claim {
    scanner: Scanner,
    digest: Digest,
    ended: watch::Sender<bool>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.scanner.inner.under_way().remove(&self.digest);
        self.ended.send_replace(true);
    }
}
