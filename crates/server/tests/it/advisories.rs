//! Advisories that come, change and go while the server runs.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::app::App;
use crate::image::{Image, debian, python};

/// An OSV record: `package` of PyPI is affected below `fixed`.
pub fn record(id: &str, package: &str, fixed: &str) -> Value {
    json!({
        "id": id, "aliases": ["CVE-2099-1000"],
        "modified": "2026-01-02T00:00:00Z", "published": "2026-01-01T00:00:00Z",
        "summary": "it breaks",
        "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
        "affected": [{
            "package": { "ecosystem": "PyPI", "name": package },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": fixed }] }]
        }]
    })
}

/// A complete export of PyPI with these records, in a file.
pub fn export(dir: &Path, records: &[Value]) -> PathBuf {
    let path = dir.join("all.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).expect("a file"));
    for record in records {
        let name = format!("{}.json", record["id"].as_str().expect("an id"));
        zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("a member");
        zip.write_all(record.to_string().as_bytes()).expect("a member");
    }
    zip.finish().expect("a whole archive");
    path
}

/// Debian's list of advisories with one entry, in a file.
pub fn debian_list(dir: &Path, package: &str, fixed: &str) -> PathBuf {
    let path = dir.join("DSA.list");
    let text = format!(
        "[01 Jan 2026] DSA-9999-1 {package} - security update\n\t{{CVE-2099-2000}}\n\t[bookworm] - {package} {fixed}\n"
    );
    std::fs::write(&path, text).expect("a file");
    path
}

fn loose(dir: &Path, record: &Value) -> PathBuf {
    let path = dir.join("record.json");
    std::fs::write(&path, record.to_string()).expect("a file");
    path
}

#[tokio::test]
async fn a_new_advisory_finds_an_image_pushed_before_and_its_withdrawal_closes_the_finding() {
    let app = App::start();
    app.import(&export(app.dir(), &[record("PYSEC-1", "unrelated", "1")]));
    let image = Image::of(&[python("shop", "1.0")]);
    app.push("team/shop", "1", &image).await;
    assert!(app.findings("team/shop", &image.digest()).await.is_empty());
    let read = app.layers_read().await;

    let mut advisory = record("PYSEC-2", "shop", "1.1");
    app.import(&loose(app.dir(), &advisory));
    app.wait_for_findings("team/shop", &image.digest(), 1).await;
    let found = app.findings("team/shop", &image.digest()).await.remove(0);
    assert_eq!((&found["severity"], &found["fixed"]), (&json!("critical"), &json!("1.1")));
    assert_eq!(app.image("team/shop", &image.digest()).await["status"], "unhealthy");

    advisory["withdrawn"] = json!("2026-01-03T00:00:00Z");
    app.import(&loose(app.dir(), &advisory));
    app.wait_for_findings("team/shop", &image.digest(), 0).await;
    assert_eq!(app.image("team/shop", &image.digest()).await["status"], "healthy");

    let history = app.history("team/shop", &image.digest()).await.to_string();
    assert!(history.contains("PYSEC-2"), "both events name their cause: {history}");
    assert!(history.contains("withdrawn"), "{history}");
    assert_eq!(app.layers_read().await, read, "re-matching reads no layer");
}

#[tokio::test]
async fn a_release_that_comes_to_be_covered_is_judged() {
    let app = App::start();
    app.import(&export(app.dir(), &[record("PYSEC-1", "unrelated", "1")]));
    let image = Image::of(&[debian("openssl", "3.0.9-1")]);
    app.push("base", "12", &image).await;
    let before = app.image("base", &image.digest()).await;
    assert_eq!(before["status"], "notApplicable", "nobody has judged Debian 12");

    app.import(&debian_list(app.dir(), "openssl", "3.0.11-1"));
    app.wait_for_findings("base", &image.digest(), 1).await;
    let found = app.findings("base", &image.digest()).await.remove(0);
    assert_eq!(found["cves"], json!(["CVE-2099-2000"]));
}
