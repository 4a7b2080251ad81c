//! Cases for [`CacheRuleStore`].

use time::OffsetDateTime;

use crate::{
    CacheRule, CacheRuleStore, CredentialSet, DeleteCredentials, PutCacheRule, StoredLogin,
};

/// Every case.
pub async fn run(store: &dyn CacheRuleStore) {
    let rule = |name: &str, target: &str, set: Option<&str>| CacheRule {
        name: name.into(),
        source: "docker.io/library/*".into(),
        target: target.into(),
        credential_set: set.map(str::to_owned),
        created_at: OffsetDateTime::UNIX_EPOCH,
    };
    let set = |name: &str, password: &str| CredentialSet {
        name: name.into(),
        login_server: "docker.io".into(),
        login: StoredLogin { username: None, password: password.into() },
        changed_at: OffsetDateTime::UNIX_EPOCH,
    };
    let create = |rule: CacheRule| async move { store.create_cache_rule(&rule).await.unwrap() };
    assert_eq!(create(rule("hub", "hub/*", Some("me"))).await, PutCacheRule::UnknownCredentials);
    store.put_credential_set(&set("me", "one")).await.unwrap();
    store.put_credential_set(&set("me", "two")).await.unwrap();
    assert_eq!(store.credential_sets().await.unwrap(), [set("me", "two")]);

    assert_eq!(create(rule("hub", "hub/*", Some("me"))).await, PutCacheRule::Stored);
    assert_eq!(create(rule("hub", "other/*", None)).await, PutCacheRule::Taken, "the name");
    assert_eq!(create(rule("again", "hub/*", None)).await, PutCacheRule::Taken, "the target");
    assert_eq!(create(rule("a", "a/*", None)).await, PutCacheRule::Stored);
    let rules = store.cache_rules().await.unwrap();
    assert_eq!(rules, [rule("a", "a/*", None), rule("hub", "hub/*", Some("me"))]);

    assert_eq!(store.delete_credential_set("me").await.unwrap(), DeleteCredentials::InUse);
    assert!(store.delete_cache_rule("hub").await.unwrap());
    assert!(!store.delete_cache_rule("hub").await.unwrap());
    assert_eq!(store.delete_credential_set("me").await.unwrap(), DeleteCredentials::Deleted);
    assert_eq!(store.delete_credential_set("me").await.unwrap(), DeleteCredentials::Unknown);
}
