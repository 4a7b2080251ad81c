//! What a push is told, and what stands behind it.

use reqwest::StatusCode;
use serde_json::json;

use crate::advisories::{export, record};
use crate::app::{App, digest_of};
use crate::image::{INDEX, Image, MANIFEST, distribution, layer, python};

fn with_one_advisory() -> App {
    let app = App::start();
    app.import(&export(app.dir(), &[record("PYSEC-1", "shop", "1.1")]));
    app
}

/// Until the import is in force, the server says so by judging nothing; a push
/// of a package the advisory speaks of shows when it is.
pub(crate) async fn in_force(app: &App) {
    let probe = Image::of(&[python("shop", "0.1")]);
    app.push("probe", "1", &probe).await;
    app.wait_for_findings("probe", &probe.digest(), 1).await;
}

#[tokio::test]
async fn the_answer_to_a_push_carries_the_verdict_and_the_next_read_has_it() {
    let app = with_one_advisory();
    in_force(&app).await;
    let image = Image::of(&[python("shop", "1.0")]);
    let answer = app.push("team/shop", "1", &image).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let warning = answer.headers()["warning"].to_str().expect("text").to_owned();
    assert!(warning.starts_with("299 - \"1 findings: 1 critical; 1 can be fixed;"), "{warning}");
    assert!(warning.contains(&image.digest()), "it links to the image: {warning}");

    let findings = app.findings("team/shop", &image.digest()).await;
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0]["layer"], 0);
}

#[tokio::test]
async fn a_layer_that_arrives_late_is_inspected_at_the_next_push() {
    let app = with_one_advisory();
    in_force(&app).await;
    let image = Image::of(&[python("shop", "1.0")]).with_foreign_layers();
    let [layer, config] = image.blobs()[..] else { panic!("one layer, one configuration") };
    let put = async || {
        let (kind, bytes) = (&image.media_type, image.manifest.clone());
        let answer = app.put_manifest("team/late", "1", kind, bytes).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.headers()["warning"].to_str().expect("text").to_owned()
    };
    app.push_blob("team/late", config).await;
    assert!(put().await.contains("the blob is not in the registry"));
    app.push_blob("team/late", layer).await;
    let warning = put().await;
    assert!(warning.contains("1 findings: 1 critical"), "{warning}");
}

#[tokio::test]
async fn a_push_by_digest_is_inspected_too() {
    let app = with_one_advisory();
    in_force(&app).await;
    let image = Image::of(&[python("shop", "1.0")]);
    let answer = app.push("team/shop", &image.digest(), &image).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(app.findings("team/shop", &image.digest()).await.len(), 1);
}

#[tokio::test]
async fn a_second_image_of_the_same_layers_reads_none() {
    let app = with_one_advisory();
    in_force(&app).await;
    let before = app.layers_read().await;
    let base = python("shop", "1.0");
    app.push("team/a", "1", &Image::of(std::slice::from_ref(&base))).await;
    let read = app.layers_read().await;
    assert_eq!(read, before + 1);

    let second = Image::of(&[base.clone(), base]);
    app.push("team/a", "2", &second).await;
    assert_eq!(app.image("team/a", &second.digest()).await["scan"]["state"], "done");
    assert_eq!(app.layers_read().await, read);
}

#[tokio::test]
async fn an_index_is_judged_by_its_images() {
    let app = with_one_advisory();
    in_force(&app).await;
    let (good, bad) = (Image::of(&[python("shop", "2.0")]), Image::of(&[python("shop", "1.0")]));
    for image in [&good, &bad] {
        app.push("multi", &image.digest(), image).await;
    }
    let entry = |image: &Image, architecture: &str| {
        json!({
            "mediaType": MANIFEST, "digest": image.digest(), "size": image.manifest.len(),
            "platform": { "os": "linux", "architecture": architecture }
        })
    };
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [entry(&good, "amd64"), entry(&bad, "arm64")]
    });
    let bytes = index.to_string().into_bytes();
    let digest = digest_of(&bytes);
    let answer = app.put_manifest("multi", "1", INDEX, bytes).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let page = app.image("multi", &digest).await;
    assert_eq!(page["status"], "unhealthy");
    let statuses: Vec<_> =
        page["children"].as_array().expect("a list").iter().map(|c| c["status"].clone()).collect();
    assert_eq!(statuses, ["healthy", "unhealthy"]);
}

#[tokio::test]
async fn what_nobody_looked_at_is_never_clean() {
    let app = with_one_advisory();
    in_force(&app).await;
    let never_clean = [
        ("unknown-distribution", Image::of(&[distribution("ID=nobodyknows\nVERSION_ID=1\n")])),
        ("unfed-release", Image::of(&[distribution("ID=debian\nVERSION_ID=4\n")])),
        ("nothing-known", Image::of(&[layer(&[("etc/hostname", "x")])])),
        ("no-layers", Image::of(&[])),
    ];
    for (name, image) in never_clean {
        app.push(name, "1", &image).await;
        let page = app.image(name, &image.digest()).await;
        assert_eq!(page["status"], "notApplicable", "{name}");
        assert!(page["cause"]["kind"].is_string(), "{name} says why: {page}");
    }
}

#[tokio::test]
async fn a_crash_loses_nothing_that_was_acknowledged() {
    let mut app = with_one_advisory();
    in_force(&app).await;
    let image = Image::of(&[python("shop", "1.0")]);
    app.push("team/shop", "1", &image).await;
    app.crash_and_restart();
    let manifest = app.get("/v2/team/shop/manifests/1").await;
    assert_eq!(manifest.bytes().await.expect("a body"), image.manifest);
    assert_eq!(app.findings("team/shop", &image.digest()).await.len(), 1);
    assert_eq!(app.layers_read().await, 0, "a restart reads nothing again");
}
