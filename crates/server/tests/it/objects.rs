//! A server whose blobs are in an object store.

use bytes::Bytes;
use futures::StreamExt;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};

use crate::advisories::{export, record};
use crate::app::{App, PASSWORD};
use crate::image::{Image, python, sha256};
use crate::object_servers::{self, Server};
use crate::push::in_force;

/// Larger than a part, with bytes that a misplaced piece would not keep.
fn large() -> Bytes {
    (0..5_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

/// Blobs in this store; with `redirect` clients fetch them there.
pub fn settings(server: &Server, redirect: bool) -> String {
    let at = &server.settings;
    let options = at.options.0.iter().map(|(name, value)| format!("{name} = {value:?}\n"));
    format!(
        "[content]\nurl = \"s3://{}/{}\"\nendpoint = {:?}\nallow_http = true\nredirect = {redirect}\n[content.options]\n{}",
        at.container,
        at.prefix,
        at.endpoint.as_deref().unwrap_or_default(),
        options.collect::<String>()
    )
}

fn request(app: &App, method: Method, path: &str) -> RequestBuilder {
    let client = Client::builder().redirect(redirect::Policy::none()).build().expect("a client");
    client.request(method, format!("{}{path}", app.url())).basic_auth("admin", Some(PASSWORD))
}

async fn sent(request: RequestBuilder, expected: StatusCode) -> Response {
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    if status != expected {
        panic!("{status}, expected {expected}: {}", answer.text().await.unwrap_or_default());
    }
    answer
}

fn header(answer: &Response, name: &str) -> String {
    answer.headers()[name].to_str().expect("text").to_owned()
}

async fn begin(app: &App, repository: &str) -> String {
    let begun = request(app, Method::POST, &format!("/v2/{repository}/blobs/uploads/"));
    header(&sent(begun, StatusCode::ACCEPTED).await, "location")
}

async fn finish(app: &App, location: &str, digest: &str) {
    let put = request(app, Method::PUT, &format!("{location}?digest={digest}"));
    sent(put, StatusCode::CREATED).await;
}

/// Bytes of the upload that are safe.
async fn safe(app: &App, location: &str) -> usize {
    let status = sent(request(app, Method::GET, location), StatusCode::NO_CONTENT).await;
    let range = header(&status, "range");
    let last: usize = range.strip_prefix("0-").and_then(|l| l.parse().ok()).expect("a range");
    if last == 0 { 0 } else { last + 1 }
}

async fn assert_pulled(app: &App, path: &str, bytes: &Bytes) {
    let whole = sent(request(app, Method::GET, path), StatusCode::OK).await;
    assert!(whole.bytes().await.expect("a body") == *bytes, "the blob is what was pushed");
    let part = request(app, Method::GET, path).header("range", "bytes=8388600-8388620");
    let part = sent(part, StatusCode::PARTIAL_CONTENT).await;
    assert_eq!(part.bytes().await.expect("a body"), bytes.slice(8_388_600..8_388_621));
}

#[tokio::test]
async fn a_push_is_kept_and_judged_as_on_files() {
    let Some(server) = object_servers::s3() else { return };
    let app = App::start_with(&settings(&server, false));
    app.import(&export(app.dir(), &[record("PYSEC-1", "shop", "1.1")]));
    in_force(&app).await;
    let image = Image::of(&[python("shop", "1.0")]);
    let answer = app.push("team/shop", "1", &image).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let warning = answer.headers()["warning"].to_str().expect("text").to_owned();
    assert!(warning.starts_with("299 - \"1 findings: 1 critical"), "{warning}");
    for blob in image.blobs() {
        let read = app.get(&format!("/v2/team/shop/blobs/{}", blob.digest)).await;
        assert_eq!(read.bytes().await.expect("a body"), blob.bytes);
    }

    let (bytes, location) = (large(), begin(&app, "team/shop").await);
    let patch = request(&app, Method::PATCH, &location).body(bytes.clone());
    sent(patch, StatusCode::ACCEPTED).await;
    finish(&app, &location, &sha256(&bytes)).await;
    assert_pulled(&app, &format!("/v2/team/shop/blobs/{}", sha256(&bytes)), &bytes).await;
}

#[tokio::test]
async fn an_upload_goes_on_after_the_server_was_killed() {
    let Some(server) = object_servers::s3() else { return };
    let mut app = App::start_with(&settings(&server, false));
    let (bytes, location) = (large(), begin(&app, "a").await);
    let acknowledged = 9_000_000;
    let patch = request(&app, Method::PATCH, &location).body(bytes.slice(..acknowledged));
    sent(patch, StatusCode::ACCEPTED).await;
    app.crash_and_restart();
    assert_eq!(safe(&app, &location).await, acknowledged, "what was acknowledged is there");

    // In the middle of a body that never ends.
    let rest = bytes.slice(acknowledged..acknowledged + 9_500_000);
    let (taken, all_taken) = tokio::sync::oneshot::channel();
    let endless = futures::stream::iter([Ok::<_, std::io::Error>(rest)]).chain(
        futures::stream::once(async move {
            let _ = taken.send(());
            std::future::pending().await
        }),
    );
    let body = reqwest::Body::wrap_stream(endless);
    let stalled = tokio::spawn(request(&app, Method::PATCH, &location).body(body).send());
    all_taken.await.expect("the body is read");
    app.crash_and_restart();
    assert!(stalled.await.expect("no panic").is_err(), "the connection broke");
    let kept = safe(&app, &location).await;
    assert!(kept >= acknowledged && kept <= acknowledged + 9_500_000, "{kept}");

    let patch = request(&app, Method::PATCH, &location)
        .header("content-range", format!("{kept}-{}", bytes.len() - 1))
        .body(bytes.slice(kept..));
    sent(patch, StatusCode::ACCEPTED).await;
    finish(&app, &location, &sha256(&bytes)).await;
    let path = format!("/v2/a/blobs/{}", sha256(&bytes));
    assert_pulled(&app, &path, &bytes).await;
    app.crash_and_restart();
    assert_pulled(&app, &path, &bytes).await;
}

#[tokio::test]
async fn whole_blobs_are_fetched_from_the_store_where_that_is_wanted() {
    let Some(server) = object_servers::s3() else { return };
    let app = App::start_with(&settings(&server, true));
    for bytes in [large(), Bytes::from_static(b"small")] {
        let (digest, location) = (sha256(&bytes), begin(&app, "a").await);
        let put = request(&app, Method::PUT, &format!("{location}?digest={digest}"));
        sent(put.body(bytes.clone()), StatusCode::CREATED).await;
        let path = format!("/v2/a/blobs/{digest}");

        let sent_on = sent(request(&app, Method::GET, &path), StatusCode::TEMPORARY_REDIRECT).await;
        assert_eq!(header(&sent_on, "docker-content-digest"), digest);
        assert_eq!(header(&sent_on, "cache-control"), "no-store");
        let address = header(&sent_on, "location");
        assert!(address.starts_with(server.settings.endpoint.as_deref().unwrap_or("?")));
        let fetched = sent(Client::new().get(&address), StatusCode::OK).await;
        assert!(fetched.bytes().await.expect("a body") == bytes, "without an account of ours");

        let head = sent(request(&app, Method::HEAD, &path), StatusCode::OK).await;
        assert_eq!(header(&head, "content-length"), bytes.len().to_string());
        let part = request(&app, Method::GET, &path).header("range", "bytes=1-3");
        let part = sent(part, StatusCode::PARTIAL_CONTENT).await;
        assert_eq!(part.bytes().await.expect("a body"), bytes.slice(1..4));
    }
    let missing = format!("/v2/a/blobs/{}", sha256(b"never pushed"));
    sent(request(&app, Method::GET, &missing), StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn a_store_that_is_gone_is_said_and_not_passed_over() {
    let Some(server) = object_servers::s3() else { return };
    let app = App::start_with(&settings(&server, false));
    let bytes = Bytes::from_static(b"here before");
    let (digest, location) = (sha256(&bytes), begin(&app, "a").await);
    let put = request(&app, Method::PUT, &format!("{location}?digest={digest}")).body(bytes);
    sent(put, StatusCode::CREATED).await;
    drop(server);
    let begun = request(&app, Method::POST, "/v2/a/blobs/uploads/");
    let answer = sent(begun, StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(answer.headers().contains_key("retry-after"));
    // What needs no bytes still answers.
    sent(request(&app, Method::HEAD, &format!("/v2/a/blobs/{digest}")), StatusCode::OK).await;
}
