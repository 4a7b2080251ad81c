//! Inventories against those that other tools took.

use std::collections::BTreeSet;

use packages::{Inventory, PackageType};
use serde_json::Value;

use crate::layout;

/// Type, name, version, arch, source, source version, layer.
type Row = (String, String, String, String, String, String, u64);

/// npm and pypi names are compared as their registries compare them.
fn normal(kind: &str, name: &str) -> String {
    match kind {
        "pypi" => name.to_lowercase().replace(['_', '.'], "-"),
        _ => name.to_owned(),
    }
}

fn expected_rows(expected: &Value) -> BTreeSet<Row> {
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let ours =
        |package: &&Value| matches!(package["type"].as_str(), Some("deb" | "apk" | "pypi" | "npm"));
    let packages = expected["packages"].as_array().expect("packages");
    packages
        .iter()
        .filter(ours)
        .map(|p| {
            let kind = text(p, "type");
            let name = normal(&kind, &text(p, "name"));
            let layer = p["layer"].as_u64().expect("a layer");
            (
                kind,
                name,
                text(p, "version"),
                text(p, "arch"),
                text(p, "source"),
                text(p, "source_version"),
                layer,
            )
        })
        .collect()
}

fn found_rows(inventory: &Inventory) -> BTreeSet<Row> {
    inventory
        .packages
        .iter()
        .map(|item| {
            let p = &item.package;
            let source = p.source.as_ref().map(|s| s.name.clone()).unwrap_or_default();
            let source_version = match p.kind {
                PackageType::Deb => p.source_version().to_owned(),
                _ => String::new(),
            };
            let kind = p.kind.as_str().to_owned();
            let name = normal(&kind, &p.name);
            (
                kind,
                name,
                p.version.clone(),
                p.arch.clone().unwrap_or_default(),
                source,
                source_version,
                u64::from(item.layer),
            )
        })
        .collect()
}

/// `expected` is the file's stem below `expected/`; `platform` picks from an
/// index.
fn check(image: &str, expected: &str, platform: Option<&str>) {
    let Some(folder) = layout::image(image) else { return };
    let path = folder.with_file_name("expected").join(format!("{expected}.json"));
    let truth: Value =
        serde_json::from_slice(&std::fs::read(path).expect("an expected inventory")).expect("JSON");
    let images = layout::images(&folder);
    let image = images
        .iter()
        .find(|image| platform.is_none_or(|platform| image.platform == platform))
        .expect("an image of that platform");
    let inventory = layout::inventory(image);
    let (expected, found) = (expected_rows(&truth), found_rows(&inventory));
    assert!(!expected.is_empty());
    let missing: Vec<_> = expected.difference(&found).collect();
    let extra: Vec<_> = found.difference(&expected).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing {missing:#?}\nextra {extra:#?}");
    assert_eq!(inventory.problems, [], "a good image has no problems");
    let os = inventory.os.as_ref();
    assert_eq!(truth["os"]["id"].as_str(), os.map(|os| os.id.as_str()));
    assert_eq!(truth["os"]["version_id"].as_str(), os.and_then(|os| os.version_id.as_deref()));
}

#[test]
fn debian_bookworm() {
    check("debian-bookworm", "debian-bookworm", None);
}

#[test]
fn debian_sid() {
    check("debian-sid", "debian-sid", None);
}

#[test]
fn distroless_base_of_both_architectures() {
    check("distroless-base", "distroless-base.amd64", Some("amd64"));
    check("distroless-base", "distroless-base.arm64", Some("arm64"));
}

#[test]
fn distroless_python() {
    check("distroless-python", "distroless-python", None);
}

#[test]
fn ubuntu_bionic() {
    check("ubuntu-bionic-status", "ubuntu-bionic-status", None);
}

#[test]
fn alpine() {
    check("alpine-3.16", "alpine-3.16", None);
    check("alpine-3.18", "alpine-3.18", None);
}

#[test]
fn python_app() {
    check("python-app", "python-app", None);
}

#[test]
fn node_app() {
    check("node-app", "node-app", None);
}
