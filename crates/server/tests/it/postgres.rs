//! The same server over PostgreSQL, and several over one.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::advisories::{export, record};
use crate::app::App;
use crate::cluster;
use crate::image::{Image, python, sha256};

#[tokio::test]
async fn a_push_is_judged_and_outlives_a_crash() {
    let Some(database) = cluster::database() else { return };
    let mut app = App::start_over(&database.url);
    let image = Image::of(&[python("shop", "1.0")]);
    app.push("team/shop", "1", &image).await;
    assert_eq!(app.findings("team/shop", &image.digest()).await.len(), 0);
    app.import(&export(app.dir(), &[record("PYSEC-1", "shop", "1.1")]));
    app.wait_for_findings("team/shop", &image.digest(), 1).await;

    app.crash_and_restart();
    let manifest = app.get("/v2/team/shop/manifests/1").await;
    assert_eq!(manifest.bytes().await.expect("a body"), image.manifest);
    assert_eq!(app.findings("team/shop", &image.digest()).await.len(), 1);
    assert!(!app.dir().join("data/lazaret.db").exists(), "nothing is kept in SQLite");
    app.delete("/v2/team/shop/manifests/1").await;
    assert_eq!(app.json("/v2/team/shop/tags/list").await["tags"], json!([]));
}

#[tokio::test]
async fn what_one_server_takes_another_gives() {
    let Some(database) = cluster::database() else { return };
    let first = App::start_over(&database.url);
    let second = first.start_beside();
    let image = Image::of(&[python("shop", "1.0"), python("till", "2.0")]);
    assert_eq!(first.push("team/shop", "1", &image).await.status(), StatusCode::CREATED);
    let manifest = second.get("/v2/team/shop/manifests/1").await;
    assert_eq!(manifest.bytes().await.expect("a body"), image.manifest);
    for blob in image.blobs() {
        let path = format!("/v2/team/shop/blobs/{}", blob.digest);
        assert_eq!(second.get(&path).await.bytes().await.expect("a body"), blob.bytes);
    }
    assert_eq!(
        second.image("team/shop", &image.digest()).await["scan"]["state"],
        "done",
        "what one inspected the other need not"
    );
    assert_eq!(second.layers_read().await, 0);
}

#[tokio::test]
async fn an_upload_begun_at_one_server_is_finished_at_another() {
    let Some(database) = cluster::database() else { return };
    let first = App::start_over(&database.url);
    let path = "/v2/team/shop/blobs/uploads/";
    let begun = first.request(Method::POST, path).send().await.expect("an answer");
    let location = begun.headers()["location"].to_str().expect("text").to_owned();
    let chunk = first.request(Method::PATCH, &location).body("one half, ");
    let sent = chunk.send().await.expect("an answer");
    assert_eq!(sent.status(), StatusCode::ACCEPTED);
    let location = sent.headers()["location"].to_str().expect("text").to_owned();

    // Its start leaves the uploads of the first alone.
    let second = first.start_beside();
    let bytes = b"one half, the other";
    let digest = sha256(bytes);
    let join = if location.contains('?') { '&' } else { '?' };
    let last = second.request(Method::PUT, &format!("{location}{join}digest={digest}"));
    let done = last.body("the other").send().await.expect("an answer");
    assert_eq!(done.status(), StatusCode::CREATED);
    let blob = first.get(&format!("/v2/team/shop/blobs/{digest}")).await;
    assert_eq!(&blob.bytes().await.expect("a body")[..], bytes);
    let gone = first.request(Method::GET, &location).send().await.expect("an answer");
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
}
