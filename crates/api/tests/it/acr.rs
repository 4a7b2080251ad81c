//! The data plane of Azure Container Registry, over the wire.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Answer, TestApp};

async fn patch(app: &TestApp, path: &str, change: Value) -> Answer {
    app.request(Method::PATCH, path).body(change.to_string()).send().await
}

#[tokio::test]
async fn shows_repositories_tags_and_manifests() {
    let app = TestApp::start().await;
    let digest = app.image("library/hello", "v1", "layer").await;
    app.image("library/hello", "v2", "layer").await;
    let catalog = app.get("/acr/v1/_catalog").await.expect(StatusCode::OK).json();
    assert_eq!(catalog, json!({ "repositories": ["library/hello"] }));
    for name in ["library/hello", "library%2Fhello"] {
        let repository = app.get(format!("/acr/v1/{name}")).await.expect(StatusCode::OK).json();
        assert_eq!(repository["imageName"], "library/hello");
        assert_eq!((&repository["manifestCount"], &repository["tagCount"]), (&json!(1), &json!(2)));
        assert_eq!(repository["changeableAttributes"]["writeEnabled"], true);
    }
    let page = app.get("/acr/v1/library%2Fhello/_tags?n=1").await.expect(StatusCode::OK);
    assert_eq!(
        page.header("link"),
        "</acr/v1/library/hello/_tags?n=1&orderby=&last=v1>; rel=\"next\""
    );
    assert_eq!(page.json()["tags"][0]["name"], "v1");
    let page = app.get("/acr/v1/library/hello/_tags?n=1&last=v1").await;
    assert_eq!((page.header("link"), &page.json()["tags"][0]["name"]), ("", &json!("v2")));
    let tag = app.get("/acr/v1/library/hello/_tags/v1").await.expect(StatusCode::OK).json();
    assert_eq!(tag["tag"]["digest"], digest.to_string());
    let list = app.get("/acr/v1/library/hello/_manifests").await.expect(StatusCode::OK).json();
    assert_eq!(list["manifests"][0]["tags"], json!(["v1", "v2"]));
    let path =
        format!("/acr/v1/library/hello/_manifests/{}", digest.to_string().replace(':', "%3A"));
    let one = app.get(path).await.expect(StatusCode::OK).json();
    assert_eq!(one["manifest"]["imageSize"], 7);
    app.get("/acr/v1/none").await.refused(404, "NAME_UNKNOWN");
    app.get("/acr/v1/library/hello/_tags/none").await.refused(404, "TAG_UNKNOWN");
    let anonymous = app.anonymous(Method::PATCH, "/acr/v1/library%2Fhello/_tags/v1").send().await;
    let challenge = anonymous.header("www-authenticate").to_owned();
    assert!(challenge.contains("scope=\"repository:library/hello:metadata_write\""), "{challenge}");
}

#[tokio::test]
async fn a_lock_refuses_and_says_why() {
    let app = TestApp::start().await;
    let digest = app.image("a", "v1", "layer").await;
    let locked = patch(&app, "/acr/v1/a/_tags/v1", json!({ "writeEnabled": false })).await;
    assert_eq!(locked.json()["tag"]["changeableAttributes"]["writeEnabled"], false);
    let answer = app.delete("/acr/v1/a/_tags/v1").await.refused(405, "DENIED");
    let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("tag v1 of repository a is locked"), "{message}");
    app.delete(format!("/v2/a/manifests/{digest}")).await.refused(405, "DENIED");
    app.delete("/acr/v1/a").await.refused(405, "DENIED");
    patch(&app, "/acr/v1/a/_tags/v1", json!({ "writeEnabled": true, "readEnabled": false })).await;
    app.get("/v2/a/manifests/v1").await.refused(405, "DENIED");
    let head = app.head("/v2/a/manifests/v1").await.expect(StatusCode::METHOD_NOT_ALLOWED);
    assert!(head.header("warning").contains("readEnabled is false"), "{head:?}");
    app.get(format!("/v2/a/manifests/{digest}")).await.expect(StatusCode::OK);
    app.delete("/acr/v1/a/_tags/v1").await.expect(StatusCode::ACCEPTED);
    app.get(format!("/v2/a/manifests/{digest}")).await.expect(StatusCode::OK);
    let gone = app.delete("/acr/v1/a").await.expect(StatusCode::ACCEPTED).json();
    assert_eq!(gone, json!({ "manifestsDeleted": [digest], "tagsDeleted": [] }));
    app.get("/acr/v1/a").await.refused(404, "NAME_UNKNOWN");
}
