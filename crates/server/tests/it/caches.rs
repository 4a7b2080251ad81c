//! Repositories that are copies of another server of ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::response::Response;
use reqwest::{Client, StatusCode, redirect};
use serde_json::{Value, json};

use crate::app::{App, PASSWORD, image_path};
use crate::image::{INDEX, Image, MANIFEST, python, sha256};
use crate::objects::settings;
use crate::upstream_fake::{Fake, answer};
use crate::{object_servers, upstream_fake};

/// A server with these settings whose `hub/*` is `team/*` of the registry at
/// `host`.
async fn cache_at(host: &str, ttl_secs: u64, settings: &str) -> App {
    let app = App::start_with(&format!(
        "{settings}\n[upstream]\nlocal = [\"127.0.0.1\"]\nplain_http = [\"{host}\"]\ncache_tag_ttl_secs = {ttl_secs}\n"
    ));
    let set = json!({ "loginServer": host, "username": "admin", "password": PASSWORD });
    let answer = app.put("/api/v1/credentialSets/there", &set).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let rule = json!({
        "name": "hub", "sourceRepository": format!("{host}/team/*"),
        "targetRepository": "hub/*", "credentialSet": "there"
    });
    let answer = app.post("/api/v1/cacheRules", &rule).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    app
}

/// A server whose `hub/*` is `team/*` of `source`.
async fn cache_of(source: &App, ttl_secs: u64) -> App {
    cache_at(source.host(), ttl_secs, "").await
}

/// A registry with one image, `team/app:1`, that answers in another way as long
/// as `spoilt` says.
async fn fake(
    image: &Arc<Image>,
    spoilt: &Arc<AtomicBool>,
    instead: impl Fn(&str) -> Option<Response> + Send + Sync + 'static,
) -> Fake {
    let (image, spoilt) = (Arc::clone(image), Arc::clone(spoilt));
    Fake::start(move |asked: &upstream_fake::Asked, _| {
        let path = asked.line.split_once(' ').map_or("", |(_, path)| path);
        if let Some(instead) = instead(path).filter(|_| spoilt.load(Ordering::SeqCst)) {
            return instead;
        }
        let digest = image.digest();
        if path == "/v2/team/app/manifests/1" || path.ends_with(&digest) {
            let headers = [("content-type", MANIFEST), ("docker-content-digest", &digest)];
            return answer(200, &headers, image.manifest.clone());
        }
        match image.blobs().into_iter().find(|blob| path.ends_with(&blob.digest)) {
            Some(blob) => answer(200, &[], blob.bytes.clone()),
            None => answer(404, &[], r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"?"}]}"#),
        }
    })
    .await
}

/// Pulls as clients do: the tag, then every blob.
async fn pull(app: &App, image: &Image) {
    let manifest = app.get("/v2/hub/app/manifests/1").await;
    assert_eq!(manifest.status(), StatusCode::OK);
    assert_eq!(manifest.headers()["content-type"], MANIFEST);
    let bytes = manifest.bytes().await.expect("a body");
    assert_eq!(sha256(&bytes), image.digest());
    for blob in image.blobs() {
        let answer = app.get(&format!("/v2/hub/app/blobs/{}", blob.digest)).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let bytes = answer.bytes().await.expect("a whole body");
        assert_eq!(sha256(&bytes), blob.digest);
    }
}

/// Waits until an image that is fetched in the background is here and inspected.
async fn inspected(app: &App, repository: &str, digest: &str) {
    app.wait_until(|| async {
        app.get(&image_path(repository, digest)).await.status() == StatusCode::OK
    })
    .await;
    app.wait_for_scan(repository, digest).await;
}

#[tokio::test]
async fn many_who_pull_at_once_make_one_request_for_each_thing() {
    let source = App::start();
    let image = Image::of(&[python("a", "1"), python("b", "1")]);
    source.push("team/app", "1", &image).await;
    let app = cache_of(&source, 600).await;
    let before = source.gets_answered().await;
    futures::future::join_all((0..50).map(|_| pull(&app, &image))).await;
    let expected = 1 + image.blobs().len() as u64;
    assert_eq!(source.gets_answered().await - before, expected, "a manifest and its blobs");

    // Inspected like a push once it is all here, and tagged.
    inspected(&app, "hub/app", &image.digest()).await;
    assert_eq!(app.json("/v2/hub/app/tags/list").await["tags"], json!(["1"]));
    let sets = app.json("/api/v1/credentialSets").await;
    assert!(!sets.to_string().contains(PASSWORD), "{sets}");
}

#[tokio::test]
async fn what_is_here_is_served_when_upstream_is_not_there() {
    let mut source = App::start();
    let image = Image::of(&[python("a", "1")]);
    source.push("team/app", "1", &image).await;
    let app = cache_of(&source, 0).await;
    pull(&app, &image).await;
    inspected(&app, "hub/app", &image.digest()).await;
    let fresh = app.get("/v2/hub/app/manifests/1").await;
    assert!(!fresh.headers().contains_key("warning"));

    source.end();
    pull(&app, &image).await;
    let stale = app.get("/v2/hub/app/manifests/1").await;
    let warning = stale.headers()["warning"].to_str().expect("text").to_owned();
    assert!(
        warning.contains("may be out of date") && warning.contains("cannot reach"),
        "{warning}"
    );
    let by_digest = app.get(&format!("/v2/hub/app/manifests/{}", image.digest())).await;
    assert_eq!(by_digest.status(), StatusCode::OK);
    assert!(!by_digest.headers().contains_key("warning"), "a digest is never out of date");
    let unknown = app.get("/v2/hub/app/manifests/2").await;
    assert_eq!(unknown.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_tag_is_checked_once_within_its_ttl() {
    let source = App::start();
    let (old, new) = (Image::of(&[python("a", "1")]), Image::of(&[python("a", "2")]));
    source.push("team/app", "1", &old).await;
    let (patient, eager) = (cache_of(&source, 600).await, cache_of(&source, 0).await);
    for app in [&patient, &eager] {
        pull(app, &old).await;
    }
    source.push("team/app", "1", &new).await;
    pull(&eager, &new).await;
    pull(&patient, &old).await;
    inspected(&eager, "hub/app", &new.digest()).await;
}

#[tokio::test]
async fn an_index_is_filled_by_the_platforms_that_are_pulled() {
    let source = App::start();
    let (one, other) = (Image::of(&[python("a", "1")]), Image::of(&[python("b", "1")]));
    let mut entries = Vec::new();
    for (image, architecture) in [(&one, "amd64"), (&other, "arm64")] {
        source.push("team/multi", &image.digest(), image).await;
        entries.push(json!({
            "mediaType": MANIFEST, "digest": image.digest(), "size": image.manifest.len(),
            "platform": { "os": "linux", "architecture": architecture }
        }));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
    source.put_manifest("team/multi", "1", INDEX, index.clone().into_bytes()).await;
    let app = cache_of(&source, 600).await;
    // As a mirror's client asks: by the other registry's name for it.
    let path = format!("/v2/team/multi/manifests/1?ns={}", source.host());
    let answer = app.get(&path).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.text().await.expect("text"), index);
    let platform = app.get(&format!("/v2/hub/multi/manifests/{}", one.digest())).await;
    assert_eq!(platform.status(), StatusCode::OK);
    inspected(&app, "hub/multi", &one.digest()).await;
    assert_eq!(app.json("/v2/hub/multi/tags/list").await["tags"], json!(["1"]));
}

#[tokio::test]
async fn a_copy_takes_no_pushes_and_rules_say_what_is_wrong_with_them() {
    let source = App::start();
    let app = cache_of(&source, 600).await;
    let image = Image::of(&[python("a", "1")]);
    let refused = app.put_manifest("hub/app", "1", MANIFEST, image.manifest.clone()).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let body: Value = refused.json().await.expect("JSON");
    assert!(body["errors"][0]["message"].as_str().expect("words").contains("rule hub"), "{body}");
    let import =
        json!({ "source": format!("{}/team/app:1", source.host()), "targets": ["hub/app"] });
    assert_eq!(app.post("/api/v1/imports", &import).await.status(), StatusCode::FORBIDDEN);

    let unknown = app.get("/v2/hub/nothing/manifests/1").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let unknown = app.get(&format!("/v2/hub/app/blobs/{}", sha256(b"not there"))).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert!(unknown.text().await.expect("text").contains("BLOB_UNKNOWN"));

    let check = async |source: &str, target: &str, expected: StatusCode| {
        let rule =
            json!({ "name": "other", "sourceRepository": source, "targetRepository": target });
        let answer = app.post("/api/v1/cacheRules", &rule).await;
        assert_eq!(answer.status(), expected, "{source} {target}");
    };
    check("docker.io/library/*", "hub", StatusCode::BAD_REQUEST).await;
    check("library/*", "x/*", StatusCode::BAD_REQUEST).await;
    check("docker.io/library/*", "hub/*", StatusCode::CONFLICT).await;
    check("docker.io/library/*", "x/*", StatusCode::CREATED).await;
}

#[tokio::test]
async fn a_throttled_upstream_is_no_error_for_what_is_here() {
    let (image, spoilt) = (Arc::new(Image::of(&[python("a", "1")])), Arc::default());
    let throttled = |_: &str| {
        let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]}"#;
        Some(answer(429, &[("retry-after", "30")], body))
    };
    let source = fake(&image, &spoilt, throttled).await;
    let app = cache_at(&source.address.to_string(), 0, "").await;
    pull(&app, &image).await;
    inspected(&app, "hub/app", &image.digest()).await;

    spoilt.store(true, Ordering::SeqCst);
    pull(&app, &image).await;
    let stale = app.get("/v2/hub/app/manifests/1").await;
    let warning = stale.headers()["warning"].to_str().expect("text").to_owned();
    assert!(warning.contains("may be out of date"), "{warning}");
    let unknown = app.get("/v2/hub/app/manifests/2").await;
    assert_eq!(unknown.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(unknown.headers()["retry-after"], "30");
    let unknown = app.get(&format!("/v2/hub/app/blobs/{}", sha256(b"not here"))).await;
    assert_eq!(unknown.status(), StatusCode::TOO_MANY_REQUESTS);
    let unknown = unknown.text().await.expect("text");
    assert!(unknown.contains("pull rate limit"), "upstream's words: {unknown}");
}

#[tokio::test]
async fn what_has_another_digest_is_neither_handed_out_whole_nor_kept() {
    let (image, spoilt) = (Arc::new(Image::of(&[python("a", "1")])), Arc::default());
    let layer = image.blobs().into_iter().next_back().expect("a layer").clone();
    let mut wrong = layer.bytes.clone();
    wrong[20] ^= 1;
    let digest = layer.digest.clone();
    let source = fake(&image, &spoilt, move |path| {
        path.ends_with(&digest).then(|| answer(200, &[], wrong.clone()))
    })
    .await;
    let app = cache_at(&source.address.to_string(), 600, "").await;
    spoilt.store(true, Ordering::SeqCst);
    let path = format!("/v2/hub/app/blobs/{}", layer.digest);
    for _ in 0..2 {
        assert_eq!(app.get("/v2/hub/app/manifests/1").await.status(), StatusCode::OK);
        let spoilt = app.get(&path).await;
        // The length is upstream's: the end of the body is what is missing.
        let received = spoilt.bytes().await;
        assert!(received.is_err(), "{received:?}");
        let tags = app.get("/v2/hub/app/tags/list").await.text().await.expect("text");
        assert!(!tags.contains("\"1\""), "an image without its layer is not one: {tags}");
    }
    spoilt.store(false, Ordering::SeqCst);
    pull(&app, &image).await;

    // A manifest that is not what its digest says.
    let other = Image::of(&[python("b", "1")]);
    let (manifest, digest) = (other.manifest.clone(), sha256(b"something else"));
    let asked = digest.clone();
    let always = Arc::new(AtomicBool::new(true));
    let source = fake(&image, &always, move |path| {
        let headers = [("content-type", MANIFEST), ("docker-content-digest", asked.as_str())];
        path.ends_with(&asked).then(|| answer(200, &headers, manifest.clone()))
    })
    .await;
    let app = cache_at(&source.address.to_string(), 600, "").await;
    let refused = app.get(&format!("/v2/hub/app/manifests/{digest}")).await;
    assert_eq!(refused.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn clients_are_sent_to_the_object_store_for_what_it_has() {
    let Some(server) = object_servers::s3() else { return };
    let source = App::start();
    let image = Image::of(&[python("a", "1")]);
    source.push("team/app", "1", &image).await;
    let app = cache_at(source.host(), 600, &settings(&server, true)).await;
    let client = Client::builder().redirect(redirect::Policy::none()).build().expect("a client");
    for blob in image.blobs() {
        for expected in [StatusCode::OK, StatusCode::TEMPORARY_REDIRECT] {
            let path = format!("{}/v2/hub/app/blobs/{}", app.url(), blob.digest);
            let request = client.get(path).basic_auth("admin", Some(PASSWORD));
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), expected);
            if expected == StatusCode::OK {
                assert_eq!(sha256(&answer.bytes().await.expect("a body")), blob.digest);
            }
        }
    }
    pull(&app, &image).await;
    inspected(&app, "hub/app", &image.digest()).await;
}

#[tokio::test]
async fn what_is_locked_for_readers_is_not_handed_out_from_upstream_either() {
    let source = App::start();
    let image = Image::of(&[python("a", "1")]);
    source.push("team/app", "1", &image).await;
    let app = cache_of(&source, 600).await;
    pull(&app, &image).await;
    inspected(&app, "hub/app", &image.digest()).await;
    let lock = Client::new()
        .patch(format!("{}/acr/v1/hub%2Fapp/_manifests/{}", app.url(), image.digest()))
        .basic_auth("admin", Some(PASSWORD))
        .json(&json!({ "readEnabled": false }));
    assert_eq!(lock.send().await.expect("an answer").status(), StatusCode::OK);
    for reference in ["1", &image.digest()] {
        let refused = app.get(&format!("/v2/hub/app/manifests/{reference}")).await;
        assert!(refused.status().is_client_error(), "{reference}: {}", refused.status());
        assert!(refused.text().await.expect("text").contains("readEnabled"), "{reference}");
    }
}
