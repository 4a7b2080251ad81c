//! When what was last pulled. Pulls are remembered in memory and written in
//! batches: a crash loses those of the last few seconds, and no pull waits for
//! a write.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use oci::{Digest, Reference, RepositoryName, Tag};
use store::StoreError;
use store::policy::Pull;
use time::OffsetDateTime;

use crate::Registry;

/// How often pull times are written.
pub const PULLS_FLUSH_EVERY: Duration = Duration::from_secs(5);
/// Different manifests and tags whose pulls wait to be written; further ones
/// are not remembered.
pub const PULLS_BUFFERED_MAX: usize = 100_000;
/// Pulls written in one transaction.
const BATCH: usize = 1000;

type Key = (RepositoryName, Digest, Option<Tag>);

/// Pulls that are not written yet.
#[derive(Default)]
pub(crate) struct PullTimes(Mutex<HashMap<Key, OffsetDateTime>>);

impl PullTimes {
    pub fn note(
        &self,
        repository: &RepositoryName,
        digest: Digest,
        reference: &Reference,
        at: OffsetDateTime,
    ) {
        let tag = match reference {
            Reference::Tag(tag) => Some(tag.clone()),
            Reference::Digest(_) => None,
        };
        let key = (repository.clone(), digest, tag);
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < PULLS_BUFFERED_MAX || waiting.contains_key(&key) {
            let newest = waiting.entry(key).or_insert(at);
            *newest = at.max(*newest);
        }
    }

    fn take(&self) -> Vec<Pull> {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let pull = |((repository, digest, tag), at)| Pull { repository, digest, tag, at };
        waiting.into_iter().map(pull).collect()
    }
}

impl Registry {
    /// Writes the pull times that wait. What fails is lost.
    pub async fn flush_pulls(&self) -> Result<(), StoreError> {
        for batch in self.pulls.take().chunks(BATCH) {
            self.metadata.record_pulls(batch).await?;
        }
        Ok(())
    }

    /// Writes pull times every [`PULLS_FLUSH_EVERY`], for ever.
    pub async fn flush_pulls_forever(&self) {
        loop {
            tokio::time::sleep(PULLS_FLUSH_EVERY).await;
            if let Err(error) = self.flush_pulls().await {
                tracing::warn!(%error, "pull times cannot be written; some are lost");
            }
        }
    }
}
