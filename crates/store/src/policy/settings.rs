//! Settings that several people may change at once: a change can name the
//! version that it starts from.

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::StoreError;

/// A setting as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSetting {
    /// JSON.
    pub value: String,
    /// 1 for the first value; each change adds one.
    pub version: u64,
    /// When it was last changed.
    pub changed_at: OffsetDateTime,
    /// By whom.
    pub changed_by: String,
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutSetting {
    /// It is stored, with this version.
    Stored(u64),
    /// Somebody else has changed it: this is its version now, 0 for none.
    Outdated(u64),
}

/// Keeps settings.
#[async_trait]
pub trait VersionedSettingStore: Send + Sync {
    /// One setting. `None`: it was never set.
    async fn versioned_setting(&self, name: &str) -> Result<Option<StoredSetting>, StoreError>;
    /// Sets one. With `expected`, only if that is its version (0: it is not
    /// set), decided in the same transaction.
    async fn put_setting(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        at: OffsetDateTime,
        by: &str,
    ) -> Result<PutSetting, StoreError>;
}
