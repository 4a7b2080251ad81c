//! Cases for [`AccountStore`].

use access::Kind;
use time::{Duration, OffsetDateTime};

use crate::accounts::{
    Account, AccountRecord, AccountStore, CreateAccount, DeleteScopeMap, RoleAssignment, ScopeMap,
    Secret,
};

const EPOCH: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const OWNER: &str = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";

fn secret(name: &str, hash: &str) -> Secret {
    Secret { name: name.into(), hash: hash.into(), created_at: EPOCH, expires_at: None }
}

fn record(name: &str, kind: Kind) -> AccountRecord {
    AccountRecord {
        account: Account {
            name: name.into(),
            kind,
            display_name: format!("the {name}"),
            enabled: true,
            scope_map: None,
            generation: 7,
            created_at: EPOCH,
            last_used_at: None,
        },
        secrets: vec![secret("password", "one")],
        roles: vec![RoleAssignment { role: OWNER.into(), scope: "/".into(), created_at: EPOCH }],
        actions: vec![],
    }
}

/// Every case.
pub async fn run(store: &dyn AccountStore) {
    accounts(store).await;
    changes(store).await;
    scope_maps(store).await;
    signing_secrets(store).await;
}

async fn accounts(store: &dyn AccountStore) {
    let admin = record("admin", Kind::Account);
    assert_eq!(store.create_account(&admin).await.unwrap(), CreateAccount::Created);
    let again = record("admin", Kind::Service);
    let taken = store.create_account(&again).await.unwrap();
    assert_eq!(taken, CreateAccount::NameTaken, "one name space for all kinds");
    assert_eq!(store.account("admin").await.unwrap(), Some(admin));
    assert_eq!(store.account("Admin").await.unwrap(), None, "names are compared byte for byte");

    for (name, kind) in [("Zoe", Kind::Account), ("main", Kind::AdminUser), ("app", Kind::Service)]
    {
        store.create_account(&record(name, kind)).await.unwrap();
    }
    let names = async |kind, after, limit| {
        let found = store.accounts(kind, after, limit).await.unwrap();
        found.into_iter().map(|r| r.account.name).collect::<Vec<_>>()
    };
    assert_eq!(names(None, None, 10).await, ["Zoe", "admin", "app", "main"]);
    assert_eq!(names(Some(Kind::Account), None, 10).await, ["Zoe", "admin"]);
    assert_eq!(names(None, Some("admin"), 1).await, ["app"]);
    let listed = store.accounts(Some(Kind::Service), None, 10).await.unwrap();
    assert_eq!(listed, [record("app", Kind::Service)], "a list says as much as a look-up");

    assert!(store.delete_account("Zoe").await.unwrap());
    assert!(!store.delete_account("Zoe").await.unwrap());
    let bare = AccountRecord { secrets: vec![], roles: vec![], ..record("Zoe", Kind::Account) };
    store.create_account(&bare).await.unwrap();
    assert_eq!(
        store.account("Zoe").await.unwrap(),
        Some(bare),
        "a name that comes back inherits nothing"
    );
}

async fn changes(store: &dyn AccountStore) {
    let at = EPOCH + Duration::seconds(1);
    let app = async || store.account("app").await.unwrap().unwrap();
    let generation = async || app().await.account.generation;

    let second = Secret { expires_at: Some(at), ..secret("password2", "two") };
    assert!(store.set_secret("app", &second, at).await.unwrap());
    assert_eq!(app().await.secrets, [secret("password", "one"), second.clone()]);
    assert_eq!(generation().await, 1000, "milliseconds of the change");
    assert!(store.set_secret("app", &secret("password", "three"), at).await.unwrap());
    assert_eq!(app().await.secrets, [secret("password", "three"), second]);
    assert_eq!(generation().await, 1001, "it grows even where the clock stands still");
    assert!(store.replace_secrets("app", &secret("key", "four"), EPOCH).await.unwrap());
    assert_eq!(app().await.secrets, [secret("key", "four")]);
    assert_eq!(generation().await, 1002, "and where the clock goes back");

    assert!(store.set_enabled("app", false, at).await.unwrap());
    assert!(!app().await.account.enabled);
    assert!(store.set_enabled("app", true, at).await.unwrap());
    assert!(app().await.account.enabled);
    assert_eq!(generation().await, 1004);

    let pull = |scope: &str| RoleAssignment {
        role: "7f951dda-4ed3-4680-a7ca-43fe172d538d".into(),
        scope: scope.into(),
        created_at: at,
    };
    for _ in 0..2 {
        assert!(store.assign_role("app", &pull("/subscriptions/s")).await.unwrap());
    }
    let roles = app().await.roles;
    assert_eq!(roles.len(), 2, "a role is held once: {roles:?}");
    assert!(roles.contains(&pull("/subscriptions/s")));
    assert!(store.remove_role("app", OWNER, "/").await.unwrap());
    assert!(!store.remove_role("app", OWNER, "/").await.unwrap());
    assert_eq!(app().await.roles, [pull("/subscriptions/s")]);

    store.note_sign_in("app", at).await.unwrap();
    store.note_sign_in("nobody", at).await.unwrap();
    assert_eq!(app().await.account.last_used_at, Some(at));
    assert_eq!(generation().await, 1004, "neither a role nor a sign-in cuts off tokens");

    assert!(!store.set_secret("nobody", &secret("x", "x"), at).await.unwrap());
    assert!(!store.replace_secrets("nobody", &secret("x", "x"), at).await.unwrap());
    assert!(!store.set_enabled("nobody", true, at).await.unwrap());
    assert!(!store.assign_role("nobody", &pull("/")).await.unwrap());
    assert_eq!(store.account("nobody").await.unwrap(), None);
}

async fn scope_maps(store: &dyn AccountStore) {
    let map = |name: &str, actions: &[&str]| ScopeMap {
        name: name.into(),
        description: "d".into(),
        actions: actions.iter().map(|a| (*a).to_owned()).collect(),
        created_at: EPOCH,
    };
    let token = |name: &str, map: &str| {
        let mut record = record(name, Kind::Token);
        record.account.scope_map = Some(map.into());
        record
    };
    let refused = store.create_account(&token("t", "ci")).await.unwrap();
    assert_eq!(refused, CreateAccount::UnknownScopeMap);
    assert_eq!(store.account("t").await.unwrap(), None);
    store.put_scope_map(&map("ci", &["one"])).await.unwrap();
    assert_eq!(store.create_account(&token("t", "ci")).await.unwrap(), CreateAccount::Created);
    let system = store.create_account(&token("u", "_repositories_pull")).await.unwrap();
    assert_eq!(system, CreateAccount::Created, "maps of the system need no row");
    store.put_scope_map(&map("ci", &["one", "two"])).await.unwrap();
    store.put_scope_map(&map("a", &[])).await.unwrap();
    assert_eq!(store.account("t").await.unwrap().unwrap().actions, ["one", "two"]);
    let all = [map("a", &[]), map("ci", &["one", "two"])];
    assert_eq!(store.scope_maps(None, 10).await.unwrap(), all);
    assert_eq!(store.scope_maps(Some("a"), 10).await.unwrap(), all[1..]);
    assert_eq!(store.scope_maps(None, 1).await.unwrap(), all[..1]);

    assert_eq!(store.delete_scope_map("ci").await.unwrap(), DeleteScopeMap::InUse);
    assert!(store.delete_account("t").await.unwrap());
    assert_eq!(store.delete_scope_map("ci").await.unwrap(), DeleteScopeMap::Deleted);
    assert_eq!(store.delete_scope_map("ci").await.unwrap(), DeleteScopeMap::Unknown);
}

async fn signing_secrets(store: &dyn AccountStore) {
    assert_eq!(store.ensure_secret("key", b"first").await.unwrap(), b"first");
    assert_eq!(
        store.ensure_secret("key", b"second").await.unwrap(),
        b"first",
        "a key never changes"
    );
    assert_eq!(store.ensure_secret("other", b"\0").await.unwrap(), b"\0");
}
