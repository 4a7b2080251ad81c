//! What a server finds that another one left behind.

use http::{Method, StatusCode};
use oci::Digest;

use crate::app::TestApp;

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let before = TestApp::start_in(folder.path()).await;
    let image = before.image("a", "v1", "layer").await;
    let upload = before.post("/v2/a/blobs/uploads/").await.header("location").to_owned();
    before
        .request(Method::PATCH, &upload)
        .body("before ")
        .send()
        .await
        .expect(StatusCode::ACCEPTED);

    // The first server is not stopped in any orderly way: it may be gone.
    let after = TestApp::start_in(folder.path()).await;
    assert_eq!(after.get(&upload).await.expect(StatusCode::NO_CONTENT).header("range"), "0-6");
    let digest = Digest::sha256(b"before and after");
    let request = after
        .request(Method::PUT, format!("{upload}?digest={digest}"))
        .header("content-range", "7-15");
    request.body("and after").send().await.expect(StatusCode::CREATED);
    assert_eq!(after.events.take(), ["started", "grew 7", "grew 16", "committed 16"]);
    assert_eq!(after.get(format!("/v2/a/blobs/{digest}")).await.body, "before and after");
    after.get(format!("/v2/a/manifests/{image}")).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn what_was_never_finished_is_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let before = TestApp::start_in(folder.path()).await;
    let upload = before.post("/v2/a/blobs/uploads/").await.header("location").to_owned();
    let uploads = folder.path().join("content/uploads");
    let stray = uploads.join("6f0e3c1e-0000-4000-8000-000000000000");
    std::fs::write(&stray, "no row speaks of it").unwrap();
    let id = upload.rsplit('/').next().unwrap();
    std::fs::remove_file(uploads.join(id)).unwrap();

    let after = TestApp::start_in(folder.path()).await;
    assert!(!stray.exists());
    after.get(&upload).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
}
