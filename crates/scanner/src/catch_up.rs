//! Images that stand in the registry and were not inspected, or have to be
//! again: after a restart, a failure, or new analysers.

use std::time::Duration;

use analysis::ANALYSER_VERSION;
use oci::RepositoryName;

use crate::scan::{ATTEMPTS_MAX, Scanner, Trigger};

/// How often the registry is searched for them.
const SEARCH_EVERY: Duration = Duration::from_secs(5);

/// Images taken up at once.
const BATCH_IMAGES: u32 = 32;

impl Scanner {
    /// Works off what is due until the future is dropped.
    pub async fn catch_up_forever(&self) {
        loop {
            match self.catch_up().await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => tracing::warn!(%error, "cannot search for images to inspect"),
            }
            // A signal, or the next round.
            let _ = tokio::time::timeout(SEARCH_EVERY, self.inner.due.notified()).await;
        }
    }

    /// Inspects what is due now; gives how many images that were. An image
    /// that a push is inspecting at the moment is joined.
    pub async fn catch_up(&self) -> Result<usize, store::StoreError> {
        let due = self
            .inner
            .scans
            .due_images(ANALYSER_VERSION, self.now(), ATTEMPTS_MAX, BATCH_IMAGES)
            .await?;
        let mut scans = Vec::with_capacity(due.len());
        for image in &due {
            let Ok(repository) = RepositoryName::parse(&image.repository) else { continue };
            let (scanner, digest) = (self.clone(), image.digest);
            scans.push(async move { scanner.scan(&repository, &digest, Trigger::CatchUp).await });
        }
        for result in futures::future::join_all(scans).await {
            if let Err(error) = result {
                tracing::warn!(%error, "an image that is due was not inspected");
            }
        }
        Ok(due.len())
    }
}
