//! All metadata of an installation, as one value.

use async_trait::async_trait;

use crate::scan::ScanStore;
use crate::webhooks::WebhookStore;
use crate::{
    AccountStore, CacheRuleStore, CatalogStore, CollectStore, ImportStore, RegistryStore,
    SettingsStore,
};

/// What the registry's use cases ask of metadata.
pub trait Metadata: RegistryStore + CollectStore {}
impl<T: RegistryStore + CollectStore + ?Sized> Metadata for T {}

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
{
    /// Waits for running statements and lets go of the database.
    async fn close(&self);
}
