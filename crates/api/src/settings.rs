//! Settings that can be changed while the server runs, with their defaults from
//! the configuration.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use access::{Configuration, RegistryPermit};
use store::{SettingsStore, StoreError};

/// Name of the setting: whether everybody may pull.
const ANONYMOUS_PULL: &str = "access.anonymous_pull";
/// How long another process' change may go unseen.
const AGE_MAX: Duration = Duration::from_secs(2);

/// Settings of the registry.
pub struct Settings {
    store: Arc<dyn SettingsStore>,
    anonymous_pull_default: bool,
    anonymous_pull: Mutex<Option<(bool, Instant)>>,
}

impl Settings {
    /// Over a store, with the default of each setting.
    pub fn new(store: Arc<dyn SettingsStore>, anonymous_pull_default: bool) -> Self {
        Self { store, anonymous_pull_default, anonymous_pull: Mutex::default() }
    }

    /// Whether everybody may pull without signing in, as it was set at most a
    /// moment ago.
    pub async fn anonymous_pull(&self) -> Result<bool, StoreError> {
        let remembered = *self.remembered();
        if let Some((value, at)) = remembered
            && at.elapsed() < AGE_MAX
        {
            return Ok(value);
        }
        let stored = self.store.setting(ANONYMOUS_PULL).await?;
        let value = stored.map_or(self.anonymous_pull_default, |text| text == "true");
        *self.remembered() = Some((value, Instant::now()));
        Ok(value)
    }

    /// Changes it; `None` brings the default back.
    pub async fn set_anonymous_pull(
        &self,
        _permit: &RegistryPermit<Configuration>,
        value: Option<bool>,
    ) -> Result<(), StoreError> {
        let text = value.map(|value| if value { "true" } else { "false" });
        self.store.set_setting(ANONYMOUS_PULL, text).await?;
        *self.remembered() = None;
        Ok(())
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Option<(bool, Instant)>> {
        self.anonymous_pull.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
