//! Who hears whom: the registry's events feed the scanner, the scanner's
//! events feed those who watch.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use advisories::Index;
use api::distribution::PushVerdict;
use api::portal::types::{ScanStage, ScanTrigger};
use api::portal::view::{QueuedScan, ScanEvent, ScanProgress, ScanView};
use async_trait::async_trait;
use oci::Digest;
use registry::webhooks::payload::RegistryEvent;
use registry::{DeletedManifest, DeletedTag, PushedManifest, RegistryObserver, UploadOpener};
use scanner::Scanner;
use scanner::arrivals::Arrivals;
use store::UploadId;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::notify::Notifier;

/// Events that a slow watcher may lag behind before it loses some.
const EVENTS_BUFFERED: usize = 1024;

/// The way to everybody who watches. Closed at a stop, so that their streams
/// end and do not hold the server up.
#[derive(Clone)]
struct Watchers(Arc<RwLock<Option<broadcast::Sender<ScanEvent>>>>);

impl Watchers {
    fn new() -> Self {
        Self(Arc::new(RwLock::new(Some(broadcast::channel(EVENTS_BUFFERED).0))))
    }

    fn tell(&self, event: ScanEvent) {
        if let Some(sender) = &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            // An error: nobody watches.
            let _ = sender.send(event);
        }
    }

    fn subscribe(&self) -> broadcast::Receiver<ScanEvent> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Some(sender) => sender.subscribe(),
            // A stream that ends at once.
            None => broadcast::channel(1).1,
        }
    }

    fn close(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Passes what the registry tells on to inspection and to watchers.
pub struct Observer {
    arrivals: Arrivals,
    scanner: Scanner,
    watchers: Watchers,
    notifier: Notifier,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl RegistryObserver for Observer {
    fn upload_started(&self, upload: UploadOpener) {
        self.arrivals.started(upload.id(), Box::new(move || upload.open()));
    }

    fn upload_grew(&self, id: UploadId, size: u64) {
        self.arrivals.grew(id, size);
    }

    fn blob_committed(&self, id: UploadId, digest: &Digest, size: u64) {
        metrics::counter!("lazaret_blobs_received_total").increment(1);
        metrics::counter!("lazaret_blob_bytes_received_total").increment(size);
        self.arrivals.committed(id, digest, size, (self.clock)());
    }

    fn upload_dropped(&self, id: UploadId) {
        self.arrivals.dropped(id);
    }

    fn manifest_pushed(&self, manifest: &PushedManifest) {
        metrics::counter!("lazaret_manifests_pushed_total").increment(1);
        RegistryEvent::pushed(manifest).into_iter().for_each(|event| self.notifier.tell(event));
        self.watchers.tell(ScanEvent::Repository(manifest.repository.clone()));
        // A push waits for its verdict and starts the scan by that; for what
        // the product itself brought, nobody does.
        if manifest.request.is_none() {
            let scanner = self.scanner.clone();
            let (repository, digest) = (manifest.repository.clone(), manifest.digest);
            tokio::spawn(async move {
                scanner.take_up(&repository, &digest, scanner::Trigger::Import).await;
            });
        }
    }

    fn manifest_deleted(&self, deleted: &DeletedManifest) {
        self.notifier.tell(RegistryEvent::deleted(deleted));
        self.watchers.tell(ScanEvent::Repository(deleted.repository.clone()));
    }

    fn restored(&self, repository: &oci::RepositoryName) {
        self.watchers.tell(ScanEvent::Repository(repository.clone()));
    }

    fn tag_deleted(&self, deleted: &DeletedTag) {
        self.watchers.tell(ScanEvent::Repository(deleted.repository.clone()));
    }
}

/// Says the verdict in the answer to a push.
pub struct Verdicts {
    /// Who judges.
    pub scanner: Scanner,
    /// The longest that a push waits.
    pub wait: Duration,
    /// Whether the answer carries it; if not, the push still waits for it, so
    /// that the next read has it.
    pub announce: bool,
    /// Where the portal is, without a slash at its end.
    pub portal: String,
}

#[async_trait]
impl PushVerdict for Verdicts {
    async fn verdict(&self, manifest: &PushedManifest) -> Option<String> {
        let began = Instant::now();
        let verdict = self.scanner.verdict(&manifest.repository, &manifest.digest, self.wait).await;
        metrics::histogram!("lazaret_verdict_seconds").record(began.elapsed());
        let path = manifest.repository.as_str().replace('/', "~");
        self.announce.then(|| {
            format!("{verdict}; {}/registries/main/{path}/{}", self.portal, manifest.digest)
        })
    }
}

/// What the APIs see of the scanner.
pub struct View {
    scanner: Scanner,
    watchers: Watchers,
}

impl ScanView for View {
    fn index(&self) -> Arc<Index> {
        self.scanner.index()
    }

    fn progress(&self, digest: &Digest) -> Option<ScanProgress> {
        self.scanner.progress(digest).map(|p| progress(&p))
    }

    fn queue(&self) -> Vec<QueuedScan> {
        self.scanner
            .queue()
            .into_iter()
            .map(|p| QueuedScan {
                progress: progress(&p),
                trigger: match p.trigger {
                    scanner::Trigger::Push => ScanTrigger::Push,
                    scanner::Trigger::Import => ScanTrigger::Import,
                    scanner::Trigger::CatchUp => ScanTrigger::Analyser,
                },
                attempts: 0,
                queued_at: Some(p.since),
                digest: p.digest,
                repository: p.repository,
            })
            .collect()
    }

    fn subscribe(&self) -> broadcast::Receiver<ScanEvent> {
        self.watchers.subscribe()
    }
}

fn progress(progress: &scanner::ScanProgress) -> ScanProgress {
    let stage = match progress.stage {
        scanner::ScanStage::Queued => None,
        scanner::ScanStage::Layers => Some(ScanStage::Analysing),
        scanner::ScanStage::Matching => Some(ScanStage::Matching),
    };
    ScanProgress { stage, started_at: stage.map(|_| progress.since) }
}

/// Makes the observer and the view over one scanner.
pub fn wire(
    scanner: &Scanner,
    notifier: Notifier,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    stop: CancellationToken,
) -> (Arc<Observer>, Arc<View>) {
    let watchers = Watchers::new();
    tokio::spawn(relay(scanner.clone(), watchers.clone(), stop));
    let observer = Observer {
        arrivals: scanner.arrivals(),
        scanner: scanner.clone(),
        watchers: watchers.clone(),
        notifier,
        clock,
    };
    (Arc::new(observer), Arc::new(View { scanner: scanner.clone(), watchers }))
}

/// Turns the scanner's events into those of the APIs.
async fn relay(scanner: Scanner, watchers: Watchers, stop: CancellationToken) {
    let mut source = scanner.subscribe();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return watchers.close(),
            event = source.recv() => event,
        };
        let event = match event {
            Ok(scanner::ScanEvent::Progress(p)) => {
                ScanEvent::Image { digest: p.digest, progress: Some(progress(&p)) }
            }
            Ok(
                scanner::ScanEvent::Image { digest, .. } | scanner::ScanEvent::Failed { digest },
            ) => ScanEvent::Image { digest, progress: None },
            Ok(scanner::ScanEvent::Advisories) => {
                ScanEvent::Advisories { snapshot: scanner.index().snapshot_id() }
            }
            // Events are hints to read again; some were lost.
            Err(broadcast::error::RecvError::Lagged(_)) => continue,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        watchers.tell(event);
    }
}
