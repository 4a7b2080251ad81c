//! Cases for [`SettingsStore`].

use crate::SettingsStore;

/// Every case.
pub async fn run(store: &dyn SettingsStore) {
    assert_eq!(store.setting("a").await.unwrap(), None);
    store.set_setting("a", Some("1")).await.unwrap();
    store.set_setting("b", Some("")).await.unwrap();
    store.set_setting("a", Some("2")).await.unwrap();
    assert_eq!(store.setting("a").await.unwrap().as_deref(), Some("2"));
    assert_eq!(store.setting("b").await.unwrap().as_deref(), Some(""), "empty is not unset");
    store.set_setting("a", None).await.unwrap();
    store.set_setting("a", None).await.unwrap();
    assert_eq!(store.setting("a").await.unwrap(), None);
}
