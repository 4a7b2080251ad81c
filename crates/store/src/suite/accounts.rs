//! Cases for [`AccountStore`].

use time::OffsetDateTime;

use crate::{Account, AccountStore};

/// Every case.
pub async fn run(store: &dyn AccountStore) {
    let account = |name: &str, hash: &str| Account {
        name: name.into(),
        password_hash: hash.into(),
        admin: name == "admin",
        created_at: OffsetDateTime::UNIX_EPOCH,
    };
    let admin = account("admin", "one");
    assert!(store.create_account(&admin).await.unwrap());
    assert!(!store.create_account(&account("admin", "two")).await.unwrap(), "a name is taken once");
    assert_eq!(store.account("admin").await.unwrap(), Some(admin));
    assert_eq!(store.account("Admin").await.unwrap(), None, "names are compared byte for byte");

    assert!(store.create_account(&account("Zoe", "z")).await.unwrap());
    let names: Vec<_> = store.accounts().await.unwrap().into_iter().map(|a| a.name).collect();
    assert_eq!(names, ["Zoe", "admin"]);

    assert!(store.set_password_hash("admin", "three").await.unwrap());
    assert_eq!(store.account("admin").await.unwrap().unwrap().password_hash, "three");
    assert!(!store.set_password_hash("nobody", "x").await.unwrap());

    assert!(store.delete_account("Zoe").await.unwrap());
    assert!(!store.delete_account("Zoe").await.unwrap());

    assert_eq!(store.ensure_secret("key", b"first").await.unwrap(), b"first");
    assert_eq!(
        store.ensure_secret("key", b"second").await.unwrap(),
        b"first",
        "a key never changes"
    );
    assert_eq!(store.ensure_secret("other", b"\0").await.unwrap(), b"\0");
}
