//! Analyses of layers: remembered, stored, under way, or begun. However many
//! images share a layer, it is read once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use analysis::{ANALYSER_VERSION, LayerAnalysis};
use oci::Digest;
use store::scan::{Millis, ScanStore};
use store::{BlobFile, BlobStore, StoreError};
use tokio::sync::watch;

use crate::worker::{LayerWorkers, RunningAnalysis, WorkerError};

/// Analyses kept in memory, by the size of their stored form; decoded they
/// take some four times that.
const REMEMBERED_BYTES_MAX: u64 = 16 << 20;

/// How often a layer is asked for again after whoever was reading it gave up.
const TURNS_MAX: usize = 4;

/// Why a layer has no analysis.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LayerError {
    /// The registry does not hold its bytes.
    #[error("the blob is not in the registry")]
    Missing,
    /// The worker failed; another try may go better.
    #[error("{0}")]
    Worker(Arc<WorkerError>),
    /// Storage failed.
    #[error("{0}")]
    Store(Arc<StoreError>),
}

impl LayerError {
    fn store(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

type Outcome = Result<Arc<LayerAnalysis>, LayerError>;

/// Finds or makes the analyses of layers. Cheap to clone.
#[derive(Clone)]
pub struct Layers {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn ScanStore>,
    blobs: Arc<dyn BlobStore>,
    workers: Arc<dyn LayerWorkers>,
    remembered: moka::sync::Cache<Digest, Remembered>,
    under_way: Mutex<HashMap<Digest, watch::Receiver<Option<Outcome>>>>,
    read: AtomicU64,
}

#[derive(Clone)]
struct Remembered {
    analysis: Arc<LayerAnalysis>,
    stored_bytes: usize,
}

impl Layers {
    /// Over some storage and workers.
    pub fn new(
        store: Arc<dyn ScanStore>,
        blobs: Arc<dyn BlobStore>,
        workers: Arc<dyn LayerWorkers>,
    ) -> Self {
        let remembered = moka::sync::Cache::builder()
            .max_capacity(REMEMBERED_BYTES_MAX)
            .weigher(|_, one: &Remembered| u32::try_from(one.stored_bytes).unwrap_or(u32::MAX))
            .build();
        let (under_way, read) = (Mutex::default(), AtomicU64::new(0));
        Self { inner: Arc::new(Inner { store, blobs, workers, remembered, under_way, read }) }
    }

    /// How many layers were read by a worker since the start.
    pub fn layers_read(&self) -> u64 {
        self.inner.read.load(Ordering::Relaxed)
    }

    /// Who reads layers.
    pub(crate) fn workers(&self) -> &Arc<dyn LayerWorkers> {
        &self.inner.workers
    }

    /// The analysis of a layer, from wherever it can be had soonest.
    pub async fn obtain(&self, digest: &Digest, media_type: &str, now: Millis) -> Outcome {
        for _ in 0..TURNS_MAX {
            let mut outcome = match self.reserve(digest) {
                Ok(reservation) => {
                    if let Some(known) = self.recall(digest).await.map_err(LayerError::store)? {
                        return Ok(known);
                    }
                    let outcome = reservation.outcome();
                    let (layers, media_type) = (self.clone(), media_type.to_owned());
                    // A task of its own: it goes on when the asker is gone.
                    tokio::spawn(async move {
                        let result =
                            layers.read_blob(&reservation.digest, Some(&media_type), now).await;
                        reservation.settle(result);
                    });
                    outcome
                }
                Err(outcome) => outcome,
            };
            // An error: whoever had reserved the layer did not read it after all.
            if let Ok(settled) = outcome.wait_for(Option::is_some).await
                && let Some(result) = settled.clone()
            {
                return result;
            }
        }
        Err(LayerError::Worker(Arc::new(WorkerError::Protocol(
            "the analysis was given up repeatedly".into(),
        ))))
    }

    /// Finishes what was begun while the layer arrived.
    pub(crate) fn adopt(
        &self,
        reservation: Reservation,
        running: Box<dyn RunningAnalysis>,
        total: u64,
        now: Millis,
    ) {
        let layers = self.clone();
        tokio::spawn(async move {
            let result = match layers.recall(&reservation.digest).await {
                // Somebody pushed the same layer before; this reading is superfluous.
                Ok(Some(known)) => Ok(known),
                Ok(None) => {
                    layers.inner.read.fetch_add(1, Ordering::Relaxed);
                    match layers.finish(&reservation.digest, running, total, now).await {
                        // It may have been stopped only because the client was slow.
                        Err(LayerError::Worker(_)) => {
                            layers.read_blob(&reservation.digest, None, now).await
                        }
                        finished => finished,
                    }
                }
                Err(error) => Err(LayerError::store(error)),
            };
            reservation.settle(result);
        });
    }

    async fn recall(&self, digest: &Digest) -> Result<Option<Arc<LayerAnalysis>>, StoreError> {
        if let Some(known) = self.inner.remembered.get(digest) {
            return Ok(Some(known.analysis));
        }
        let Some(bytes) = self.inner.store.layer_analysis(digest, ANALYSER_VERSION).await? else {
            return Ok(None);
        };
        match LayerAnalysis::from_bytes(&bytes) {
            Ok(analysis) => {
                let analysis = Arc::new(analysis);
                self.remember(digest, &analysis, bytes.len());
                Ok(Some(analysis))
            }
            Err(error) => {
                // The bytes of the layer are still there: read them again.
                tracing::warn!(%digest, %error, "a stored layer analysis is damaged; the layer is read again");
                Ok(None)
            }
        }
    }

    async fn read_blob(&self, digest: &Digest, media_type: Option<&str>, now: Millis) -> Outcome {
        let blob = self.inner.blobs.blob_file(digest).await.map_err(LayerError::store)?;
        let BlobFile { file, size, held: _held } = blob.ok_or(LayerError::Missing)?;
        self.inner.read.fetch_add(1, Ordering::Relaxed);
        let mut running = self
            .inner
            .workers
            .start(file, media_type)
            .await
            .map_err(|e| LayerError::Worker(Arc::new(e)))?;
        running.available(size);
        self.finish(digest, running, size, now).await
    }

    async fn finish(
        &self,
        digest: &Digest,
        running: Box<dyn RunningAnalysis>,
        total: u64,
        now: Millis,
    ) -> Outcome {
        let analysis = running.finish(total).await.map_err(|e| {
            tracing::warn!(%digest, error = %e, "a layer could not be analysed");
            LayerError::Worker(Arc::new(e))
        })?;
        let analysis = Arc::new(analysis);
        match analysis.to_bytes() {
            Ok(bytes) => {
                let saved = self
                    .inner
                    .store
                    .save_layer_analysis(digest, ANALYSER_VERSION, &bytes, now)
                    .await;
                saved.map_err(LayerError::store)?;
                self.remember(digest, &analysis, bytes.len());
            }
            // Too large to keep: this image is judged all the same.
            Err(error) => tracing::warn!(%digest, %error, "a layer analysis cannot be stored"),
        }
        Ok(analysis)
    }

    fn remember(&self, digest: &Digest, analysis: &Arc<LayerAnalysis>, stored_bytes: usize) {
        let one = Remembered { analysis: Arc::clone(analysis), stored_bytes };
        self.inner.remembered.insert(*digest, one);
    }

    /// Takes the right to read a layer, or gives what its reader will say.
    pub(crate) fn reserve(
        &self,
        digest: &Digest,
    ) -> Result<Reservation, watch::Receiver<Option<Outcome>>> {
        let mut under_way = self.inner.under_way();
        if let Some(outcome) = under_way.get(digest) {
            return Err(outcome.clone());
        }
        let (sender, receiver) = watch::channel(None);
        under_way.insert(*digest, receiver);
        Ok(Reservation { digest: *digest, sender, inner: Arc::clone(&self.inner) })
    }
}

impl Inner {
    fn under_way(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<Digest, watch::Receiver<Option<Outcome>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to read a layer. Dropped unsettled, those who wait try themselves.
pub(crate) struct Reservation {
    digest: Digest,
    sender: watch::Sender<Option<Outcome>>,
    inner: Arc<Inner>,
}

impl Reservation {
    fn outcome(&self) -> watch::Receiver<Option<Outcome>> {
        self.sender.subscribe()
    }

    fn settle(self, result: Outcome) {
        self.sender.send_replace(Some(result));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.inner.under_way().remove(&self.digest);
    }
}
