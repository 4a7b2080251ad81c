//! Accounts as they were read a moment ago, so that not every request with a
//! token asks the database; and when each was last noted as used.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use store::{AccountRecord, AccountStore, StoreError};
use time::OffsetDateTime;

/// How long another process' change may go unseen by requests with tokens.
/// Passwords are always checked against the account as it is.
const AGE_MAX: Duration = Duration::from_secs(2);
/// Accounts kept at once.
const KNOWN_MAX: u64 = 10_000;
/// A sign-in is written down at most so often.
const NOTE_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Known {
    store: Arc<dyn AccountStore>,
    records: Cache<String, Arc<AccountRecord>>,
    noted: Cache<String, ()>,
}

impl Known {
    pub fn new(store: Arc<dyn AccountStore>) -> Self {
        let records = Cache::builder().max_capacity(KNOWN_MAX).time_to_live(AGE_MAX).build();
        let noted = Cache::builder().max_capacity(KNOWN_MAX).time_to_live(NOTE_EVERY).build();
        Self { store, records, noted }
    }

    /// The account as it is now. That there is none is not remembered.
    pub async fn fresh(&self, name: &str) -> Result<Option<Arc<AccountRecord>>, StoreError> {
        match self.store.account(name).await? {
            Some(record) => {
                let record = Arc::new(record);
                self.records.insert(name.to_owned(), Arc::clone(&record));
                Ok(Some(record))
            }
            None => {
                self.forget(name);
                Ok(None)
            }
        }
    }

    /// The account of this generation, as it was at most a moment ago.
    pub async fn of_generation(
        &self,
        name: &str,
        generation: i64,
    ) -> Result<Option<Arc<AccountRecord>>, StoreError> {
        if let Some(record) = self.records.get(name)
            && record.account.generation == generation
        {
            return Ok(Some(record));
        }
        let record = self.fresh(name).await?;
        Ok(record.filter(|record| record.account.generation == generation))
    }

    /// The account was changed here.
    pub fn forget(&self, name: &str) {
        self.records.invalidate(name);
    }

    /// Writes down that somebody signed in, in the background and not too often.
    pub fn note(&self, record: &AccountRecord) {
        let (name, now) = (record.account.name.clone(), OffsetDateTime::now_utc());
        let recent = record.account.last_used_at.is_some_and(|at| now - at < NOTE_EVERY);
        if recent || self.noted.contains_key(&name) {
            return;
        }
        self.noted.insert(name.clone(), ());
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            if let Err(error) = store.note_sign_in(&name, now).await {
                tracing::warn!(%error, name, "cannot note when an account was last used");
            }
        });
    }
}
