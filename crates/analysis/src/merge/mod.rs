//! Layers laid over each other: the inventory of an image.
//!
//! The layers are applied from the lowest up. After each one it is known which
//! evidence is still there, and where the package databases are, so that a
//! package's origin is the first layer since which it has been there without a
//! break. No file tree is built: a layer is asked about the paths of evidence
//! only.

mod databases;
mod live;
mod overlay;
mod unread;

use std::collections::{BTreeMap, BTreeSet};

use packages::{Inventory, InventoryItem, OsRelease, Package, PackageType, Problem, ProblemKind};

use self::databases::Databases;
use self::live::Live;
use self::overlay::{Overlay, Resolved};
use self::unread::Unread;
use crate::layer::Record;
use crate::{ImageConfig, LayerAnalysis};

/// The inventory of an image from its layers' analyses, in the manifest's
/// order. `None` stands for a layer that could not be analysed; the caller
/// says why in `problems`, which join those found here.
pub fn merge(
    layers: &[Option<&LayerAnalysis>],
    config: Option<&ImageConfig>,
    mut problems: Vec<Problem>,
) -> Inventory {
    let mut overlay = Overlay::default();
    let mut live = Live::default();
    let mut databases = Databases::default();
    for (index, layer) in layers.iter().enumerate() {
        let index = index as u32;
        let Some(layer) = layer else {
            overlay.push_unknown();
            continue;
        };
        let moved = overlay.push(layer);
        let Some(table) = overlay.top() else { continue };
        let changed = live.apply(index, layer, table, &moved);
        databases.update(index, &overlay, &live, changed);
        problems.extend(layer.problems.iter().map(|problem| Problem {
            layer: Some(index),
            path: problem.path.clone(),
            kind: problem.kind,
            message: problem.message.clone(),
        }));
    }
    if let Some(config) = config {
        compare_config(layers, config, &mut problems);
    }
    let os = find_os(&overlay, &live, &mut problems);
    let packages = list_packages(&overlay, &live, &databases, &mut problems);
    databases.complain(&live, &mut problems);
    missing_database(os.as_ref(), &packages, &mut problems);
    problems.sort();
    problems.dedup();
    Inventory { os, packages, problems }
}

/// `etc/os-release` before `usr/lib/os-release` (os-release(5)).
fn find_os(
    overlay: &Overlay<'_>,
    live: &Live<'_>,
    problems: &mut Vec<Problem>,
) -> Option<OsRelease> {
    for path in ["etc/os-release", "usr/lib/os-release"] {
        let Resolved::Path(real) = overlay.resolve(path).end else { continue };
        let Some(item) = live.at(&real) else { continue };
        if let Record::OsRelease(os) = item.record {
            problems.extend(item.problems(&real));
            return Some(os.clone());
        }
    }
    None
}

fn list_packages(
    overlay: &Overlay<'_>,
    live: &Live<'_>,
    databases: &Databases<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<InventoryItem> {
    let mut packages: Vec<InventoryItem> = databases
        .packages()
        .map(|(package, origin, path)| InventoryItem {
            package: package.clone(),
            layer: origin,
            path: path.to_owned(),
            owner: None,
        })
        .collect();
    let owners = owners(overlay, live, databases, &packages);
    let mut unread = Unread::default();
    for (path, item) in live.iter() {
        match item.record {
            Record::Language(package) => packages.push(InventoryItem {
                package: package.clone(),
                layer: item.origin,
                path: path.to_owned(),
                owner: owners.get(path).map(|owner| (*owner).to_owned()),
            }),
            Record::Unread => {}
            Record::UnreadContent(kind) => unread.see(*kind, item.written, path, &owners),
            // Databases and os-release count, and complain, where they are
            // looked for.
            _ => continue,
        }
        problems.extend(item.problems(path));
    }
    unread.complain(problems);
    for (path, item) in databases.files(live) {
        problems.extend(item.problems(path));
    }
    packages.sort();
    packages.dedup();
    packages
}

/// Which distribution package owns which file with evidence, by the file's real
/// path. Only packages that are installed own anything.
fn owners<'a>(
    overlay: &Overlay<'_>,
    live: &Live<'a>,
    databases: &Databases<'a>,
    packages: &[InventoryItem],
) -> BTreeMap<String, &'a str> {
    let installed: BTreeSet<(PackageType, &str)> =
        packages.iter().map(|item| (item.package.kind, item.package.name.as_str())).collect();
    let mut owners = BTreeMap::new();
    let mut folders: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for (kind, path, owner) in databases.owned(live) {
        // The list may come before the package, or outlive it.
        if !installed.contains(&(kind, owner)) {
            continue;
        }
        // A list may name a path through a link, such as lib -> usr/lib. A link
        // of its own does not make a package own what it leads to.
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let real = folders.entry(folder).or_insert_with(|| match overlay.resolve(folder).end {
            Resolved::Path(real) => Some(real),
            _ => None,
        });
        let real = match real.as_deref() {
            Some("") => name.to_owned(),
            Some(folder) => format!("{folder}/{name}"),
            None => continue,
        };
        if live.at(&real).is_some() {
            owners.insert(real, owner);
        }
    }
    owners
}

fn compare_config(
    layers: &[Option<&LayerAnalysis>],
    config: &ImageConfig,
    problems: &mut Vec<Problem>,
) {
    let mut say =
        |layer, kind, message| problems.push(Problem { layer, path: None, kind, message });
    for oddity in &config.oddities {
        say(None, ProblemKind::MalformedConfig, format!("image configuration: {oddity}"));
    }
    if config.diff_ids.len() != layers.len() {
        let (named, has) = (config.diff_ids.len(), layers.len());
        let message =
            format!("image configuration names {named} diff_ids, the manifest has {has} layers");
        say(None, ProblemKind::MalformedConfig, message);
    }
    for (index, (layer, claimed)) in layers.iter().zip(&config.diff_ids).enumerate() {
        let actual = layer.and_then(|layer| layer.diff_id);
        if let (Some(actual), Some(claimed)) = (actual, claimed)
            && actual.algorithm() == claimed.algorithm()
            && actual != *claimed
        {
            let message = format!(
                "uncompressed layer hashes to {actual}, the image configuration says {claimed}"
            );
            say(Some(index as u32), ProblemKind::DiffIdMismatch, message);
        }
    }
}

/// Distributions whose images have a package database, unless somebody took it
/// away: such an image is one whose packages are not known, not one without.
const DPKG_FAMILY: [&str; 2] = ["debian", "ubuntu"];
const APK_FAMILY: [&str; 4] = ["alpine", "wolfi", "chainguard", "postmarketos"];
const RPM_FAMILY: [&str; 15] = [
    "rhel",
    "centos",
    "fedora",
    "rocky",
    "almalinux",
    "ol",
    "amzn",
    "suse",
    "sles",
    "opensuse",
    "opensuse-leap",
    "opensuse-tumbleweed",
    "mariner",
    "azurelinux",
    "photon",
];

fn missing_database(
    os: Option<&OsRelease>,
    packages: &[InventoryItem],
    problems: &mut Vec<Problem>,
) {
    let Some(os) = os else { return };
    let is = |family: &[&str]| {
        std::iter::once(&os.id).chain(&os.id_like).any(|id| family.contains(&id.as_str()))
    };
    let (kind, word) = if is(&DPKG_FAMILY) {
        (PackageType::Deb, "dpkg")
    } else if is(&APK_FAMILY) {
        (PackageType::Apk, "apk")
    } else if is(&RPM_FAMILY) {
        (PackageType::Rpm, "rpm")
    } else {
        return;
    };
    if packages.iter().any(|item| item.package.kind == kind) {
        return;
    }
    problems.push(Problem {
        layer: None,
        path: None,
        kind: ProblemKind::MalformedMetadata,
        message: format!(
            "os-release says {}, but no installed package could be read from a {word} database; it may have been removed",
            os.id
        ),
    });
}

/// A package as a database lists it, with what is known of it.
type Listed<'a> = BTreeMap<&'a Package, (u32, String)>;

#[cfg(test)]
mod tests;
