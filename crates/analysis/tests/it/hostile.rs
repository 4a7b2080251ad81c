//! Images that try to break a scanner: each gets what its `case.json` says.

use std::path::PathBuf;

use packages::{Inventory, ProblemKind};

use crate::layout;

/// Where a case's images are, unless the corpus has none.
fn case(name: &str) -> Option<PathBuf> {
    layout::image(&format!("hostile/{name}"))
}

fn inventories(name: &str) -> Vec<(String, Inventory)> {
    let Some(folder) = case(name) else { return Vec::new() };
    layout::images(&folder)
        .iter()
        .map(|image| (image.tag.clone(), layout::inventory(image)))
        .collect()
}

fn has(inventory: &Inventory, package: &str) -> bool {
    inventory.packages.iter().any(|item| item.package.name == package)
}

/// Every image of the case must hold the canary, have read its os, and have
/// problems with just these layers.
fn check(name: &str, bad_layers: &[u32]) {
    for (tag, inventory) in inventories(name) {
        assert!(has(&inventory, "canary"), "{name} {tag}: {inventory:#?}");
        assert_eq!(inventory.os.as_ref().map(|os| os.id.as_str()), Some("debian"), "{name} {tag}");
        let mut layers: Vec<u32> =
            inventory.problems.iter().filter_map(|problem| problem.layer).collect();
        layers.dedup();
        assert_eq!(layers, bad_layers, "{name} {tag}: {:#?}", inventory.problems);
    }
}

#[test]
fn bombs_are_left_at_a_limit() {
    check("gzip-bomb", &[1]);
    check("zstd-bomb", &[1]);
    check("zstd-window", &[1, 2]);
}

#[test]
fn every_broken_layer_is_named() {
    check("broken-streams", &[1, 2, 3, 4, 5, 6, 7, 8]);
    check("tar-sizes", &[1, 2, 3, 4, 5, 6]);
    check("huge-tar-headers", &[1, 2, 3]);
}

#[test]
fn no_path_leads_out_of_the_image() {
    check("path-traversal", &[1]);
    check("symlink-loops", &[]);
    check("good-symlinks", &[]);
}

#[test]
fn the_scanning_machine_is_not_read() {
    for (_, inventory) in inventories("host-read") {
        assert_eq!(inventory.packages, []);
        assert_eq!(inventory.os, None);
        assert!(!inventory.problems.is_empty(), "never clean");
    }
}

#[test]
fn metadata_out_of_proportion() {
    check("big-metadata", &[1]);
    check("many-files", &[1]);
    check("hostile-names", &[1]);
    check("layers-10000", &[]);
}

#[test]
fn binaries_and_archives_hide_nothing() {
    check("broken-binaries", &[1]);
    check("jar-bomb", &[1]);
    check("deep-jars", &[1]);
    check("tar-oddities", &[]);
    for (case, expected) in [
        ("broken-binaries", &["2 Go programs are not read", "2 Rust programs are not read"][..]),
        ("jar-bomb", &["Java archive"]),
        ("deep-jars", &["2 Java archives are not read"]),
    ] {
        for (_, inventory) in inventories(case) {
            assert_eq!(inventory.problems.len(), expected.len(), "{:#?}", inventory.problems);
            for (problem, part) in inventory.problems.iter().zip(expected) {
                assert_eq!(problem.kind, ProblemKind::UnreadContent);
                assert!(problem.message.contains(part), "{problem:?} does not say {part}");
            }
        }
    }
}

#[test]
fn junk_in_databases() {
    for (_, inventory) in inventories("corrupt-databases") {
        assert!(has(&inventory, "canary"));
        let paths: Vec<_> =
            inventory.problems.iter().filter_map(|problem| problem.path.as_deref()).collect();
        for path in
            ["lib/apk/db/installed", "var/lib/dpkg/status.d/junk", "var/lib/dpkg/status.d/one-line"]
        {
            assert!(paths.contains(&path), "{path}: {:#?}", inventory.problems);
        }
    }
}

#[test]
fn rpm_databases_are_never_silent() {
    check("corrupt-rpmdb", &[2, 4, 8]);
    for (_, inventory) in inventories("corrupt-rpm-headers") {
        assert!(!inventory.problems.is_empty());
    }
}

#[test]
fn an_image_can_be_emptied() {
    for (_, inventory) in inventories("whiteout-all") {
        assert_eq!(
            (inventory.packages.len(), inventory.os, inventory.problems.len()),
            (0, None, 0)
        );
    }
}

#[test]
fn configurations_are_checked() {
    for (_, inventory) in inventories("wrong-diff-id") {
        assert!(has(&inventory, "canary"));
        assert!(
            inventory.problems.iter().any(|problem| problem.kind == ProblemKind::DiffIdMismatch)
        );
    }
    for (tag, inventory) in inventories("odd-configs") {
        match tag.as_str() {
            // An image twice the same layer is in order.
            "same-layer-twice" => assert!(has(&inventory, "canary")),
            "no-layers" => assert_eq!(inventory.packages, []),
            _ => assert!(!inventory.problems.is_empty(), "{tag}: {inventory:#?}"),
        }
    }
    for (tag, inventory) in inventories("deep-json") {
        let malformed =
            inventory.problems.iter().any(|problem| problem.kind == ProblemKind::MalformedConfig);
        assert!(malformed, "{tag}: {inventory:#?}");
    }
}
