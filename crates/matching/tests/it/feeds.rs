//! Builds an index from documents as feeds serve them.

use std::sync::Arc;

use advisories::segment::compile;
use advisories::{Import, Index, Segment};

/// Imports documents by their contents; those of `export` as one OSV export.
pub fn index(documents: &[&str], export: &[&str]) -> Index {
    let mut import = Import::new();
    for document in documents {
        assert!(import.document("test", document.as_bytes()).is_some(), "{document}");
    }
    if !export.is_empty() {
        import.osv_export(export.iter().map(|text| ("test".to_owned(), text.as_bytes())));
    }
    let segments = import.finish(&Index::default(), 1_700_000_000).0.into_iter();
    Index::new(
        segments.map(|i| Arc::new(Segment::open(compile(i.draft).unwrap()).unwrap())).collect(),
    )
}

/// An OSV record for PyPI with one range, such as `introduced 0, fixed 2`.
pub fn pypi(id: &str, aliases: &[&str], name: &str, range: &str, extra: &str) -> String {
    let events: Vec<String> = range
        .split(", ")
        .map(|event| {
            let (kind, version) = event.split_once(' ').unwrap();
            format!("{{\"{kind}\":\"{version}\"}}")
        })
        .collect();
    let aliases: Vec<String> = aliases.iter().map(|a| format!("\"{a}\"")).collect();
    format!(
        r#"{{"id":"{id}","modified":"2024-01-02T00:00:00Z","aliases":[{}],"affected":[{{"package":{{"ecosystem":"PyPI","name":"{name}"}},"ranges":[{{"type":"ECOSYSTEM","events":[{}]}}]}}]{extra}}}"#,
        aliases.join(","),
        events.join(",")
    )
}
