//! Reports for other tools say what `--format json` says.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::advisories::{debian_list, export, record};
use crate::app::{lazaret, text};
use crate::image::{Image, Layer, debian, distribution, layer, python};

/// A name that would break out of a terminal, a link, a path or an id.
const HOSTILE: &str = "\u{1b}[2J](http://evil)\"><script>\u{202e}";

/// Where its package lies.
const HOSTILE_PATH: &str = "app/node_modules/a b:#%25é/package.json";

/// An image on disk with an index that knows `shop`, the hostile package and
/// the kernel's headers.
struct Site {
    _dir: tempfile::TempDir,
    target: String,
    db: String,
}

impl Site {
    fn of(layers: &[Layer]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let db = text(&dir.path().join("db")).to_owned();
        let mut npm = record("GHSA-1", HOSTILE, "2.0.0");
        npm["affected"][0]["package"]["ecosystem"] = json!("npm");
        npm["affected"][0]["ranges"][0]["type"] = json!("SEMVER");
        npm["aliases"] = json!(["CVE-2099-3000"]);
        let python = [record("PYSEC-1", "shop", "1.1")];
        for (name, records) in [("pypi", &python[..]), ("npm", &[npm][..])] {
            let below = dir.path().join(name);
            std::fs::create_dir(&below).expect("a directory");
            let file = export(&below, records);
            let output = lazaret(&["advisories", "import", text(&file), "--db", &db]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let kernel = debian_list(dir.path(), "linux-libc-dev", "6.1.90-1");
        assert!(lazaret(&["advisories", "import", text(&kernel), "--db", &db]).status.success());
        let layout = dir.path().join("image");
        lay_out(&layout, &Image::of(layers));
        Self { target: format!("oci:{}", text(&layout)), db, _dir: dir }
    }

    fn scan(&self, format: &str) -> Value {
        self.scan_with(format, &[]).0
    }

    fn scan_with(&self, format: &str, extra: &[&str]) -> (Value, Option<i32>) {
        let mut arguments = vec!["scan", &self.target, "--db", &self.db, "--format", format];
        arguments.extend(extra);
        let output = lazaret(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        let report = serde_json::from_slice(&output.stdout);
        (report.unwrap_or_else(|e| panic!("{format}: {e}: {errors}")), output.status.code())
    }
}

/// Writes an OCI layout.
fn lay_out(dir: &Path, image: &Image) {
    let write = |digest: &str, bytes: &[u8]| {
        let hex = digest.strip_prefix("sha256:").expect("a SHA-256 digest");
        std::fs::write(dir.join("blobs/sha256").join(hex), bytes).expect("a file");
    };
    std::fs::create_dir_all(dir.join("blobs/sha256")).expect("a directory");
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file");
    for blob in image.blobs() {
        write(&blob.digest, &blob.bytes);
    }
    write(&image.digest(), &image.manifest);
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": image.media_type, "digest": image.digest(), "size": image.manifest.len()
        }]
    });
    std::fs::write(dir.join("index.json"), index.to_string()).expect("a file");
}

fn hostile_npm() -> Layer {
    let content = json!({ "name": HOSTILE, "version": "1.0.0" }).to_string();
    layer(&[(HOSTILE_PATH, &content)])
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found.unwrap_or_else(|| panic!("no list at {pointer} in {value}"))
}

fn texts(values: &[Value], pointer: &str) -> BTreeSet<String> {
    let text = |v: &Value| v.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    values.iter().filter_map(text).collect()
}

#[test]
fn every_finding_is_in_every_report() {
    let site = Site::of(&[python("shop", "1.0"), hostile_npm()]);
    let plain = site.scan("json");
    let ids = texts(list(&plain, "/findings"), "/id");
    let cves = texts(list(&plain, "/findings"), "/cves/0");
    assert_eq!(cves, BTreeSet::from(["CVE-2099-1000".into(), "CVE-2099-3000".into()]));

    let sarif = site.scan("sarif");
    let run = &sarif["runs"][0];
    assert_eq!(texts(list(run, "/tool/driver/rules"), "/id"), ids);
    assert_eq!(texts(list(run, "/tool/driver/rules"), "/name"), cves);
    assert_eq!(run["tool"]["driver"]["rules"][0]["properties"]["security-severity"], "9.8");
    for result in list(run, "/results") {
        let rule = result["ruleIndex"].as_u64().expect("an index") as usize;
        assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
        assert_eq!(result["level"], "error");
    }
    assert_eq!(texts(list(run, "/results"), "/ruleId"), ids);
    assert_eq!(run["properties"]["imageDigest"], plain["digest"]);

    let cyclonedx = site.scan("cyclonedx");
    let vulnerabilities = list(&cyclonedx, "/vulnerabilities");
    assert_eq!(texts(vulnerabilities, "/id"), cves);
    let components = texts(list(&cyclonedx, "/components"), "/bom-ref");
    assert_eq!(components.len(), 2);
    assert_eq!(texts(vulnerabilities, "/affects/0/ref"), components, "both are affected");
    assert_eq!(vulnerabilities[0]["ratings"][1]["method"], "CVSSv31");
    assert_eq!(cyclonedx["metadata"]["component"]["version"], plain["digest"]);

    let spdx = site.scan("spdx");
    let said: String =
        texts(list(&spdx, "/packages"), "/annotations/0/comment").into_iter().collect();
    for id in ids.iter().chain(&cves) {
        assert!(said.contains(id), "{id} in {said}");
    }
    let contained = list(&spdx, "/relationships").iter();
    assert_eq!(contained.filter(|r| r["relationshipType"] == "CONTAINS").count(), 2);
}

#[test]
fn hostile_names_are_data() {
    let site = Site::of(&[hostile_npm()]);
    let plain = site.scan("json");
    assert_eq!(plain["findings"][0]["packages"][0]["name"], HOSTILE);
    let purl = &plain["findings"][0]["packages"][0]["purl"];

    let sarif = site.scan("sarif");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["properties"]["name"], HOSTILE);
    assert_eq!(result["properties"]["path"], HOSTILE_PATH);
    let place = &result["locations"][0];
    assert_eq!(&place["logicalLocations"][0]["fullyQualifiedName"], purl);
    assert_eq!(
        place["physicalLocation"]["artifactLocation"]["uri"],
        "app/node_modules/a%20b%3A%23%2525%C3%A9/package.json"
    );
    let message = result["message"]["text"].as_str().expect("text");
    assert!(!message.contains("](") && !message.contains(['\u{1b}', '\u{202e}']), "{message:?}");

    let component = &site.scan("cyclonedx")["components"][0];
    assert_eq!((&component["name"], &component["purl"]), (&json!(HOSTILE), purl));

    let spdx = site.scan("spdx");
    let package = &list(&spdx, "/packages")[1];
    assert_eq!(package["name"], HOSTILE);
    assert_eq!(&package["externalRefs"][0]["referenceLocator"], purl);
    let id = package["SPDXID"].as_str().and_then(|id| id.strip_prefix("SPDXRef-")).expect("an id");
    assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-'), "{id}");
}

#[test]
fn suppressed_findings_are_marked_and_pass_the_gate() {
    let site = Site::of(&[debian("linux-libc-dev", "6.1.52-1")]);
    let (plain, code) = site.scan_with("json", &["--fail-on", "low"]);
    let why = &plain["findings"][0]["suppressed"];
    assert!(why.is_string(), "headers hold no code: {plain}");
    assert_eq!(code, Some(0));

    let sarif = site.scan("sarif");
    assert_eq!(&sarif["runs"][0]["results"][0]["suppressions"][0]["justification"], why);
    let cyclonedx = site.scan("cyclonedx");
    let found = &cyclonedx["vulnerabilities"][0];
    assert_eq!(found["analysis"], json!({ "state": "not_affected", "detail": why }));
    assert_eq!(found["affects"][0]["versions"][0]["status"], "unaffected");
    let spdx = site.scan("spdx");
    let package = &list(&spdx, "/packages")[2];
    let comment = package["annotations"][0]["comment"].as_str().expect("text");
    assert!(
        comment.ends_with(&format!("suppressed: {}", why.as_str().expect("text"))),
        "{comment}"
    );
}

#[test]
fn what_was_not_assessed_is_said_in_every_report() {
    let site = Site::of(&[distribution("ID=nobodyknows\nVERSION_ID=1\n")]);
    let plain = site.scan("json");
    assert_eq!(plain["status"], "not_applicable");
    let cause = plain["cause"].as_str().expect("a cause");

    let sarif = site.scan("sarif");
    let said = &sarif["runs"][0]["invocations"][0]["toolExecutionNotifications"][0];
    assert_eq!(said["message"]["text"], format!("not applicable: {cause}"));
    let cyclonedx = site.scan("cyclonedx");
    let properties = list(&cyclonedx, "/metadata/properties");
    for (name, value) in [("lazaret:status", "not_applicable"), ("lazaret:cause", cause)] {
        assert!(properties.contains(&json!({ "name": name, "value": value })), "{properties:?}");
    }
    let spdx = site.scan("spdx");
    assert_eq!(spdx["comment"], format!("status: not_applicable\ncause: {cause}"));
}

#[test]
fn reports_of_the_same_image_differ_in_time_alone() {
    let site = Site::of(&[debian("a", "1"), python("shop", "1.0")]);
    let times = [
        ("sarif", "/runs/0/invocations/0/endTimeUtc"),
        ("cyclonedx", "/metadata/timestamp"),
        ("spdx", "/creationInfo/created"),
    ];
    for (format, time) in times {
        let without_time = || {
            let mut report = site.scan(format);
            assert!(report.pointer(time).is_some_and(Value::is_string), "{format} has {time}");
            *report.pointer_mut(time).expect("a time") = Value::Null;
            for package in report["packages"].as_array_mut().into_iter().flatten() {
                for annotation in package["annotations"].as_array_mut().into_iter().flatten() {
                    annotation["annotationDate"] = Value::Null;
                }
            }
            report
        };
        assert_eq!(without_time(), without_time(), "{format}");
    }
}

#[test]
fn a_gate_says_no_in_every_format() {
    let (bad, good) = (Site::of(&[python("shop", "1.0")]), Site::of(&[python("shop", "1.1")]));
    for format in ["json", "sarif", "cyclonedx", "spdx"] {
        let code = |site: &Site, extra: &[&str]| site.scan_with(format, extra).1;
        assert_eq!(code(&bad, &[]), Some(0), "{format}: without a gate");
        assert_eq!(code(&bad, &["--fail-on", "critical"]), Some(1), "{format}");
        assert_eq!(code(&good, &["--fail-on", "low"]), Some(0), "{format}");
    }
}

#[test]
fn an_inventory_lists_packages_and_judges_nothing() {
    let site = Site::of(&[python("shop", "1.0")]);
    let list_as = |format: &str| lazaret(&["inventory", &site.target, "--format", format]);
    let parse = |format: &str| -> Value {
        serde_json::from_slice(&list_as(format).stdout).expect("a JSON document")
    };
    let cyclonedx = parse("cyclonedx");
    assert_eq!(cyclonedx["components"][0]["purl"], "pkg:pypi/shop@1.0");
    assert!(cyclonedx.get("vulnerabilities").is_none());
    let spdx = parse("spdx");
    assert_eq!(spdx["packages"][1]["versionInfo"], "1.0");
    assert!(spdx["packages"][1].get("annotations").is_none());
    assert_eq!(list_as("sarif").status.code(), Some(2), "SARIF is for findings");
}
