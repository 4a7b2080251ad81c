//! Blobs and manifests on their way out.

use http::{Method, StatusCode};

use crate::app::TestApp;

#[tokio::test]
async fn a_blob_with_all_its_headers() {
    let app = TestApp::start().await;
    let digest = app.blob("a/b", "0123456789").await;
    let path = format!("/v2/a/b/blobs/{digest}");
    let head = app.head(&path).await.expect(StatusCode::OK);
    let get = app.get(&path).await.expect(StatusCode::OK);
    assert_eq!(get.body, "0123456789");
    for answer in [&head, &get] {
        assert_eq!(answer.header("content-length"), "10");
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("etag"), format!("\"{digest}\""));
    }
    let known =
        app.request(Method::GET, &path).header("if-none-match", get.header("etag")).send().await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
    app.get(format!("/v2/other/blobs/{digest}")).await.refused(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn parts_of_a_blob() {
    let app = TestApp::start().await;
    let digest = app.blob("a", "0123456789").await;
    let path = format!("/v2/a/blobs/{digest}");
    let check = async |range: &str, status: u16, body: &str, content_range: &str| {
        let answer = app.request(Method::GET, &path).header("range", range).send().await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-range")),
            (status, content_range),
            "{range}"
        );
        if status < 300 {
            assert_eq!(answer.body, body, "{range}");
        }
    };
    check("bytes=2-4", 206, "234", "bytes 2-4/10").await;
    check("bytes=8-", 206, "89", "bytes 8-9/10").await;
    check("bytes=-3", 206, "789", "bytes 7-9/10").await;
    check("bytes=5-99", 206, "56789", "bytes 5-9/10").await;
    check("bytes=10-", 416, "", "bytes */10").await;
    check("bytes=4-2", 416, "", "bytes */10").await;
    check("bites=1-2", 200, "0123456789", "").await;

    let changed =
        app.request(Method::GET, &path).header("range", "bytes=0-1").header("if-range", "\"x\"");
    changed.send().await.expect(StatusCode::OK);
}

#[tokio::test]
async fn several_parts_at_once() {
    let app = TestApp::start().await;
    let digest = app.blob("a", "0123456789").await;
    let request =
        app.request(Method::GET, format!("/v2/a/blobs/{digest}")).header("range", "bytes=6-7,0-1");
    let answer = request.send().await.expect(StatusCode::PARTIAL_CONTENT);
    let boundary = answer
        .header("content-type")
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap()
        .to_owned();
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let parts: Vec<_> = text.split(&format!("--{boundary}")).collect();
    assert!(
        parts[1].contains("content-range: bytes 6-7/10\r\n")
            && parts[1].ends_with("\r\n\r\n67\r\n"),
        "{text}"
    );
    assert!(
        parts[2].contains("content-range: bytes 0-1/10\r\n")
            && parts[2].ends_with("\r\n\r\n01\r\n"),
        "{text}"
    );
    assert_eq!((parts.len(), parts[3]), (4, "--\r\n"));
}

#[tokio::test]
async fn a_large_blob_in_many_pieces() {
    let app = TestApp::start().await;
    let bytes: Vec<u8> = (0..3_000_017u32).map(|i| (i % 251) as u8).collect();
    let digest = app.blob("a", bytes.clone()).await;
    let path = format!("/v2/a/blobs/{digest}");
    assert_eq!(app.get(&path).await.body, bytes);
    let part =
        app.request(Method::GET, &path).header("range", "bytes=1000000-2999999").send().await;
    assert_eq!(part.body, bytes[1_000_000..3_000_000]);
}

#[tokio::test]
async fn a_manifest_byte_for_byte() {
    let app = TestApp::start().await;
    let digest = app.image("a", "v1", "layer").await;
    app.events.take();
    let head = app.head("/v2/a/manifests/v1").await.expect(StatusCode::OK);
    assert_eq!(app.events.take(), [""; 0], "HEAD is no pull");
    // Some clients ask for a range of a manifest, and none of them accepts its type.
    let request = app
        .request(Method::GET, "/v2/a/manifests/v1")
        .header("range", "bytes=0-")
        .header("accept", "text/html");
    let get = request.send().await.expect(StatusCode::OK);
    assert_eq!(app.events.take(), ["pulled a"]);
    assert_eq!(oci::Digest::sha256(&get.body), digest);
    for answer in [&head, &get] {
        assert_eq!(answer.header("content-type"), oci::media_type::OCI_MANIFEST);
        assert_eq!(answer.header("content-length"), get.body.len().to_string());
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    }
    let by_digest = app.get(format!("/v2/a/manifests/sha256%3A{}", digest.hex())).await;
    assert_eq!(by_digest.body, get.body);
    app.get("/v2/a/manifests/v2").await.refused(404, "MANIFEST_UNKNOWN");
    app.get("/v2/a/manifests/sha256:0").await.refused(400, "DIGEST_INVALID");
}
