//! Online garbage collection: what nobody needs goes while others push, mount,
//! delete and pull.
//!
//! ```text
//!            hold_blob          commit_upload         link_blob
//! (nothing) ----------> held -----------------> bytes -------------> row + link
//!     ^                                                                   | the last link goes
//!     |  forget_condemned            delete_blob             condemn_blobs v
//!     +------------------ no bytes <------------- condemned <------------ row
//! ```
//!
//! # Why nothing that is needed goes
//!
//! All of this rests on transactions of the metadata. A step of the collector
//! runs while nobody else writes (`Turn`), and looks at everything again.
//!
//! 1. *Before bytes are placed, they are held.* [`Registry::finish_upload`]
//!    writes the digest into its upload's row (`hold_blob`) before it places
//!    bytes; the row goes in the transaction that links the blob, or when the
//!    upload ends without one. `hold_blob` refuses a condemned blob, and
//!    `link_blob` refuses an upload that does not hold it.
//! 2. *A blob is condemned only if no link and no upload holds it*, and bytes
//!    are removed only of condemned blobs. A stray file gets a condemned row
//!    first, by the same rule.
//! 3. *A condemned blob stays so until its bytes are gone.* By 1 nobody places
//!    them meanwhile; by 2 and since `mount_blob` needs a link, which only
//!    `link_blob` makes from nothing, nobody links it. So no removal can meet
//!    bytes that somebody was promised.
//! 4. *A link goes only if no manifest of its repository refers to the blob.*
//!    `put_manifest` looks for its links in the transaction that stores its
//!    references, so the link is either needed or gone before the manifest is
//!    refused. Manifests in the trash refer as others do.
//! 5. *One run at a time*, since a run that is long dead for the database could
//!    still have a removal under way while another one already forgot the
//!    blob. A run has the seat as long as it renews it within [`SEAT_LEASE`],
//!    starts no removal when the lease is over, and is succeeded only
//!    [`SEAT_SETTLE`] after that. Where a [`CollectorLock`] proves that no
//!    other process collects, a successor need not wait.
//!
//! A crash leaves holds (they go with their upload), condemned blobs with or
//! without bytes (the next run, or the next upload of the same blob, goes on
//! with them) and bytes without a row (found by listing the store). Whatever
//! is not needed is found by each run: zero leaks, too.
//!
//! # What a push notices
//!
//! A step changes at most [`BATCH_ROWS`] rows and is followed by a pause as long
//! as the step was. Candidates are found by reading, which keeps no writer
//! waiting. A link that is younger than the grace time stays without a
//! manifest: a client pushes its blobs first and may take its time.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use oci::Digest;
use store::collect::{CollectFigures, Purpose, RunId, SizedBlob, TakeSeat, Turn};
use store::{Metadata, StoreError};
use time::OffsetDateTime;

use crate::{Clock, Registry};

/// How long a blob that no manifest needs stays with its repository.
pub const GRACE: Duration = Duration::from_secs(3600);
/// A collector that was not heard of for so long has lost its seat.
pub const SEAT_LEASE: Duration = Duration::from_secs(30);
/// How long after that its last removals may still be under way.
pub const SEAT_SETTLE: Duration = Duration::from_secs(30);
/// How long it is known which run freed a blob.
pub const LOG_AGE_MAX: Duration = Duration::from_secs(90 * 24 * 3600);
/// Most rows that one step changes.
pub const BATCH_ROWS: usize = 250;
/// Rows or names that are looked through at a time.
const PAGE_ROWS: u32 = 5000;
/// Blobs whose bytes are removed at the same time.
const REMOVALS_MAX: usize = 16;

/// Proof that no other process collects in this installation, such as a lock on
/// a file that the system lets go when its owner dies.
pub trait CollectorLock: Send + Sync {
    /// Takes it until what is given back is dropped. `None`: somebody has it.
    fn try_lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>>;
}

/// How a run goes about it.
#[derive(Debug, Clone, Copy)]
pub struct CollectOptions {
    /// See [`GRACE`].
    pub grace: Duration,
    /// Change nothing and count what would go.
    pub dry_run: bool,
    /// Drop uploads that nobody goes on with, too. Only for the process that
    /// receives them: another one cannot know who is writing.
    pub sweep_uploads: bool,
}

impl Default for CollectOptions {
    fn default() -> Self {
        Self { grace: GRACE, dry_run: false, sweep_uploads: true }
    }
}

/// Why a run did not get through. What it removed is removed.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Somebody else collects, or keeps others from it.
    #[error("another {} is under way{}; try again when it has ended", .purpose.as_str(), .until.map(|t| format!(" (run {}, alive until {t} at least)", .run.map(|r| r.to_string()).unwrap_or_default())).unwrap_or_default())]
    Busy {
        /// Who, as far as it is known.
        run: Option<RunId>,
        /// Why.
        purpose: Purpose,
        /// When the seat is free at the latest if nothing is heard of them.
        until: Option<OffsetDateTime>,
    },
    /// Nothing was heard of this run for so long that another one began.
    #[error("the run was held up for so long that another one took over")]
    SeatLost,
    /// The task that collected was stopped.
    #[error("the run was interrupted")]
    Interrupted,
    /// The lock could not be asked for.
    #[error("cannot lock out other collectors: {0}")]
    Lock(#[source] io::Error),
    /// Storage failed.
    #[error("cannot collect garbage: {0}")]
    Store(#[from] StoreError),
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectStage {
    /// What an earlier run left.
    Leftovers,
    /// Uploads that nobody goes on with.
    Uploads,
    /// Blobs that repositories hold and do not need.
    Links,
    /// Blobs that no repository holds.
    Blobs,
    /// Bytes that no row speaks of.
    Strays,
    /// Empty repositories.
    Repositories,
}

/// Hears how a run goes.
pub type CollectProgress = Arc<dyn Fn(CollectStage, &CollectFigures) + Send + Sync>;

/// The collector's seat. Whoever has it may be sure that no bytes of blobs are
/// removed by others.
pub struct Seat {
    metadata: Arc<dyn Metadata>,
    clock: Clock,
    run: RunId,
    until: Mutex<OffsetDateTime>,
    /// Kept until the seat is left.
    lock: Option<Box<dyn Send + Sync>>,
}

impl Seat {
    /// Which run has it.
    pub fn run(&self) -> RunId {
        self.run
    }

    fn turn(&self) -> Turn {
        let now = (self.clock)();
        Turn { run: self.run, now, until: now + SEAT_LEASE }
    }

    /// Notes that a step went through, or that it did not.
    fn renewed<T>(&self, turn: Turn, outcome: Option<T>) -> Result<T, CollectError> {
        let outcome = outcome.ok_or(CollectError::SeatLost)?;
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = turn.until;
        Ok(outcome)
    }

    fn is_leased(&self) -> bool {
        (self.clock)() < *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does a long work, and keeps the seat meanwhile. The work is always
    /// waited for; it looks at [`Seat::is_leased`] itself.
    pub async fn keep_while<T>(&self, work: impl Future<Output = T>) -> Result<T, CollectError> {
        let mut work = pin!(work);
        let mut lost = None;
        loop {
            match tokio::time::timeout(SEAT_LEASE / 4, work.as_mut()).await {
                Ok(outcome) => return lost.map_or(Ok(outcome), Err),
                Err(_) if lost.is_some() => {}
                Err(_) => {
                    let turn = self.turn();
                    lost = match self.metadata.keep_seat(turn).await {
                        Ok(kept) => self.renewed(turn, kept).err(),
                        // The lease may outlive a short failure.
                        Err(_) if self.is_leased() => None,
                        Err(error) => Some(error.into()),
                    };
                }
            }
        }
    }

    /// Lets the seat go.
    pub async fn leave(
        mut self,
        figures: &CollectFigures,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        // A lost seat is not ours to leave.
        let left = self.metadata.leave_seat(self.turn(), figures, error).await.map(drop);
        drop(self.lock.take());
        left
    }
}

impl Drop for Seat {
    /// Whoever drops the seat in the middle may have removals under way, which
    /// end with the process at the latest; and so does the lock.
    fn drop(&mut self) {
        std::mem::forget(self.lock.take());
    }
}

impl Registry {
    /// Takes the collector's seat, or says who has it.
    pub async fn take_seat(&self, purpose: Purpose) -> Result<Seat, CollectError> {
        let lock = match &self.collector_lock {
            Some(lock) => match lock.try_lock().map_err(CollectError::Lock)? {
                Some(lock) => Some(lock),
                None => return Err(CollectError::Busy { run: None, purpose, until: None }),
            },
            None => None,
        };
        let now = self.now();
        let turn = Turn { run: RunId::random(), now, until: now + SEAT_LEASE };
        // With the lock, whoever sits there in the records is dead.
        let dead_before = (lock.is_none()).then_some(now - SEAT_SETTLE);
        match self.metadata.take_seat(turn, purpose, dead_before).await? {
            TakeSeat::Taken => Ok(Seat {
                metadata: self.metadata.clone(),
                clock: self.clock.clone(),
                run: turn.run,
                until: Mutex::new(turn.until),
                lock,
            }),
            TakeSeat::Busy { run, purpose, alive_until } => Err(CollectError::Busy {
                run: Some(run),
                purpose,
                until: Some(alive_until + SEAT_SETTLE),
            }),
        }
    }

    /// Removes what nobody needs. Others may do whatever they like meanwhile.
    /// Runs to its end even if the caller goes away.
    pub async fn collect(
        &self,
        options: CollectOptions,
        progress: CollectProgress,
    ) -> Result<CollectFigures, CollectError> {
        let cutoff = self.now() - options.grace;
        if options.dry_run {
            return self.count_garbage(cutoff, &*progress).await;
        }
        let registry = self.clone();
        let task = tokio::spawn(async move {
            let mut run = Run::begin(&registry, &*progress).await?;
            let outcome = run.everything(cutoff, options.sweep_uploads).await;
            run.end(outcome).await
        });
        task.await.unwrap_or(Err(CollectError::Interrupted))
    }

    /// Goes on with what a dead run left half removed.
    pub async fn finish_condemned(&self) -> Result<CollectFigures, CollectError> {
        if self.metadata.condemned_blobs(None, 1).await?.is_empty() {
            return Ok(CollectFigures::default());
        }
        let registry = self.clone();
        let task = tokio::spawn(async move {
            let mut run = Run::begin(&registry, &|_, _| {}).await?;
            let outcome = run.leftovers().await;
            run.end(outcome).await
        });
        task.await.unwrap_or(Err(CollectError::Interrupted))
    }

    /// Bytes stored before `cutoff`, in one shard of the store, that no row
    /// speaks of and no upload is placing.
    async fn strays_of(
        &self,
        shard: u8,
        cutoff: OffsetDateTime,
    ) -> Result<Vec<SizedBlob>, StoreError> {
        let listed = self.blobs.blobs(shard).await?;
        let old: Vec<Digest> =
            listed.iter().filter(|b| b.stored_at <= cutoff).map(|b| b.digest).collect();
        let mut strays = Vec::new();
        for digests in old.chunks(PAGE_ROWS as usize) {
            for digest in self.metadata.unknown_blobs(digests).await? {
                let size = self.blobs.blob_size(&digest).await?;
                strays.extend(size.map(|size| SizedBlob { digest, size }));
            }
        }
        Ok(strays)
    }

    /// What a run would remove now.
    async fn count_garbage(
        &self,
        cutoff: OffsetDateTime,
        progress: &(dyn Fn(CollectStage, &CollectFigures) + Send + Sync),
    ) -> Result<CollectFigures, CollectError> {
        let mut figures = CollectFigures::default();
        let mut after = None;
        loop {
            let page = self.metadata.unneeded_links(cutoff, after.as_ref(), PAGE_ROWS).await?;
            figures.links += page.found.len() as u64;
            progress(CollectStage::Links, &figures);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mut after = None;
        loop {
            let page = self.metadata.unheld_blobs(Some(cutoff), after.as_ref(), PAGE_ROWS).await?;
            figures.blobs += page.found.len() as u64;
            figures.bytes += page.found.iter().map(|b| b.size).sum::<u64>();
            progress(CollectStage::Blobs, &figures);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        for shard in 0..=u8::MAX {
            for stray in self.strays_of(shard, cutoff).await? {
                figures.blobs += 1;
                figures.stray_blobs += 1;
                figures.bytes += stray.size;
            }
            progress(CollectStage::Strays, &figures);
        }
        for id in self.blobs.uploads().await? {
            figures.stray_uploads += u64::from(self.metadata.upload(id).await?.is_none());
        }
        figures.repositories = self.metadata.empty_repositories(cutoff).await?;
        progress(CollectStage::Repositories, &figures);
        Ok(figures)
    }
}

/// A run that has the seat.
struct Run<'a> {
    registry: &'a Registry,
    seat: Seat,
    figures: CollectFigures,
    progress: &'a (dyn Fn(CollectStage, &CollectFigures) + Send + Sync),
}

impl<'a> Run<'a> {
    async fn begin(
        registry: &'a Registry,
        progress: &'a (dyn Fn(CollectStage, &CollectFigures) + Send + Sync),
    ) -> Result<Self, CollectError> {
        let seat = registry.take_seat(Purpose::Collect).await?;
        Ok(Self { registry, seat, figures: CollectFigures::default(), progress })
    }

    async fn end(self, outcome: Result<(), CollectError>) -> Result<CollectFigures, CollectError> {
        let error = outcome.as_ref().err().map(ToString::to_string);
        let left = self.seat.leave(&self.figures, error.as_deref()).await;
        outcome?;
        left?;
        Ok(self.figures)
    }

    async fn everything(
        &mut self,
        cutoff: OffsetDateTime,
        sweep: bool,
    ) -> Result<(), CollectError> {
        self.leftovers().await?;
        self.uploads(sweep).await?;
        self.links(cutoff).await?;
        self.blobs().await?;
        self.strays(cutoff).await?;
        self.repositories(cutoff).await?;
        let forgotten = self.registry.now() - LOG_AGE_MAX;
        self.registry.metadata.forget_collections(forgotten).await?;
        Ok(())
    }

    fn tell(&self, stage: CollectStage) {
        (self.progress)(stage, &self.figures);
    }

    /// One step, and then a pause of the same length, so that a writer of
    /// another process, who has to ask again and again, gets his turn.
    async fn step<T>(
        &self,
        turn: Turn,
        step: impl Future<Output = Result<Option<T>, StoreError>> + Send,
    ) -> Result<T, CollectError> {
        let began = Instant::now();
        let outcome = self.seat.renewed(turn, step.await?)?;
        tokio::time::sleep(began.elapsed()).await;
        Ok(outcome)
    }

    async fn leftovers(&mut self) -> Result<(), CollectError> {
        self.tell(CollectStage::Leftovers);
        let mut after = None;
        loop {
            let page =
                self.registry.metadata.condemned_blobs(after.as_ref(), BATCH_ROWS as u32).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.digest);
            self.remove(&page).await?;
            self.tell(CollectStage::Leftovers);
        }
    }

    /// Files of uploads that no row speaks of. The row is made before the file,
    /// so a file that was listed has its row unless the upload has ended.
    async fn uploads(&mut self, sweep: bool) -> Result<(), CollectError> {
        if sweep {
            let swept = self.registry.sweep_uploads(self.registry.now());
            self.figures.uploads += self.seat.keep_while(swept).await?? as u64;
        }
        let stray = async {
            let mut discarded = 0;
            for id in self.registry.blobs.uploads().await? {
                if self.registry.metadata.upload(id).await?.is_none() {
                    self.registry.blobs.discard_upload(id).await?;
                    discarded += 1;
                }
            }
            Ok::<_, StoreError>(discarded)
        };
        self.figures.stray_uploads += self.seat.keep_while(stray).await??;
        self.tell(CollectStage::Uploads);
        Ok(())
    }

    async fn links(&mut self, cutoff: OffsetDateTime) -> Result<(), CollectError> {
        let mut after = None;
        loop {
            let page =
                self.registry.metadata.unneeded_links(cutoff, after.as_ref(), PAGE_ROWS).await?;
            for links in page.found.chunks(BATCH_ROWS) {
                let turn = self.seat.turn();
                let step = self.registry.metadata.remove_links(turn, cutoff, links);
                self.figures.links += self.step(turn, step).await?;
            }
            self.tell(CollectStage::Links);
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn blobs(&mut self) -> Result<(), CollectError> {
        let mut after = None;
        loop {
            let page = self.registry.metadata.unheld_blobs(None, after.as_ref(), PAGE_ROWS).await?;
            let digests: Vec<Digest> = page.found.iter().map(|b| b.digest).collect();
            for digests in digests.chunks(BATCH_ROWS) {
                let turn = self.seat.turn();
                let step = self.registry.metadata.condemn_blobs(turn, digests);
                let condemned = self.step(turn, step).await?;
                self.remove(&condemned).await?;
                self.tell(CollectStage::Blobs);
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn strays(&mut self, cutoff: OffsetDateTime) -> Result<(), CollectError> {
        for shard in 0..=u8::MAX {
            let listed = self.registry.strays_of(shard, cutoff);
            let strays = self.seat.keep_while(listed).await??;
            for strays in strays.chunks(BATCH_ROWS) {
                let turn = self.seat.turn();
                let step = self.registry.metadata.condemn_strays(turn, strays);
                let condemned = self.step(turn, step).await?;
                self.figures.stray_blobs += condemned.len() as u64;
                self.remove(&condemned).await?;
            }
            self.tell(CollectStage::Strays);
        }
        Ok(())
    }

    async fn repositories(&mut self, cutoff: OffsetDateTime) -> Result<(), CollectError> {
        loop {
            let turn = self.seat.turn();
            let rows = BATCH_ROWS as u32;
            let step = self.registry.metadata.remove_empty_repositories(turn, cutoff, rows);
            let removed = self.step(turn, step).await?;
            self.figures.repositories += removed;
            self.tell(CollectStage::Repositories);
            if removed == 0 {
                return Ok(());
            }
        }
    }

    /// Removes the bytes of condemned blobs, then their rows.
    async fn remove(&mut self, condemned: &[SizedBlob]) -> Result<(), CollectError> {
        let removals: Vec<_> = condemned.iter().map(|blob| self.remove_bytes(*blob)).collect();
        let removals = stream::iter(removals).buffer_unordered(REMOVALS_MAX).collect();
        let gone: Vec<Option<SizedBlob>> = self.seat.keep_while(removals).await?;
        let gone: Vec<SizedBlob> = gone.into_iter().flatten().collect();
        let digests: Vec<Digest> = gone.iter().map(|b| b.digest).collect();
        if !digests.is_empty() {
            let turn = self.seat.turn();
            let step = self.registry.metadata.forget_condemned(turn, &digests);
            self.step(turn, step).await?;
        }
        self.figures.failed += (condemned.len() - gone.len()) as u64;
        self.figures.blobs += gone.len() as u64;
        self.figures.bytes += gone.iter().map(|b| b.size).sum::<u64>();
        Ok(())
    }

    /// `None`: they may still be there.
    async fn remove_bytes(&self, blob: SizedBlob) -> Option<SizedBlob> {
        if !self.seat.is_leased() {
            return None;
        }
        match self.registry.blobs.delete_blob(&blob.digest).await {
            Ok(()) => Some(blob),
            Err(error) => {
                tracing::warn!(digest = %blob.digest, %error, "the bytes of a blob cannot be removed; the next run tries again");
                None
            }
        }
    }
}
