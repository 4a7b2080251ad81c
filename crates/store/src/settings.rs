//! Settings that can be changed while the server runs.

use async_trait::async_trait;

use crate::StoreError;

/// Keeps settings. Who reads one knows its form and its default.
#[async_trait]
pub trait SettingsStore: Send + Sync {
    /// What was set last. `None`: the default holds.
    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// After it returns, the setting has this value; `None` brings the default
    /// back.
    async fn set_setting(&self, name: &str, value: Option<&str>) -> Result<(), StoreError>;
}
