//! Imports between two servers of ours.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{App, PASSWORD, lazaret_with};
use crate::image::{Blob, INDEX, Image, MANIFEST, python, sha256};

const SIGNATURE: &str = "application/vnd.example.signature";

/// A server that may ask `source`.
fn beside(source: &App) -> App {
    App::start_with(&format!(
        "[upstream]\nlocal = [\"127.0.0.1\"]\nplain_http = [\"{}\"]\n",
        source.host()
    ))
}

fn login() -> Value {
    json!({ "username": "admin", "password": PASSWORD })
}

/// Asks for an import and waits for its end.
async fn import(app: &App, mut request: Value) -> Value {
    if request["credentials"].is_null() {
        request["credentials"] = login();
    }
    let answer = app.post("/api/v1/imports", &request).await;
    let status = answer.status();
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    app.wait_for_import(body["id"].as_str().expect("an id")).await
}

fn done(import: &Value) -> &str {
    assert_eq!(import["state"], "done", "{import}");
    import["digest"].as_str().expect("a digest")
}

fn failed(import: &Value) -> (&str, &str) {
    assert_eq!(import["state"], "failed", "{import}");
    let failure = &import["failure"];
    (failure["code"].as_str().expect("a code"), failure["message"].as_str().expect("words"))
}

/// An artifact about a manifest.
fn artifact(subject: &str, size: usize, text: &str) -> (Vec<u8>, Vec<Blob>) {
    let (empty, layer) = (Blob::of(b"{}"), Blob::of(text.as_bytes()));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": SIGNATURE,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": empty.digest, "size": 2 },
        "layers": [{ "mediaType": "text/plain", "digest": layer.digest, "size": text.len() }],
        "subject": { "mediaType": MANIFEST, "digest": subject, "size": size },
    });
    (manifest.to_string().into_bytes(), vec![empty, layer])
}

/// Two platforms, of which one has a signature by reference and one by
/// cosign's tag. Gives the index's digest.
async fn push_index(app: &App, repository: &str, tag: &str) -> (String, Image, Image) {
    let (amd64, arm64) = (Image::of(&[python("a", "1")]), Image::of(&[python("b", "1")]));
    let mut entries = Vec::new();
    for (image, architecture) in [(&amd64, "amd64"), (&arm64, "arm64")] {
        app.push(repository, &image.digest(), image).await;
        entries.push(json!({
            "mediaType": MANIFEST, "digest": image.digest(), "size": image.manifest.len(),
            "platform": { "os": "linux", "architecture": architecture }
        }));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    let index = index.to_string().into_bytes();
    let digest = sha256(&index);
    let answer = app.put_manifest(repository, tag, INDEX, index).await;
    assert_eq!(answer.status(), StatusCode::CREATED);

    let (signature, blobs) = artifact(&amd64.digest(), amd64.manifest.len(), "signed");
    for blob in &blobs {
        app.push_blob(repository, blob).await;
    }
    let reference = sha256(&signature);
    app.put_manifest(repository, &reference, MANIFEST, signature).await;
    let old = Image::of(&[python("cosign", "1")]);
    app.push(repository, &format!("{}.sig", arm64.digest().replace(':', "-")), &old).await;
    (digest, amd64, arm64)
}

async fn status(app: &App, path: &str) -> StatusCode {
    app.get(path).await.status()
}

async fn referrers(app: &App, repository: &str, digest: &str) -> usize {
    let list = app.json(&format!("/v2/{repository}/referrers/{digest}")).await;
    list["manifests"].as_array().expect("a list").len()
}

#[tokio::test]
async fn an_index_comes_with_its_platforms_and_signatures() {
    let source = App::start();
    let app = beside(&source);
    let (index, amd64, arm64) = push_index(&source, "team/multi", "1").await;
    let from = format!("{}/team/multi", source.host());
    let request =
        json!({ "source": format!("{from}:1"), "targets": ["copy/multi:one", "copy/other"] });
    let ended = import(&app, request).await;
    assert_eq!(done(&ended), index);
    assert_eq!(ended["progress"]["bytes"], ended["progress"]["bytesTotal"]);

    for (repository, tag) in [("copy/multi", "one"), ("copy/other", "1")] {
        let pulled = app.get(&format!("/v2/{repository}/manifests/{tag}")).await;
        assert_eq!(pulled.headers()["docker-content-digest"], *index);
        for image in [&amd64, &arm64] {
            let path = format!("/v2/{repository}/manifests/{}", image.digest());
            assert_eq!(status(&app, &path).await, StatusCode::OK);
        }
        for blob in amd64.blobs() {
            let path = format!("/v2/{repository}/blobs/{}", blob.digest);
            let bytes = app.get(&path).await.bytes().await.expect("a body");
            assert_eq!(sha256(&bytes), blob.digest);
        }
        assert_eq!(referrers(&app, repository, &amd64.digest()).await, 1);
        let tag = format!("{}.sig", arm64.digest().replace(':', "-"));
        assert_eq!(
            status(&app, &format!("/v2/{repository}/manifests/{tag}")).await,
            StatusCode::OK
        );
    }
    // Inspected like a push, and said to be an import.
    app.wait_for_scan("copy/multi", &amd64.digest()).await;
}

#[tokio::test]
async fn a_chosen_platform_leaves_the_index_as_it_is() {
    let source = App::start();
    let app = beside(&source);
    let (index, amd64, arm64) = push_index(&source, "multi", "1").await;
    let from = format!("{}/multi:1", source.host());
    let request = |platform: &str| {
        json!({
            "source": from, "targets": ["multi:1"], "platforms": [platform], "referrers": false
        })
    };
    let ended = import(&app, request("linux/riscv64")).await;
    let (code, message) = failed(&ended);
    assert_eq!(code, "no_platform");
    assert!(message.contains("linux/amd64, linux/arm64"), "{message}");

    let ended = import(&app, request("linux/arm64")).await;
    assert_eq!(done(&ended), index, "the index is the same, with gaps");
    let manifest = |image: &Image| format!("/v2/multi/manifests/{}", image.digest());
    assert_eq!(status(&app, &manifest(&arm64)).await, StatusCode::OK);
    assert_eq!(status(&app, &manifest(&amd64)).await, StatusCode::NOT_FOUND);
    let tag = format!("/v2/multi/manifests/{}.sig", arm64.digest().replace(':', "-"));
    assert_eq!(status(&app, &tag).await, StatusCode::NOT_FOUND, "referrers were left behind");
}

#[tokio::test]
async fn a_tag_moves_only_by_force() {
    let source = App::start();
    let app = beside(&source);
    let (old, new) = (Image::of(&[python("a", "1")]), Image::of(&[python("a", "2")]));
    source.push("app", "new", &new).await;
    app.push("app", "1", &old).await;
    let request = json!({
        "source": format!("{}/app:new", source.host()), "targets": ["app:1"], "credentials": login()
    });
    let refused = app.post("/api/v1/imports", &request).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let problem: Value = refused.json().await.expect("JSON");
    assert!(problem["detail"].as_str().expect("words").contains("app:1 exists"), "{problem}");

    let mut forced = request.clone();
    forced["force"] = json!(true);
    assert_eq!(done(&import(&app, forced).await), new.digest());
    let pulled = app.get("/v2/app/manifests/1").await;
    assert_eq!(pulled.headers()["docker-content-digest"], new.digest());
}

#[tokio::test]
async fn by_digest_there_is_no_tag_and_errors_keep_the_sources_words() {
    let source = App::start();
    let app = beside(&source);
    let image = Image::of(&[python("a", "1")]);
    source.push("app", "1", &image).await;
    let at = |rest: &str| format!("{}/app{rest}", source.host());
    let by_digest = json!({ "source": at(&format!("@{}", image.digest())), "targets": ["x/app"] });
    assert_eq!(done(&import(&app, by_digest).await), image.digest());
    assert_eq!(app.json("/v2/x/app/tags/list").await["tags"], json!([]));

    let missing = import(&app, json!({ "source": at(":2"), "targets": ["x/app"] })).await;
    let (code, message) = failed(&missing);
    assert_eq!(code, "source_not_found");
    assert!(message.contains("MANIFEST_UNKNOWN"), "{message}");

    let wrong = json!({ "username": "admin", "password": "wrong" });
    let wrong = json!({ "source": at(":1"), "targets": ["x/app"], "credentials": wrong });
    let refused = import(&app, wrong).await;
    assert_eq!(failed(&refused).0, "source_unauthorized");
}

#[tokio::test]
async fn a_server_does_not_ask_itself_unless_told_so() {
    let source = App::start();
    let app = App::start();
    let request = json!({ "source": format!("{}/app:1", source.host()), "targets": ["app:1"] });
    let ended = import(&app, request).await;
    let (code, message) = failed(&ended);
    assert_eq!(code, "source_not_allowed");
    assert!(message.contains("upstream.local"), "{message}");
}

#[tokio::test]
async fn an_import_survives_a_kill() {
    let source = App::start();
    let mut app = beside(&source);
    let image = Image::of(&[python("a", "1"), python("b", "1")]);
    source.push("app", "1", &image).await;
    // The source is held up, so that the import is under way when the server dies.
    source.pause();
    let request = json!({
        "source": format!("{}/app:1", source.host()), "targets": ["app:1"], "credentials": login()
    });
    let body: Value = app.post("/api/v1/imports", &request).await.json().await.expect("JSON");
    let id = body["id"].as_str().expect("an id").to_owned();
    app.wait_for(&format!("/api/v1/imports/{id}"), |import| import["state"] == "running").await;
    app.crash_and_restart();
    source.resume();
    let ended = app.wait_for_import(&id).await;
    assert_eq!(done(&ended), image.digest());
    assert_eq!(app.json("/v2/app/tags/list").await["tags"], json!(["1"]));
}

#[tokio::test]
async fn the_command_line_watches_an_import() {
    let source = App::start();
    let app = beside(&source);
    let image = Image::of(&[python("a", "1")]);
    source.push("app", "1", &image).await;
    let from = format!("{}/app:1", source.host());
    let run = |target: &str| {
        let server = format!("http://{}", app.host());
        let arguments = [
            "import",
            &from,
            target,
            "--server",
            &server,
            "--username",
            "admin",
            "--password-stdin",
        ];
        let environment = [("LAZARET_USER", "admin"), ("LAZARET_PASSWORD", PASSWORD)];
        lazaret_with(&arguments, &environment, PASSWORD)
    };
    let output = run("copy/app:2");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["digest"], image.digest());

    app.push("copy/app", "3", &Image::of(&[python("other", "1")])).await;
    let output = run("copy/app:3");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3));
    assert!(text.contains("force the import"), "{text}");
}

#[tokio::test]
async fn azure_imports_as_a_long_running_operation() {
    let source = App::start();
    let app = beside(&source);
    let image = Image::of(&[python("a", "1")]);
    source.push("app", "1", &image).await;
    let subscription =
        app.json("/subscriptions?api-version=2020-01-01").await["value"][0]["id"].clone();
    let registry = format!(
        "{}/resourceGroups/default/providers/Microsoft.ContainerRegistry/registries/main",
        subscription.as_str().expect("an id")
    );
    let path = format!("{registry}/importImage?api-version=2019-05-01");
    let request = json!({
        "source": {
            "registryUri": source.host(), "sourceImage": "app:1",
            "credentials": { "username": "admin", "password": PASSWORD }
        },
        "targetTags": ["hello:v1"], "untaggedTargetRepositories": ["plain"], "mode": "NoForce"
    });
    let begun = app.post(&path, &request).await;
    assert_eq!(begun.status(), StatusCode::ACCEPTED);
    let address = |name: &str| {
        let text = begun.headers()[name].to_str().expect("text").to_owned();
        text.strip_prefix(&format!("http://{}", app.host())).expect("an address here").to_owned()
    };
    app.wait_for(&address("azure-asyncoperation"), |s| s["status"] == "Succeeded").await;
    assert_eq!(status(&app, &address("location")).await, StatusCode::OK);
    let pulled = app.get("/v2/hello/manifests/v1").await;
    assert_eq!(pulled.headers()["docker-content-digest"], image.digest());
    let plain = format!("/v2/plain/manifests/{}", image.digest());
    assert_eq!(status(&app, &plain).await, StatusCode::OK);

    let clash = app.post(&path, &request).await;
    assert_eq!(clash.status(), StatusCode::CONFLICT);
    let body: Value = clash.json().await.expect("JSON");
    assert_eq!(body["error"]["code"], "Conflict", "{body}");

    // The same image again, now from this registry itself.
    let request = json!({
        "source": { "resourceId": registry, "sourceImage": format!("hello@{}", image.digest()) },
        "targetTags": ["again:v1"]
    });
    let begun = app.post(&path, &request).await;
    let location = begun.headers()["location"].to_str().expect("text").to_owned();
    let location =
        location.strip_prefix(&format!("http://{}", app.host())).expect("here").to_owned();
    app.wait_until(|| async { status(&app, &location).await == StatusCode::OK }).await;
    assert_eq!(status(&app, "/v2/again/manifests/v1").await, StatusCode::OK);

    let request = json!({
        "source": {
            "registryUri": source.host(), "sourceImage": "app:missing",
            "credentials": { "username": "admin", "password": PASSWORD }
        },
        "targetTags": ["hello:v2"]
    });
    let begun = app.post(&path, &request).await;
    let location = begun.headers()["location"].to_str().expect("text").to_owned();
    let location =
        location.strip_prefix(&format!("http://{}", app.host())).expect("here").to_owned();
    app.wait_until(|| async { status(&app, &location).await == StatusCode::BAD_REQUEST }).await;
    let body: Value = app.get(&location).await.json().await.expect("JSON");
    assert_eq!(body["error"]["code"], "SourceImageNotFound", "{body}");
    assert!(
        body["error"]["message"].as_str().expect("words").contains("MANIFEST_UNKNOWN"),
        "{body}"
    );
}
