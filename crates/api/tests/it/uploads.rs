//! Every way a blob can arrive.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{Method, StatusCode};
use oci::{Algorithm, Digest};
use registry::UPLOAD_AGE_MAX;
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt;

use crate::app::{Answer, PASSWORD, TestApp, basic};

async fn begin(app: &TestApp) -> String {
    let answer = app.post("/v2/a/blobs/uploads/").await.expect(StatusCode::ACCEPTED);
    assert_eq!(answer.header("range"), "0-0");
    assert!(answer.header("location").starts_with("/v2/a/blobs/uploads/"), "relative");
    assert!(answer.header("location").ends_with(answer.header("docker-upload-uuid")));
    answer.header("location").to_owned()
}

async fn patch(app: &TestApp, upload: &str, range: &str, body: &'static str) -> Answer {
    let request = app.request(Method::PATCH, upload).header("content-range", range);
    request.body(body).send().await
}

async fn put(app: &TestApp, upload: &str, digest: &Digest, body: &'static str) -> Answer {
    app.request(Method::PUT, format!("{upload}?digest={digest}")).body(body).send().await
}

async fn check_stored(app: &TestApp, digest: &Digest, expected: &str) {
    let answer = app.get(format!("/v2/a/blobs/{digest}")).await.expect(StatusCode::OK);
    assert_eq!(answer.body, expected);
}

#[tokio::test]
async fn at_once_with_post_or_with_put() {
    let app = TestApp::start().await;
    for algorithm in Algorithm::ALL {
        let digest = Digest::of(algorithm, b"at once");
        let path = format!("/v2/a/blobs/uploads/?digest={digest}");
        let answer = app
            .request(Method::POST, path)
            .body("at once")
            .send()
            .await
            .expect(StatusCode::CREATED);
        assert_eq!(answer.header("location"), format!("/v2/a/blobs/{digest}"));
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        check_stored(&app, &digest, "at once").await;
    }
    assert_eq!(app.events.take()[..4], ["started", "grew 7", "committed 7", "started"]);
    // Not announced: the file is read once more at the end.
    let (upload, digest) = (begin(&app).await, Digest::of(Algorithm::Sha512, b"put"));
    put(&app, &upload, &digest, "put").await.expect(StatusCode::CREATED);
    check_stored(&app, &digest, "put").await;
    // Announced.
    let upload =
        app.post("/v2/a/blobs/uploads/?digest-algorithm=sha512").await.expect(StatusCode::ACCEPTED);
    let digest = Digest::of(Algorithm::Sha512, b"");
    put(&app, upload.header("location"), &digest, "").await.expect(StatusCode::CREATED);
    app.post("/v2/a/blobs/uploads/?digest-algorithm=md5").await.refused(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn in_chunks_that_must_fit() {
    let app = TestApp::start().await;
    let upload = begin(&app).await;
    let answer = patch(&app, &upload, "0-3", "abcd").await.expect(StatusCode::ACCEPTED);
    assert_eq!(answer.header("range"), "0-3");
    let answer = patch(&app, &upload, "6-7", "gh").await.refused(416, "BLOB_UPLOAD_INVALID");
    assert_eq!((answer.header("range"), answer.header("location")), ("0-3", upload.as_str()));
    patch(&app, &upload, "0-3", "abcd").await.refused(416, "BLOB_UPLOAD_INVALID");
    patch(&app, &upload, "4-7", "efg").await.refused(400, "SIZE_INVALID");
    patch(&app, &upload, "bytes 4-7/8", "efgh").await.refused(400, "BLOB_UPLOAD_INVALID");
    let answer = app.get(&upload).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(answer.header("range"), "0-3", "nothing of it was kept");
    let digest = Digest::sha256(b"abcdefgh");
    let last = app
        .request(Method::PUT, format!("{upload}?digest={digest}"))
        .header("content-range", "4-7");
    last.body("efgh").send().await.expect(StatusCode::CREATED);
    check_stored(&app, &digest, "abcdefgh").await;
    app.get(&upload).await.expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn as_a_stream_of_unknown_length() {
    let app = TestApp::start().await;
    let upload = begin(&app).await;
    // Larger than a batch, in pieces that do not divide it.
    let piece = Bytes::from(vec![7; 300_001]);
    let pieces = stream::iter((0..10).map({
        let piece = piece.clone();
        move |_| Ok::<_, std::io::Error>(piece.clone())
    }));
    let answer = app.request(Method::PATCH, &upload).body(Body::from_stream(pieces)).send().await;
    assert_eq!(answer.expect(StatusCode::ACCEPTED).header("range"), "0-3000009");
    let whole = piece.repeat(10);
    let digest = Digest::sha256(&whole);
    put(&app, &upload, &digest, "").await.expect(StatusCode::CREATED);
    assert_eq!(app.get(format!("/v2/a/blobs/{digest}")).await.body, whole);
}

#[tokio::test]
async fn what_broke_off_can_go_on() {
    let app = TestApp::start().await;
    let upload = begin(&app).await;
    let head = format!(
        "PATCH {upload} HTTP/1.1\r\nhost: {0}\r\nauthorization: {1}\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        app.address,
        basic("admin", PASSWORD)
    );
    let mut stream = tokio::net::TcpStream::connect(app.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // The cable is pulled.
    drop(stream);
    // The server notices in its own time; an honest client asks until it has.
    let digest = Digest::sha256(b"half and half");
    let go_on = async {
        loop {
            let answer = patch(&app, &upload, "4-12", " and half").await;
            if answer.status == StatusCode::ACCEPTED {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), go_on).await.unwrap();
    assert_eq!(answer.expect(StatusCode::ACCEPTED).header("range"), "0-12");
    put(&app, &upload, &digest, "").await.expect(StatusCode::CREATED);
    check_stored(&app, &digest, "half and half").await;
}

#[tokio::test]
async fn what_is_not_what_was_claimed_is_dropped() {
    let app = TestApp::start().await;
    let (upload, digest) = (begin(&app).await, Digest::sha256(b"claimed"));
    put(&app, &upload, &digest, "actual").await.refused(400, "DIGEST_INVALID");
    app.get(&upload).await.expect(StatusCode::NOT_FOUND);
    app.get(format!("/v2/a/blobs/{digest}")).await.refused(404, "BLOB_UNKNOWN");
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    app.request(Method::POST, path).body("actual").send().await.refused(400, "DIGEST_INVALID");
    for bad in ["sha256:0", "nothing", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
        let upload = begin(&app).await;
        app.request(Method::PUT, format!("{upload}?digest={bad}"))
            .send()
            .await
            .refused(400, "DIGEST_INVALID");
        app.request(Method::PUT, upload).send().await.refused(400, "DIGEST_INVALID");
    }
}

#[tokio::test]
async fn cancelled_expired_and_foreign_uploads_are_unknown() {
    let app = TestApp::start().await;
    let upload = begin(&app).await;
    app.get(upload.replace("/v2/a/", "/v2/b/")).await.expect(StatusCode::NOT_FOUND);
    app.delete(&upload).await.expect(StatusCode::NO_CONTENT);
    app.delete(&upload).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    patch(&app, &upload, "0-0", "x").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    app.get("/v2/a/blobs/uploads/..").await.expect(StatusCode::NOT_FOUND);

    let upload = begin(&app).await;
    let now = OffsetDateTime::now_utc();
    assert_eq!(app.registry.sweep_uploads(now).await.unwrap(), 0);
    assert_eq!(
        app.registry.sweep_uploads(now + UPLOAD_AGE_MAX + Duration::from_secs(1)).await.unwrap(),
        1
    );
    app.get(&upload).await.expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn mounted_from_another_repository() {
    let app = TestApp::start().await;
    let digest = app.blob("a", "mounted").await;
    app.head(format!("/v2/b/blobs/{digest}")).await.expect(StatusCode::NOT_FOUND);
    let answer = app
        .post(format!("/v2/b/blobs/uploads/?mount={digest}&from=a"))
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(answer.header("location"), format!("/v2/b/blobs/{digest}"));
    assert_eq!(app.get(format!("/v2/b/blobs/{digest}")).await.body, "mounted");
    app.post(format!("/v2/c/blobs/uploads/?mount={digest}")).await.expect(StatusCode::CREATED);
    for missing in [
        format!("mount={digest}&from=nowhere"),
        format!("mount={digest}&from=NOT-A-NAME"),
        format!("mount={}&from=a", Digest::sha256(b"?")),
    ] {
        let answer =
            app.post(format!("/v2/d/blobs/uploads/?{missing}")).await.expect(StatusCode::ACCEPTED);
        assert!(answer.header("location").contains("/uploads/"));
    }
}

#[tokio::test]
async fn a_token_for_the_target_mounts_what_its_account_may_read() {
    let app = TestApp::start().await;
    let digest = app.blob("a", "mounted").await;
    let scope = "repository:b:pull,push";
    let token = app.get(format!("/oauth2/token?service={}&scope={scope}", app.address)).await;
    let token = token.json()["access_token"].as_str().unwrap().to_owned();
    let with_token = async |method, path: String| {
        let request = app.anonymous(method, path);
        request.header("authorization", format!("Bearer {token}")).send().await
    };
    with_token(Method::GET, format!("/v2/a/blobs/{digest}")).await.refused(401, "UNAUTHORIZED");
    for source in ["&from=a", ""] {
        with_token(Method::POST, format!("/v2/b/blobs/uploads/?mount={digest}{source}"))
            .await
            .expect(StatusCode::CREATED);
    }
    with_token(Method::GET, format!("/v2/b/blobs/{digest}")).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_same_bytes_from_eight_clients_at_once() {
    let app = TestApp::start().await;
    let pushes = (0..8).map(|_| app.blob("a", vec![1; 100_000]));
    let digests = futures::future::join_all(pushes).await;
    assert!(digests.iter().all(|d| *d == digests[0]));
    assert_eq!(app.get(format!("/v2/a/blobs/{}", digests[0])).await.body.len(), 100_000);
}
