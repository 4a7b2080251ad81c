//! Tags, catalog, referrers.

use http::StatusCode;
use oci::{Digest, media_type};
use serde_json::{Value, json};

use crate::app::{TestApp, image};

/// Follows `Link` from page to page and gives what each page had under `key`.
async fn pages(app: &TestApp, first: &str, key: &str) -> Vec<Value> {
    let (mut pages, mut path) = (Vec::new(), first.to_owned());
    while !path.is_empty() {
        let answer = app.get(&path).await.expect(StatusCode::OK);
        pages.push(answer.json()[key].clone());
        path = answer.header("link").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        assert!(pages.len() < 50, "the list does not end");
    }
    pages
}

#[tokio::test]
async fn tags_by_the_page() {
    let app = TestApp::start().await;
    app.get("/v2/a/tags/list").await.refused(404, "NAME_UNKNOWN");
    for tag in ["b", "a", "C"] {
        app.image("a", tag, "layer").await;
    }
    assert_eq!(pages(&app, "/v2/a/tags/list", "tags").await, [json!(["C", "a", "b"])]);
    assert_eq!(pages(&app, "/v2/a/tags/list?n=2", "tags").await, [json!(["C", "a"]), json!(["b"])]);
    assert_eq!(pages(&app, "/v2/a/tags/list?n=3", "tags").await, [json!(["C", "a", "b"])]);
    assert_eq!(pages(&app, "/v2/a/tags/list?n=0", "tags").await, [json!([])]);
    assert_eq!(pages(&app, "/v2/a/tags/list?last=a", "tags").await, [json!(["b"])]);
    app.get("/v2/a/tags/list?n=-1").await.refused(400, "PAGINATION_NUMBER_INVALID");
    app.delete("/v2/a/manifests/a").await.expect(StatusCode::ACCEPTED);
    assert_eq!(pages(&app, "/v2/a/tags/list", "tags").await, [json!(["C", "b"])]);
}

#[tokio::test]
async fn the_catalog_by_the_page() {
    let app = TestApp::start().await;
    assert_eq!(pages(&app, "/v2/_catalog", "repositories").await, [json!([])]);
    for name in ["b/x", "a", "b/y"] {
        app.blob(name, "blob").await;
    }
    assert_eq!(
        pages(&app, "/v2/_catalog?n=2", "repositories").await,
        [json!(["a", "b/x"]), json!(["b/y"])]
    );
}

#[tokio::test]
async fn referrers_with_and_without_a_filter() {
    let app = TestApp::start().await;
    let subject = Digest::sha256(b"not pushed yet");
    let path = format!("/v2/a/referrers/{subject}");
    assert_eq!(pages(&app, &path, "manifests").await, [json!([])], "an unknown subject has none");
    app.get("/v2/a/referrers/sha256:0").await.refused(400, "DIGEST_INVALID");

    let (config, layer) = (app.blob("a", "{}").await, app.blob("a", "layer").await);
    for (tag, kind) in [("sbom", Some("application/spdx+json")), ("plain", None)] {
        let mut json = image(config, layer);
        json["subject"] =
            json!({ "mediaType": media_type::OCI_MANIFEST, "digest": subject, "size": 5 });
        json["annotations"] = json!({ "made": "today" });
        if let Some(kind) = kind {
            json["artifactType"] = json!(kind);
        }
        let answer = app.put_manifest("a", tag, &json).await.expect(StatusCode::CREATED);
        assert_eq!(answer.header("oci-subject"), subject.to_string());
    }
    let all = app.get(&path).await.expect(StatusCode::OK);
    assert_eq!(all.header("content-type"), media_type::OCI_INDEX);
    assert_eq!(all.json()["manifests"].as_array().unwrap().len(), 2);
    let some = app
        .get(format!("{path}?artifactType=application/spdx%2Bjson"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(some.header("oci-filters-applied"), "artifactType");
    let found = some.json();
    assert_eq!(found["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(found["manifests"][0]["annotations"]["made"], "today");
    // An image without a type of its own is known by its configuration's.
    let plain = app
        .get(format!("{path}?artifactType={}", media_type::OCI_CONFIG.replace('+', "%2B")))
        .await;
    assert_eq!(plain.json()["manifests"].as_array().unwrap().len(), 1);
}
