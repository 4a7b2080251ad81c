//! Runs garbage collection from time to time, and keeps two processes on one
//! machine from collecting at once.

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use registry::collect::CollectorLock;
use registry::{CollectError, CollectOptions, Registry};
use store::Database;
use time::OffsetDateTime;

use crate::config::Config;

/// How soon a run is tried again that found another one, or a backup, under way.
const BUSY_RETRY: Duration = Duration::from_secs(60);

/// How often abandoned uploads are cleared away where nothing is collected.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// A locked file in the data directory. The system lets it go when the process
/// dies, which no record in a database can promise.
struct LockFile(PathBuf);

impl CollectorLock for LockFile {
    fn try_lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let file = File::create(&self.0)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The lock that everybody who collects takes. `None`: others may collect in the
/// same database who do not see this data directory.
pub fn lock(config: &Config, database: &dyn Database) -> Option<Arc<dyn CollectorLock>> {
    if database.is_shared() {
        return None;
    }
    Some(Arc::new(LockFile(config.data.join("collect.lock"))))
}

/// Collects as often as the configuration says, until the server stops.
pub async fn collect_forever(registry: Registry, interval: Duration, grace: Duration) {
    // What a run left that died with the last server keeps nobody waiting.
    match registry.finish_condemned().await {
        Ok(_) | Err(CollectError::Busy { .. }) => {}
        Err(error) => tracing::warn!(%error, "what the last collection left cannot be removed"),
    }
    if interval.is_zero() {
        return sweep_forever(registry).await;
    }
    let mut pause = interval;
    loop {
        tokio::time::sleep(pause).await;
        pause = interval;
        let began = Instant::now();
        let options = CollectOptions { grace, ..CollectOptions::default() };
        match registry.collect(options, Arc::new(|_, _| {})).await {
            Ok(figures) => {
                metrics::histogram!("lazaret_collection_seconds").record(began.elapsed());
                metrics::counter!("lazaret_collections_total", "outcome" => "done").increment(1);
                metrics::counter!("lazaret_blobs_freed_total").increment(figures.blobs);
                metrics::counter!("lazaret_blob_bytes_freed_total").increment(figures.bytes);
                tracing::info!(?figures, took = ?began.elapsed(), "garbage was collected");
            }
            Err(error @ CollectError::Busy { .. }) => {
                metrics::counter!("lazaret_collections_total", "outcome" => "busy").increment(1);
                tracing::debug!(%error, "garbage is collected later");
                pause = interval.min(BUSY_RETRY);
            }
            Err(error) => {
                metrics::counter!("lazaret_collections_total", "outcome" => "failed").increment(1);
                tracing::warn!(%error, "garbage could not be collected");
            }
        }
    }
}

/// What only the server can clear away: it alone knows who is writing.
async fn sweep_forever(registry: Registry) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if let Err(error) = registry.sweep_uploads(OffsetDateTime::now_utc()).await {
            tracing::warn!(%error, "abandoned uploads cannot be cleared away");
        }
    }
}
