//! New advisories: only the packages whose advisories changed are matched
//! again, and the images that hold them follow. No layer is read.

use std::sync::{Arc, PoisonError};

use advisories::{Index, IndexDelta};
use store::scan::{FindingChange, PackageId, StoredFinding, StoredPackage};

use crate::matches::{cause_of_change, match_stored};
use crate::progress::ScanEvent;
use crate::scan::{InForce, ScanError, Scanner};

/// Packages matched and written in one transaction: small enough that a push
/// meanwhile does not notice.
const BATCH_PACKAGES: usize = 200;

/// The snapshot that every stored package is matched with.
const FACT_SNAPSHOT: &str = "advisories.snapshot";

/// Its generation.
const FACT_GENERATION: &str = "advisories.generation";

/// What a change of advisories brought about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rematched {
    /// Packages matched again.
    pub packages: u64,
    /// Images whose findings or state changed.
    pub images: u64,
}

impl Scanner {
    /// Puts an index in force and brings what is stored up to date with it.
    pub async fn put_in_force(&self, index: Arc<Index>) -> Result<Rematched, ScanError> {
        let before = self.in_force();
        let snapshot = index.snapshot_id();
        let stored_generation: i64 = match self.inner.scans.scan_fact(FACT_GENERATION).await? {
            Some(text) => text.parse().unwrap_or(0),
            None => 0,
        };
        let matched_snapshot = self.inner.scans.scan_fact(FACT_SNAPSHOT).await?;
        if matched_snapshot.as_deref() == Some(snapshot.as_str()) {
            self.replace(index, stored_generation.max(1));
            return Ok(Rematched::default());
        }
        let generation = stored_generation.max(before.generation) + 1;
        // A delta is known only against the very index that all rows follow.
        let delta = (matched_snapshot.as_deref() == Some(before.index.snapshot_id().as_str()))
            .then(|| Index::changed_packages(&before.index, &index));
        // In force first: what is pushed from now on is matched with it.
        self.replace(Arc::clone(&index), generation);
        let done = match delta {
            Some(delta) => self.rematch_delta(&delta).await?,
            None => self.rematch_all(generation).await?,
        };
        self.inner.scans.set_scan_fact(FACT_GENERATION, &generation.to_string()).await?;
        self.inner.scans.set_scan_fact(FACT_SNAPSHOT, &snapshot).await?;
        let _ = self.inner.events.send(ScanEvent::Advisories);
        Ok(done)
    }

    fn replace(&self, index: Arc<Index>, generation: i64) {
        *self.inner.in_force.write().unwrap_or_else(PoisonError::into_inner) =
            InForce { index, generation };
    }

    async fn rematch_delta(&self, delta: &IndexDelta) -> Result<Rematched, ScanError> {
        let mut done = Rematched::default();
        let named = self.inner.scans.packages_named(&delta.packages).await?;
        done.add(self.rematch(&named).await?);
        for namespace in &delta.namespaces {
            let mut after: PackageId = 0;
            loop {
                let batch =
                    self.inner.scans.packages_of(namespace, after, BATCH_PACKAGES as u32).await?;
                let Some(last) = batch.last() else { break };
                after = last.id;
                done.add(self.rematch(&batch).await?);
            }
            // Who judges language packages that a distribution owns depends on
            // whether the distribution has a feed.
            if self.inner.scans.mark_for_rescan(namespace).await? > 0 {
                self.inner.due.notify_one();
            }
        }
        Ok(done)
    }

    async fn rematch_all(&self, generation: i64) -> Result<Rematched, ScanError> {
        let mut done = Rematched::default();
        let mut after: PackageId = 0;
        loop {
            let batch =
                self.inner.scans.packages_behind(generation, after, BATCH_PACKAGES as u32).await?;
            let Some(last) = batch.last() else { return Ok(done) };
            after = last.id;
            done.add(self.rematch(&batch).await?);
        }
    }

    /// Matches these packages with the advisories in force.
    pub(crate) async fn rematch(&self, packages: &[StoredPackage]) -> Result<Rematched, ScanError> {
        let mut done = Rematched::default();
        for batch in packages.chunks(BATCH_PACKAGES) {
            let InForce { index, generation } = self.in_force();
            let matches = {
                let (index, batch) = (Arc::clone(&index), batch.to_vec());
                tokio::task::spawn_blocking(move || match_stored(&index, &batch)).await?
            };
            let cause = |change: FindingChange, finding: &StoredFinding| {
                cause_of_change(&index, change, finding)
            };
            let images =
                self.inner.scans.apply_matches(&matches, generation, &cause, self.now()).await?;
            done.add(Rematched { packages: batch.len() as u64, images: images.len() as u64 });
            for image in self.inner.scans.images(&images).await? {
                let _ = self
                    .inner
                    .events
                    .send(ScanEvent::Image { digest: image.digest, status: image.status });
            }
        }
        Ok(done)
    }
}

impl Rematched {
    fn add(&mut self, other: Self) {
        self.packages += other.packages;
        self.images += other.images;
    }
}
