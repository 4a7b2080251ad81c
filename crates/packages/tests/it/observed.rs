//! Versions from the wild, read from the advisory data beside the project.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Enough variety, without reading for minutes.
const VERSIONS_MAX: usize = 20_000;

/// The advisories folder, or a loud remark that there is none.
fn advisories() -> Option<PathBuf> {
    let shared = std::env::var_os("LAZARET_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let folder = shared.join("advisories");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: versions from the wild, {} is not there", folder.display());
    None
}

/// Every version that OSV records of an ecosystem name.
pub fn osv(ecosystem: &str) -> Vec<String> {
    let Some(folder) = advisories() else { return Vec::new() };
    let path = folder.join("osv").join(ecosystem).join("all.zip");
    let mut archive = zip::ZipArchive::new(File::open(&path).expect("the OSV archive opens"))
        .expect("it is a zip");
    let mut found = BTreeSet::new();
    // Evenly over the archive, not only its first records.
    let step = (archive.len() / 2000).max(1);
    for index in (0..archive.len()).step_by(step) {
        let mut text = String::new();
        archive.by_index(index).expect("entry").read_to_string(&mut text).expect("UTF-8");
        let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for affected in record["affected"].as_array().into_iter().flatten() {
            let listed = affected["versions"].as_array().into_iter().flatten();
            let events = affected["ranges"].as_array().into_iter().flatten();
            let events = events.flat_map(|range| range["events"].as_array().into_iter().flatten());
            let bounds =
                events.flat_map(|event| event.as_object().into_iter().flat_map(|map| map.values()));
            found.extend(listed.chain(bounds).filter_map(|v| v.as_str()).map(str::to_owned));
        }
        if found.len() > VERSIONS_MAX {
            break;
        }
    }
    println!("{ecosystem}: {} versions from the wild", found.len());
    found.into_iter().collect()
}
