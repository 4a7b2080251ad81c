//! Manifests on their way in, and out of the way.

use http::{Method, StatusCode};
use oci::{Algorithm, Digest, media_type};
use registry::manifests::MANIFEST_BYTES_MAX;
use serde_json::json;

use crate::app::{TestApp, image};

#[tokio::test]
async fn accepted_with_its_blobs_only() {
    let app = TestApp::start().await;
    let (config, layer) = (app.blob("a", "{}").await, Digest::sha256(b"layer"));
    let json = image(config, layer);
    let refusal = app.put_manifest("a", "v1", &json).await.refused(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(refusal.json()["errors"][0]["detail"][0]["digest"], layer.to_string());
    app.get("/v2/a/manifests/v1").await.expect(StatusCode::NOT_FOUND);
    app.blob("elsewhere", "layer").await;
    app.put_manifest("a", "v1", &json).await.refused(400, "MANIFEST_BLOB_UNKNOWN");
    app.blob("a", "layer").await;
    app.events.take();
    let answer = app.put_manifest("a", "v1", &json).await.expect(StatusCode::CREATED);
    let digest = Digest::sha256(json.to_string().as_bytes());
    assert_eq!(answer.header("location"), format!("/v2/a/manifests/{digest}"));
    assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    assert!(answer.headers.get("warning").is_none() && answer.headers.get("oci-subject").is_none());
    assert_eq!(app.events.take(), ["pushed a by admin"]);
}

#[tokio::test]
async fn foreign_layers_and_sparse_indexes_need_nothing() {
    let app = TestApp::start().await;
    let mut json = image(app.blob("a", "{}").await, Digest::sha256(b"not here"));
    json["layers"][0]["mediaType"] = json!(media_type::DOCKER_LAYER_FOREIGN);
    app.put_manifest("a", "windows", &json).await.expect(StatusCode::CREATED);
    let index = json!({ "schemaVersion": 2, "manifests": [
        { "mediaType": media_type::OCI_MANIFEST, "digest": Digest::sha256(b"absent"), "size": 1 } ] });
    let request = app
        .request(Method::PUT, "/v2/a/manifests/sparse")
        .header("content-type", media_type::OCI_INDEX);
    request.body(index.to_string()).send().await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn by_digest_with_several_tags() {
    let app = TestApp::start().await;
    let json = image(app.blob("a", "{}").await, app.blob("a", "layer").await);
    for algorithm in Algorithm::ALL {
        let digest = Digest::of(algorithm, json.to_string().as_bytes());
        let answer =
            app.put_manifest("a", &format!("{digest}?tag=x-{algorithm}&tag=y"), &json).await;
        let answer = answer.expect(StatusCode::CREATED);
        assert_eq!(answer.headers.get_all("oci-tag").iter().count(), 2);
        assert_eq!(
            app.head("/v2/a/manifests/y").await.header("docker-content-digest"),
            digest.to_string()
        );
    }
    let wrong = Digest::sha256(b"wrong");
    app.put_manifest("a", &wrong.to_string(), &json).await.refused(400, "DIGEST_INVALID");
    app.put_manifest("a", &format!("{wrong}?tag=.bad"), &json).await.refused(400, "TAG_INVALID");
    app.put_manifest("a", ".bad", &json).await.refused(400, "TAG_INVALID");
    app.put_manifest("A", "v1", &json).await.refused(400, "NAME_INVALID");
}

#[tokio::test]
async fn what_is_no_manifest_is_refused() {
    let app = TestApp::start().await;
    let put = async |kind: &str, body: String| {
        app.request(Method::PUT, "/v2/a/manifests/v1")
            .header("content-type", kind)
            .body(body)
            .send()
            .await
    };
    put(media_type::OCI_MANIFEST, "nonsense".into()).await.refused(400, "MANIFEST_INVALID");
    let schema_1 = r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned();
    put("application/vnd.docker.distribution.manifest.v1+prettyjws", schema_1.clone())
        .await
        .refused(400, "MANIFEST_INVALID");
    put("application/json", schema_1).await.refused(400, "MANIFEST_INVALID");
    let deep = format!(r#"{{"schemaVersion":2,"config":{}"#, "[".repeat(1_000_000));
    put(media_type::OCI_MANIFEST, deep).await.refused(400, "MANIFEST_INVALID");

    // As large as it may be, and one byte more.
    let (config, layer) = (app.blob("a", "{}").await, app.blob("a", "layer").await);
    let large = |bytes: usize| {
        let mut json = image(config, layer);
        json["annotations"] = json!({ "padding": "" });
        let padding = bytes - json.to_string().len();
        json["annotations"]["padding"] = json!("x".repeat(padding));
        json.to_string()
    };
    put(media_type::OCI_MANIFEST, large(MANIFEST_BYTES_MAX)).await.expect(StatusCode::CREATED);
    put(media_type::OCI_MANIFEST, large(MANIFEST_BYTES_MAX + 1)).await.refused(413, "SIZE_INVALID");
}

#[tokio::test]
async fn the_verdict_comes_as_a_warning() {
    let app = TestApp::start().await;
    let json = image(app.blob("judged", "{}").await, app.blob("judged", "layer").await);
    let answer = app.put_manifest("judged", "v1", &json).await.expect(StatusCode::CREATED);
    assert_eq!(answer.header("warning"), r#"299 - "2 critical: \"log4j\"  ""#);
}

#[tokio::test]
async fn deleted_by_tag_or_by_digest() {
    let app = TestApp::start().await;
    let digest = app.image("a", "v1", "layer").await;
    app.image("a", "v2", "layer").await;
    app.delete("/v2/a/manifests/v1").await.expect(StatusCode::ACCEPTED);
    app.delete("/v2/a/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
    app.get(format!("/v2/a/manifests/{digest}")).await.expect(StatusCode::OK);
    let layer = Digest::sha256(b"layer");
    app.delete(format!("/v2/a/blobs/{layer}")).await.refused(405, "UNSUPPORTED");
    app.delete(format!("/v2/a/manifests/{digest}")).await.expect(StatusCode::ACCEPTED);
    app.get("/v2/a/manifests/v2").await.expect(StatusCode::NOT_FOUND);
    app.delete(format!("/v2/a/blobs/{layer}")).await.expect(StatusCode::ACCEPTED);
    app.get(format!("/v2/a/blobs/{layer}")).await.expect(StatusCode::NOT_FOUND);
    app.delete(format!("/v2/a/blobs/{layer}")).await.refused(404, "BLOB_UNKNOWN");
}
