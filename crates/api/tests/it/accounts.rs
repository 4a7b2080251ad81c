//! Principals of every kind before the registry: who gets in, and who no longer.

use access::{Kind, Role};
use http::{Method, StatusCode};
use serde_json::Value;
use store::{AccountRecord, AccountStore, ScopeMap, Secret, SettingsStore};
use time::{Duration, OffsetDateTime};

use crate::app::{Answer, PASSWORD, TestApp, account, basic, cheap_hash};

const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

impl TestApp {
    async fn add(&self, record: AccountRecord) {
        let created = self.metadata.create_account(&record).await.unwrap();
        assert_eq!(created, store::CreateAccount::Created);
    }

    async fn by(&self, authorization: &str, method: Method, path: &str) -> Answer {
        self.anonymous(method, path).header("authorization", authorization).send().await
    }

    /// What a token for `app` says that its bearer may do.
    async fn actions(&self, authorization: &str, repository: &str) -> Value {
        let path = format!("/oauth2/token?service=x&scope=repository:{repository}:*");
        let answer = self.by(authorization, Method::GET, &path).await.expect(StatusCode::OK);
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        crate::auth::claims(&token.into())["access"][0]["actions"].clone()
    }

    async fn tokens(&self, authorization: &str) -> (String, String) {
        let path = "/oauth2/token?scope=repository:app:pull&offline_token=true";
        let answer = self.by(authorization, Method::GET, path).await.expect(StatusCode::OK).json();
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        (format!("Bearer {}", text("access_token")), text("refresh_token"))
    }
}

fn token(name: &str, map: &str) -> AccountRecord {
    let mut record = account(name, Kind::Token, None);
    record.account.scope_map = Some(map.into());
    record
}

#[tokio::test]
async fn each_kind_may_do_what_it_was_given() {
    let app = TestApp::start().await;
    let map = ScopeMap {
        name: "team".into(),
        description: String::new(),
        actions: vec!["repositories/team/*/content/read".into(), "damaged".into()],
        created_at: OffsetDateTime::UNIX_EPOCH,
    };
    app.metadata.put_scope_map(&map).await.unwrap();
    app.add(token("team-puller", "team")).await;
    app.add(token("pusher", "_repositories_push")).await;
    app.add(account("pull-sp", Kind::Service, Some((Role::AcrPull, "/")))).await;
    app.add(account("sub-sp", Kind::Service, Some((Role::AcrPush, "repositories/team")))).await;
    app.add(account("other-sp", Kind::Service, Some((Role::Owner, "/subscriptions/x")))).await;
    app.add(account("main", Kind::AdminUser, None)).await;

    let check = async |name: &str, repository: &str, expected: &[&str]| {
        let actions = app.actions(&basic(name, PASSWORD), repository).await;
        assert_eq!(actions, serde_json::json!(expected), "{name} on {repository}");
    };
    check("team-puller", "team/a", &["pull"]).await;
    check("team-puller", "other", &[]).await;
    check("pusher", "a", &["pull", "push"]).await;
    check("pull-sp", "a", &["pull", "metadata_read"]).await;
    check("sub-sp", "team/a", &["pull", "push", "metadata_read"]).await;
    check("sub-sp", "teams", &[]).await;
    check("other-sp", "a", &[]).await;
    let all = [
        "pull",
        "push",
        "delete",
        "metadata_read",
        "metadata_write",
        "deleted_read",
        "deleted_restore",
    ];
    check("main", "a", &all).await;
    check("admin", "a", &all).await;
    check("guest", "a", &[]).await;

    // The same by Basic on the request itself.
    let puller = basic("pull-sp", PASSWORD);
    app.by(&puller, Method::GET, "/v2/a/manifests/x").await.refused(404, "MANIFEST_UNKNOWN");
    app.by(&puller, Method::POST, "/v2/a/blobs/uploads/").await.refused(403, "DENIED");
    app.by(&puller, Method::GET, "/v2/_catalog").await.expect(StatusCode::OK);
    app.by(&basic("sub-sp", PASSWORD), Method::GET, "/v2/_catalog").await.refused(403, "DENIED");
}

#[tokio::test]
async fn a_change_of_the_account_cuts_off_its_tokens() {
    let app = TestApp::start().await;
    let now = OffsetDateTime::now_utc();
    app.add(account("ci", Kind::Service, Some((Role::AcrPull, "/")))).await;
    let password = basic("ci", PASSWORD);
    let pull = async |authorization: &str| {
        app.by(authorization, Method::GET, "/v2/app/tags/list").await.status
    };
    let in_as = async |(access, refresh): &(String, String)| {
        [pull(access).await, pull(&basic(TOKEN_USER, refresh)).await]
    };
    // What was known a moment ago is forgotten, as an API that changes accounts does.
    let refused = [StatusCode::UNAUTHORIZED; 2];
    let accepted = [StatusCode::NOT_FOUND; 2];

    let first = app.tokens(&password).await;
    assert_eq!(in_as(&first).await, accepted);
    let secret =
        Secret { name: "password".into(), hash: cheap_hash(), created_at: now, expires_at: None };
    app.metadata.set_secret("ci", &secret, now).await.unwrap();
    let second = app.tokens(&password).await;
    assert_eq!(in_as(&first).await, refused, "made with the password of before");
    assert_eq!(in_as(&second).await, accepted);

    app.metadata.set_enabled("ci", false, now).await.unwrap();
    assert_eq!(pull(&password).await, StatusCode::UNAUTHORIZED);
    app.auth.forget("ci");
    assert_eq!(in_as(&second).await, refused);
    app.metadata.set_enabled("ci", true, now).await.unwrap();
    assert_eq!(in_as(&second).await, refused, "not even when it is switched on again");

    let third = app.tokens(&password).await;
    app.metadata.delete_account("ci").await.unwrap();
    app.auth.forget("ci");
    assert_eq!(in_as(&third).await, refused);
    app.add(account("ci", Kind::Service, Some((Role::AcrPull, "/")))).await;
    assert_eq!(in_as(&third).await, refused, "another account of the same name");
}

#[tokio::test]
async fn a_change_by_another_process_is_seen_within_seconds() {
    let app = TestApp::start().await;
    app.add(account("ci", Kind::Service, Some((Role::AcrPull, "/")))).await;
    let (access, _) = app.tokens(&basic("ci", PASSWORD)).await;
    app.metadata.set_enabled("ci", false, OffsetDateTime::now_utc()).await.unwrap();
    let began = std::time::Instant::now();
    while app.by(&access, Method::GET, "/v2/app/tags/list").await.status != StatusCode::UNAUTHORIZED
    {
        assert!(began.elapsed().as_secs() < 10, "a disabled account is still in");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_expired_secret_is_refused_and_the_other_is_not() {
    let app = TestApp::start().await;
    let now = OffsetDateTime::now_utc();
    let mut record = token("ci", "_repositories_pull");
    record.secrets = vec![Secret {
        name: "password1".into(),
        hash: cheap_hash(),
        created_at: now,
        expires_at: Some(now - Duration::seconds(1)),
    }];
    app.add(record).await;
    let password = basic("ci", PASSWORD);
    app.by(&password, Method::GET, "/v2/").await.refused(401, "UNAUTHORIZED");
    let lasting = Secret {
        name: "password2".into(),
        hash: cheap_hash(),
        created_at: now,
        expires_at: Some(now + Duration::minutes(1)),
    };
    app.metadata.set_secret("ci", &lasting, now).await.unwrap();
    app.by(&password, Method::GET, "/v2/").await.expect(StatusCode::OK);
    let answer = app.by(&password, Method::GET, "/oauth2/token").await.json();
    assert!(answer["expires_in"].as_i64().unwrap() <= 60, "no longer than the secret: {answer}");
}

#[tokio::test]
async fn a_sign_in_is_noted() {
    let app = TestApp::start().await;
    app.by(&basic("guest", PASSWORD), Method::GET, "/v2/").await.expect(StatusCode::OK);
    let began = std::time::Instant::now();
    while app.metadata.account("guest").await.unwrap().unwrap().account.last_used_at.is_none() {
        assert!(began.elapsed().as_secs() < 10, "nobody noted it");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn anonymous_pull_can_be_switched_on_and_off() {
    let app = TestApp::start().await;
    app.image("app", "v1", "layer").await;
    let pull = "/v2/app/manifests/v1";
    app.anonymous(Method::GET, pull).send().await.refused(401, "UNAUTHORIZED");

    let operator = access::authorise_registry(&access::Principal::operator()).unwrap();
    app.auth.settings().set_anonymous_pull(&operator, Some(true)).await.unwrap();
    assert_eq!(
        app.metadata.setting("access.anonymous_pull").await.unwrap().as_deref(),
        Some("true")
    );
    // Clients that have credentials must be asked for them all the same.
    app.anonymous(Method::GET, "/v2/").send().await.refused(401, "UNAUTHORIZED");
    let by_query = app.anonymous(Method::GET, "/oauth2/token?scope=repository:app:pull,push");
    let by_form = app.anonymous(Method::POST, "/oauth2/token").body(
        "service=x&grant_type=password&scope=repository:app:pull,push+repository:app:metadata_read",
    );
    for request in [by_query, by_form] {
        let token = request.send().await.expect(StatusCode::OK).json()["access_token"].clone();
        assert_eq!(
            crate::auth::claims(&token)["access"][0]["actions"],
            serde_json::json!(["pull"])
        );
        let bearer = format!("Bearer {}", token.as_str().unwrap());
        app.by(&bearer, Method::GET, pull).await.expect(StatusCode::OK);
        app.by(&bearer, Method::GET, "/v2/").await.expect(StatusCode::OK);
        let push = app.by(&bearer, Method::POST, "/v2/app/blobs/uploads/").await;
        let challenge = push.refused(401, "UNAUTHORIZED").header("www-authenticate").to_owned();
        assert!(challenge.ends_with("scope=\"repository:app:pull,push\""), "{challenge}");
    }
    app.anonymous(Method::GET, pull).send().await.expect(StatusCode::OK);
    app.anonymous(Method::DELETE, pull).send().await.refused(401, "UNAUTHORIZED");

    app.auth.settings().set_anonymous_pull(&operator, None).await.unwrap();
    app.anonymous(Method::GET, pull).send().await.refused(401, "UNAUTHORIZED");
}
