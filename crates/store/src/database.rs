//! All metadata of an installation, as one value.

use std::path::Path;

use async_trait::async_trait;

use crate::scan::ScanStore;
use crate::webhooks::WebhookStore;
use crate::{
    AccountStore, CacheRuleStore, CatalogStore, CollectStore, ImportStore, PolicyStore,
    RegistryStore, ScrubStore, SettingsStore, StoreError, Transfer,
};

/// What the registry's use cases ask of metadata.
pub trait Metadata: RegistryStore + CollectStore + ScrubStore + PolicyStore {}
impl<T: RegistryStore + CollectStore + ScrubStore + PolicyStore + ?Sized> Metadata for T {}

/// Everything that one database keeps. Callers take the part they need; only
/// who wires the parts together holds the whole.
#[async_trait]
pub trait Database:
    Metadata
    + AccountStore
    + CacheRuleStore
    + CatalogStore
    + ImportStore
    + ScanStore
    + SettingsStore
    + WebhookStore
    + Transfer
{
    /// Writes everything, as of one moment, to a new file that the same program
    /// can open; others read and write meanwhile. False: this database has
    /// means of its own for that.
    async fn snapshot(&self, _file: &Path) -> Result<bool, StoreError> {
        Ok(false)
    }
    /// Whether servers of other machines may have it open as well.
    fn is_shared(&self) -> bool {
        true
    }
    /// Waits for running statements and lets go of the database.
    async fn close(&self);
}
