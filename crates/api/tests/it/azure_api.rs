//! Azure's sub-assessments, over the wire.

use advisories::Severity::{Critical, Low, Unscored};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Answer, PASSWORD, basic};
use crate::inspected::{Found, InspectedApp, found};

const KEY: &str = "dbd0cb49-b563-45e7-9724-889e799fa648";
const VERSION: &str = "api-version=2019-01-01-preview";

#[track_caller]
fn is_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.json()["error"]["code"], code, "{answer:?}");
}

async fn list(app: &InspectedApp) -> Vec<Value> {
    let path = format!(
        "/subscriptions/{}/providers/Microsoft.Security/subAssessments?{VERSION}",
        app.subscription
    );
    app.json(path).await["value"].as_array().unwrap().clone()
}

#[tokio::test]
async fn findings_clean_bills_and_silence() {
    let app = InspectedApp::start().await;
    let bad = app.registry.image("demo/web", "1", "layer").await;
    let good = app.registry.image("demo/web", "2", "other").await;
    let unjudged = app.registry.image("demo/web", "3", "third").await;
    app.registry.image("demo/web", "4", "fourth").await;
    let hidden = Found { suppressed: true, ..found(4, Critical, None) };
    let openssl =
        [found(1, Low, None), found(2, Critical, Some("2")), found(3, Unscored, None), hidden];
    app.inspect(bad, &[("openssl", &openssl)]).await;
    app.inspect(good, &[("clean", &[])]).await;
    app.inspect_with(unjudged, &[("strange", &[])], None, false).await;

    let rows = list(&app).await;
    let of = |digest: &oci::Digest| -> Vec<&Value> {
        let digest = json!(digest.to_string());
        rows.iter()
            .filter(|row| row["properties"]["additionalData"]["imageDigest"] == digest)
            .collect()
    };
    assert_eq!(rows.len(), 4);
    assert!(of(&unjudged).is_empty(), "no row: nobody may take it for scanned");
    let severities: Vec<_> =
        of(&bad).iter().map(|r| r["properties"]["status"]["severity"].clone()).collect();
    assert_eq!(severities, ["Low", "High", "Medium"]);
    let clean = &of(&good)[0]["properties"];
    assert_eq!(
        (&clean["status"]["code"], &clean["status"]["severity"]),
        (&json!("Healthy"), &Value::Null)
    );
    assert_eq!(clean["additionalData"]["patchable"], false);

    let row = of(&bad)[1];
    let id = row["id"].as_str().unwrap();
    let parts: Vec<_> = id.split('/').collect();
    assert_eq!(
        (parts.len(), parts[3], parts[6], parts[7], parts[12]),
        (15, "resourceGroups", "Microsoft.ContainerRegistry", "registries", KEY)
    );
    assert_eq!(parts[14].len(), 36);
    assert_eq!(row["properties"]["id"], "2");
    assert_eq!(row["properties"]["additionalData"]["cve"][0]["title"], "CVE-2024-0002");
    assert_eq!(
        row["properties"]["additionalData"]["imageDetails"]["osDetails"],
        "Debian GNU/Linux 12"
    );

    assert_eq!(&app.json(format!("{id}?{VERSION}")).await, row);
    assert_eq!(&app.json(format!("/{}?{VERSION}", id.to_lowercase())).await, row);
    app.inspect(bad, &[("openssl", &openssl)]).await;
    assert_eq!(
        list(&app).await.iter().map(|r| r["name"].clone()).collect::<Vec<_>>(),
        rows.iter().map(|r| r["name"].clone()).collect::<Vec<_>>(),
        "names survive a rescan"
    );
}

#[tokio::test]
async fn scopes_versions_and_errors_are_arms() {
    let app = InspectedApp::start().await;
    let subscription = format!("/subscriptions/{}", app.subscription);
    let security = "providers/Microsoft.Security";
    for path in [
        format!("{subscription}/{security}/subassessments?{VERSION}"),
        format!(
            "/{subscription}/resourcegroups/Default/{security}/assessments/{KEY}/subAssessments?API-VERSION=2020-01-01"
        ),
        format!(
            "{subscription}/resourceGroups/default/providers/microsoft.containerregistry/registries/main/{security}/assessments/{}/subAssessments?{VERSION}&assessment_name=x",
            KEY.to_uppercase()
        ),
    ] {
        assert_eq!(app.json(&path).await, json!({ "value": [] }), "{path}");
    }
    let other = uuid::Uuid::new_v4();
    for (path, status, code) in [
        (format!("{subscription}/{security}/subAssessments"), 400, "MissingApiVersionParameter"),
        (
            format!("{subscription}/{security}/subAssessments?api-version=new"),
            400,
            "InvalidApiVersionParameter",
        ),
        (
            format!("/subscriptions/{other}/{security}/subAssessments?{VERSION}"),
            404,
            "SubscriptionNotFound",
        ),
        (
            format!("{subscription}/resourceGroups/x/{security}/subAssessments?{VERSION}"),
            404,
            "ResourceGroupNotFound",
        ),
        (
            format!("{subscription}/{security}/assessments/{other}/subAssessments?{VERSION}"),
            404,
            "AssessmentNotFound",
        ),
        (
            format!("{subscription}/{security}/assessments/{KEY}/subAssessments/{other}?{VERSION}"),
            404,
            "SubAssessmentNotFound",
        ),
        (
            format!("{subscription}/{security}/subAssessments?{VERSION}&$skiptoken=x"),
            400,
            "InvalidSkipToken",
        ),
        (
            format!("{subscription}/providers/Microsoft.Compute/disks?{VERSION}"),
            404,
            "InvalidResourceType",
        ),
    ] {
        is_error(&app.get(&path).await, status, code);
    }
    let path = format!("{subscription}/{security}/subAssessments?{VERSION}");
    is_error(&app.anonymous(Method::GET, &path).send().await, 401, "AuthenticationFailed");
    let guest = app.anonymous(Method::GET, &path).header("authorization", basic("guest", PASSWORD));
    is_error(&guest.send().await, 403, "AuthorizationFailed");
    is_error(&app.request(Method::PUT, &path).send().await, 405, "MethodNotAllowed");
    assert_eq!(
        app.json(format!("/subscriptions?{VERSION}")).await["value"][0]["displayName"],
        "default"
    );
    let registries = app
        .json(format!("{subscription}/providers/Microsoft.ContainerRegistry/registries?{VERSION}"))
        .await;
    assert_eq!(registries["value"][0]["properties"]["loginServer"], app.address.to_string());
}

#[tokio::test]
async fn pages_hold_every_row_once() {
    let app = InspectedApp::start().await;
    let many: Vec<Found> = (1..=700).map(|id| found(id, Low, None)).collect();
    for (tag, layer) in [("1", "one"), ("2", "two")] {
        let digest = app.registry.image("demo/web", tag, layer).await;
        app.inspect(digest, &[("openssl", &many)]).await;
    }
    let mut seen = std::collections::HashSet::new();
    let mut pages = 0;
    let mut next = Some(format!(
        "/subscriptions/{}/providers/Microsoft.Security/subAssessments?{VERSION}",
        app.subscription
    ));
    while let Some(path) = next {
        let page = app.get(path).await.expect(StatusCode::OK).json();
        for row in page["value"].as_array().unwrap() {
            assert!(seen.insert(row["name"].as_str().unwrap().to_owned()), "twice");
        }
        let origin = format!("http://{}", app.address);
        next = page["nextLink"]
            .as_str()
            .map(|link| link.strip_prefix(&origin).expect("absolute").to_owned());
        pages += 1;
    }
    assert_eq!((seen.len(), pages), (1400, 3));
}

/// Microsoft's own Python client, current and of 2021. Set `LAZARET_AZURE_SDK` to
/// Python interpreters (separated by `:`) that have `azure-mgmt-security`.
#[tokio::test]
async fn microsofts_python_client_reads_typed_objects() {
    let pythons = std::env::var("LAZARET_AZURE_SDK").unwrap_or_default();
    if pythons.is_empty() {
        println!(
            "skipped: LAZARET_AZURE_SDK names no Python with azure-mgmt-security; see testdata/azure_sdk.py"
        );
        return;
    }
    let app = InspectedApp::start().await;
    let bad = app.registry.image("demo/web", "1", "layer").await;
    let many: Vec<Found> = (1..=600).map(|id| found(id, Critical, Some("2"))).collect();
    app.inspect(bad, &[("openssl", &many)]).await;
    let token_path = format!("/oauth2/token?service={}&scope=registry:catalog:*", app.address);
    let token =
        app.registry.request(Method::GET, token_path).header("host", app.address).send().await;
    let token = token.expect(StatusCode::OK).json()["access_token"].as_str().unwrap().to_owned();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/azure_sdk.py");
    for python in pythons.split(':') {
        let output = tokio::process::Command::new(python)
            .arg(script)
            .args([
                format!("http://{}", app.address),
                app.subscription.to_string(),
                token.clone(),
                bad.to_string(),
            ])
            .output()
            .await
            .unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{python}: {out}{err}");
        println!("{python}: {out}");
    }
}
