//! The native API, over the wire.

use advisories::Severity::{Critical, High, Low};
use api::portal::types::ScanStage;
use api::portal::view::{ScanEvent, ScanProgress};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use oci::Digest;
use serde_json::{Value, json};

use crate::app::{Answer, PASSWORD, basic};
use crate::inspected::{Found, InspectedApp, found};

#[track_caller]
fn is_problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["requestId"], answer.header("x-request-id"));
    problem
}

fn titles(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn signs_in_reads_and_signs_out() {
    let app = InspectedApp::start().await;
    is_problem(&app.anonymous(Method::GET, "/api/v1/session").send().await, 401);
    is_problem(&app.anonymous(Method::GET, "/api/v1/overview").send().await, 401);

    let sign_in = |password: &str, content_type: &str| {
        let body = json!({ "username": "admin", "password": password }).to_string();
        app.anonymous(Method::POST, "/api/v1/session")
            .header("content-type", content_type)
            .body(body)
            .send()
    };
    is_problem(&sign_in("wrong", "application/json").await, 401);
    is_problem(&sign_in(PASSWORD, "text/plain").await, 415);
    let answer = sign_in(PASSWORD, "application/json; charset=utf-8").await.expect(StatusCode::OK);
    assert_eq!(answer.json(), json!({ "user": { "name": "admin", "roles": ["Owner"] } }));
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains("Secure"), "a browser would not send it back over http: {cookie}");

    let word = cookie.split(';').next().unwrap().to_owned();
    let with =
        |method: Method, path: &str| app.anonymous(method, path).header("cookie", word.clone());
    with(Method::GET, "/api/v1/overview").send().await.expect(StatusCode::OK);
    with(Method::DELETE, "/api/v1/session").send().await.expect(StatusCode::NO_CONTENT);
    is_problem(&with(Method::GET, "/api/v1/overview").send().await, 401);
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_of_the_old() {
    use store::AccountStore;
    let app = InspectedApp::start().await;
    let body = json!({ "username": "admin", "password": PASSWORD }).to_string();
    let post =
        app.anonymous(Method::POST, "/api/v1/session").header("content-type", "application/json");
    let proto = post.header("x-forwarded-proto", "https").body(body).send().await;
    let cookie = proto.header("set-cookie").to_owned();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    let word = cookie.split(';').next().unwrap();
    let secret = store::Secret {
        name: "password".into(),
        hash: "$argon2id$other".into(),
        created_at: time::OffsetDateTime::UNIX_EPOCH,
        expires_at: None,
    };
    let now = time::OffsetDateTime::UNIX_EPOCH;
    assert!(app.metadata.set_secret("admin", &secret, now).await.unwrap());
    let read = app.anonymous(Method::GET, "/api/v1/session").header("cookie", word).send().await;
    is_problem(&read, 401);
}

#[tokio::test]
async fn who_lacks_the_role_is_told_so() {
    let app = InspectedApp::start().await;
    let read = app
        .anonymous(Method::GET, "/api/v1/registries")
        .header("authorization", basic("guest", PASSWORD));
    let problem = is_problem(&read.send().await, 403);
    assert!(problem["detail"].as_str().unwrap().contains("Security Reader"));
}

#[tokio::test]
async fn an_unhealthy_image_is_told_in_full() {
    let app = InspectedApp::start().await;
    let digest = app.registry.image("demo/web", "1", "layer").await;
    let path = app.path("demo/web", &digest);
    let before = app.json(&path).await;
    assert_eq!(before["status"], "notApplicable");
    assert_eq!(before["cause"]["kind"], "notScannedYet");
    assert_eq!(before["scan"]["state"], "queued");

    let hidden = Found { suppressed: true, ..found(4, Critical, None) };
    let openssl = [found(1, Low, None), found(2, Critical, Some("2.0-1")), hidden];
    app.inspect(
        digest,
        &[("openssl", &openssl), ("zlib", &[found(3, High, Some("3"))]), ("clean", &[])],
    )
    .await;

    let detail = app.json(&path).await;
    assert_eq!(detail["status"], "unhealthy");
    assert_eq!(detail["cause"], Value::Null);
    assert_eq!(detail["scan"]["state"], "done");
    assert_eq!(
        detail["severities"],
        json!({ "critical": 1, "high": 1, "medium": 0, "low": 1, "unscored": 0 })
    );
    assert_eq!((&detail["packages"], &detail["patchable"]), (&json!(3), &json!(2)));
    assert_eq!(detail["layers"][0]["findings"]["critical"], 1);
    assert_eq!(detail["layers"][0]["packages"], 3);
    assert_eq!(detail["tags"], json!(["1"]));
    assert_eq!(detail["pushedBy"], "admin");

    let findings = app.json(format!("{path}/findings")).await;
    assert_eq!(titles(&findings), ["2", "3", "1"], "the worst first, nothing hidden");
    let scan_id = findings["scanId"].clone();
    for (query, expected) in [
        ("?severity=critical,low", vec!["2", "1"]),
        ("?patchable=false", vec!["1"]),
        ("?kev=true", vec![]),
        ("?q=ZLIB", vec!["3"]),
        ("?q=cve-2024-0002", vec!["2"]),
        ("?sort=-package", vec!["3", "1", "2"]),
        ("?sort=id&offset=1&limit=1", vec!["2"]),
        ("?category=debian", vec!["2", "3", "1"]),
        ("?category=Alpine", vec![]),
    ] {
        let page = app.json(format!("{path}/findings{query}")).await;
        assert_eq!(titles(&page), expected, "{query}");
        assert_eq!(page["scanId"], scan_id);
    }
    is_problem(&app.get(format!("{path}/findings?sort=color")).await, 400);
    is_problem(&app.get(format!("{path}/findings?severity=bad")).await, 400);
    is_problem(&app.get(format!("{path}/findings?limit=-1")).await, 400);

    let finding = app.json(format!("{path}/findings/2")).await;
    assert_eq!(finding["fixedVersions"], json!(["2.0-1"]));
    assert_eq!(
        finding["packages"][0]["purl"],
        "pkg:deb/debian/openssl@1.0-1?arch=amd64&distro=debian-12"
    );
    assert_eq!(finding["packages"][0]["evidence"]["comparedWith"], "2.0-1");
    assert_eq!(finding["packages"][0]["layer"]["index"], 0);
    assert_eq!(finding["severityReason"], "distribution rating");
    assert!(finding["remediation"]["dockerfile"].as_str().unwrap().contains("openssl"));
    assert_eq!(finding["history"][0]["what"], "opened");
    assert_eq!(finding["history"][0]["cause"]["kind"], "push");
    let hidden = app.json(format!("{path}/findings/4")).await;
    assert_eq!(hidden["status"], "disabled", "what a rule hides can still be looked up");
    let problem = is_problem(&app.get(format!("{path}/findings/99")).await, 404);
    assert!(problem["detail"].as_str().unwrap().contains(&digest.to_string()));

    let packages = app.json(format!("{path}/packages?q=ssl")).await;
    assert_eq!(packages["total"], 1);
    assert_eq!(packages["items"][0]["findings"]["critical"], 1);
    let history = app.json(format!("{path}/history")).await;
    assert_eq!(history["items"][0]["cause"]["kind"], "push");
}

#[tokio::test]
async fn repositories_registry_and_overview_agree() {
    let app = InspectedApp::start().await;
    let bad = app.registry.image("demo/web", "1", "layer").await;
    let good = app.registry.image("demo/web", "2", "other").await;
    app.registry.image("tools/x", "latest", "third").await;
    app.inspect(bad, &[("openssl", &[found(2, Critical, Some("2"))])]).await;
    app.inspect(good, &[("clean", &[])]).await;

    let counts = json!({ "total": 2, "healthy": 1, "unhealthy": 1, "notApplicable": 0 });
    let repositories = app.json("/api/v1/registries/main/repositories?q=DEMO").await;
    assert_eq!(repositories["total"], 1);
    assert_eq!(repositories["items"][0]["images"], counts);
    assert_eq!(repositories["items"][0]["tags"], 2);
    assert!(repositories["items"][0]["sizeBytes"].as_u64().unwrap() > 0);
    let registry = app.json("/api/v1/registries/main").await;
    assert_eq!(registry["repositories"], 2);
    assert_eq!(registry["images"]["notApplicable"], 1);
    let overview = app.json("/api/v1/overview").await;
    assert_eq!(overview["images"], registry["images"]);
    assert_eq!(overview["newestCritical"][0]["repository"], "demo/web");

    let list = |query: &str| {
        app.json(format!("/api/v1/registries/main/repositories/demo~web/images{query}"))
    };
    assert_eq!(list("").await["total"], 2);
    let unhealthy = list("?status=unhealthy").await;
    assert_eq!(
        (&unhealthy["total"], &unhealthy["items"][0]["digest"]),
        (&json!(1), &json!(bad.to_string()))
    );
    assert_eq!(list(&format!("?q={}", &good.hex()[..12])).await["items"][0]["tags"], json!(["2"]));

    let affected = app.json("/api/v1/findings?q=openssl").await;
    assert_eq!(affected["items"][0]["digest"], bad.to_string());
    assert_eq!(app.json("/api/v1/findings?severity=critical").await["total"], 1);
    assert_eq!(app.json("/api/v1/findings?repository=tools/x").await["total"], 0);
    assert_eq!(app.json("/api/v1/scans").await["total"], 0);
    assert_eq!(app.json("/api/v1/advisories").await, json!([]));
}

#[tokio::test]
async fn what_is_not_there_names_its_nearest_parent() {
    let app = InspectedApp::start().await;
    let digest = app.registry.image("demo/web", "1", "layer").await;
    let missing = Digest::sha256(b"missing");
    for (path, parent) in [
        ("/api/v1/registries/other".to_owned(), "/registries"),
        (app.path("demo/web", &missing), "/registries/main/repositories/demo~web"),
        (app.path("nowhere", &missing), "/registries/main"),
        (
            app.path("demo/web", &digest).replace("sha256:", "md5:"),
            "/registries/main/repositories/demo~web",
        ),
        ("/api/v1/nothing".to_owned(), "openapi.json"),
    ] {
        let problem = is_problem(&app.get(&path).await, 404);
        assert!(problem["detail"].as_str().unwrap().contains(parent), "{path}: {problem}");
    }
    is_problem(&app.request(Method::POST, "/api/v1/overview").send().await, 405);
    let empty = app.json("/api/v1/registries/main/repositories/not~yet/images").await;
    assert_eq!(empty["total"], 0, "one can wait for a repository");
}

#[tokio::test]
async fn an_index_is_as_bad_as_its_worst_platform() {
    let app = InspectedApp::start().await;
    let amd64 = app.registry.image("multi", "a", "amd64").await;
    let arm64 = app.registry.image("multi", "b", "arm64").await;
    let index = app.index("multi", "latest", &[(amd64, "amd64"), (arm64, "arm64")]).await;
    app.inspect(amd64, &[("clean", &[])]).await;
    let detail = app.json(app.path("multi", &index)).await;
    assert_eq!((&detail["kind"], &detail["status"]), (&json!("index"), &json!("notApplicable")));
    assert!(detail["cause"]["detail"].as_str().unwrap().starts_with("linux/arm64: "));

    app.inspect(arm64, &[("openssl", &[found(2, Critical, Some("2"))])]).await;
    let detail = app.json(app.path("multi", &index)).await;
    assert_eq!(detail["status"], "unhealthy");
    assert_eq!(detail["severities"]["critical"], 1);
    assert_eq!(detail["children"][1]["status"], "unhealthy");
    let findings = app.json(format!("{}/findings", app.path("multi", &index))).await;
    assert_eq!(findings["total"], 1);

    let absent = app
        .index("multi", "sparse", &[(amd64, "amd64"), (Digest::sha256(b"absent"), "s390x")])
        .await;
    let sparse = app.json(app.path("multi", &absent)).await;
    assert_eq!(sparse["status"], "notApplicable", "nobody looked at s390x");
    assert_eq!(sparse["children"][1]["platform"]["architecture"], "s390x");
    let list = app.json("/api/v1/registries/main/repositories/multi/images?q=latest").await;
    assert_eq!(list["items"][0]["severities"]["critical"], 1);
}

#[tokio::test]
async fn no_verdict_is_without_a_cause() {
    let app = InspectedApp::start().await;
    let unjudged = app.registry.image("a", "1", "one").await;
    app.inspect_with(unjudged, &[("openssl", &[])], None, false).await;
    let empty = app.registry.image("a", "2", "two").await;
    app.inspect(empty, &[]).await;
    let running = app.registry.image("a", "3", "three").await;
    let progress =
        ScanProgress { stage: Some(ScanStage::Merging), started_at: Some(1_700_000_000_000) };
    app.view.progress.lock().unwrap().insert(running, progress);
    let chart = app.registry.blob("a", "chart").await;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_MANIFEST,
        "config": { "mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": chart, "size": 5 },
        "layers": [],
    });
    app.registry.put_manifest("a", "chart", &manifest).await.expect(StatusCode::CREATED);
    let artifact = Digest::sha256(manifest.to_string().as_bytes());

    for (digest, kind) in [
        (unjudged, "noAdvisories"),
        (empty, "noPackages"),
        (running, "notScannedYet"),
        (artifact, "unsupportedContent"),
    ] {
        let detail = app.json(app.path("a", &digest)).await;
        assert_eq!(
            (&detail["status"], &detail["cause"]["kind"]),
            (&json!("notApplicable"), &json!(kind))
        );
        assert!(detail["cause"]["detail"].is_string(), "{detail}");
    }
    let detail = app.json(app.path("a", &running)).await;
    assert_eq!(
        (&detail["scan"]["state"], &detail["scan"]["stage"]),
        (&json!("running"), &json!("merging"))
    );
}

#[tokio::test]
async fn events_arrive_while_one_looks_on() {
    let app = InspectedApp::start().await;
    let digest = app.registry.image("demo/web", "1", "layer").await;
    app.inspect(digest, &[("openssl", &[found(2, Critical, None)])]).await;
    is_problem(&app.anonymous(Method::GET, "/api/v1/events").send().await, 401);

    let stream = tokio::net::TcpStream::connect(app.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("/api/v1/events")
        .header("host", app.address.to_string())
        .header("authorization", basic("admin", PASSWORD))
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    app.view.events.send(ScanEvent::Image { digest, progress: None }).unwrap();
    app.view.events.send(ScanEvent::Advisories { snapshot: "s2".into() }).unwrap();
    let mut body = answer.into_body();
    let mut text = String::new();
    while !text.contains("event: advisories") {
        let frame = body.frame().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    assert!(text.contains("event: image"), "{text}");
    assert!(
        text.contains(r#""repository":"demo/web""#) && text.contains(r#""status":"unhealthy""#),
        "{text}"
    );
}
