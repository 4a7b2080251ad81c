//! The index on disk, with feeds as they are downloaded.

use std::path::PathBuf;

use packages::Namespace;

use super::*;

fn osv(id: &str, package: &str, fixed: &str) -> String {
    format!(
        r#"{{"id":"{id}","modified":"2024-01-01T00:00:00Z","affected":[{{"package":{{"ecosystem":"PyPI","name":"{package}"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}]}}"#
    )
}

fn zip_of(path: &Path, members: &[(&str, String)]) {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, text) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

struct Site {
    dir: tempfile::TempDir,
    db: AdvisoryDb,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = AdvisoryDb::open(dir.path().join("db"));
        Self { dir, db }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn import(&self, names: &[&str]) -> Vec<ImportReport> {
        let paths: Vec<_> = names.iter().map(|n| self.path(n)).collect();
        self.db.import(&paths, 1_700_000_000, &mut |_| {}).unwrap()
    }

    fn known(&self, package: &str) -> usize {
        self.db.load().unwrap().statements(&Namespace::new("PyPI"), package).len()
    }
}

#[test]
fn exports_replace_and_loose_records_add() {
    let site = Site::new();
    assert_eq!(site.db.generation().unwrap(), None);
    assert!(site.db.load().unwrap().feeds().is_empty());

    let names: Vec<String> = (1..20).map(|n| format!("A-{n}.json")).collect();
    let mut members: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), osv(name.trim_end_matches(".json"), "a", "1.0")))
        .collect();
    members.push(("index/x.json", "{}".into()));
    zip_of(&site.path("all.zip"), &members);
    let reports = site.import(&["all.zip"]);
    assert_eq!((reports[0].source.as_str(), reports[0].records), ("osv/PyPI", 19));
    assert_eq!(reports[0].skipped.get("member that is no OSV record"), Some(&1));
    assert_eq!(site.db.generation().unwrap(), Some(1));

    // A reader keeps what it has mapped, whatever is imported meanwhile.
    let reader = site.db.load().unwrap();
    fs::create_dir_all(site.path("loose/nested")).unwrap();
    fs::write(site.path("loose/nested/B-1.json"), osv("B-1", "b", "1.0")).unwrap();
    fs::write(site.path("loose/README"), "hello").unwrap();
    let reports = site.import(&["loose"]);
    assert_eq!(
        reports.iter().map(|r| r.source.as_str()).collect::<Vec<_>>(),
        ["osv/PyPI", "files"]
    );
    assert_eq!((site.known("a"), site.known("b"), site.db.generation().unwrap()), (19, 1, Some(2)));
    assert_eq!(reader.statements(&Namespace::new("PyPI"), "b").len(), 0);

    // A complete export says everything there is: the loose record is gone.
    site.import(&["all.zip"]);
    assert_eq!((site.known("a"), site.known("b")), (19, 0));
    assert_eq!(fs::read_dir(site.path("db/segments")).unwrap().count(), 1);
}

#[test]
fn what_is_no_feed_changes_nothing() {
    let site = Site::new();
    fs::write(site.path("x.json"), "{\"hello\":1}").unwrap();
    fs::write(site.path("broken.zip"), b"PK\x03\x04 broken").unwrap();
    let reports = site.import(&["x.json", "broken.zip"]);
    assert_eq!(
        (reports.len(), reports[0].source.as_str(), reports[0].problems.len()),
        (1, "files", 1)
    );
    assert_eq!(site.db.generation().unwrap(), None);
    let missing = site.db.import(&[site.path("nothing")], 0, &mut |_| {});
    assert!(matches!(missing, Err(AdvisoryDbError::Io { .. })));
}

#[test]
fn two_imports_do_not_run_at_once() {
    let site = Site::new();
    fs::write(site.path("a.json"), osv("A-1", "a", "1.0")).unwrap();
    let held = site.db.lock().unwrap();
    let second = site.db.import(&[site.path("a.json")], 0, &mut |_| {});
    assert!(matches!(second, Err(AdvisoryDbError::Busy(_))));
    drop(held);
    site.import(&["a.json"]);
    assert_eq!(site.known("a"), 1);
}

#[test]
fn a_damaged_index_says_so_and_can_be_replaced() {
    let site = Site::new();
    zip_of(&site.path("all.zip"), &[("A-1.json", osv("A-1", "a", "1.0"))]);
    site.import(&["all.zip"]);
    let segment = fs::read_dir(site.path("db/segments")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    assert!(matches!(site.db.load(), Err(AdvisoryDbError::Segment { .. })));
    site.import(&["all.zip"]);
    assert_eq!(site.known("a"), 1);
    fs::write(site.path("db/catalogue.json"), "{").unwrap();
    assert!(matches!(site.db.load(), Err(AdvisoryDbError::Catalogue { .. })));
}

#[test]
fn a_packed_index_travels() {
    let (site, other) = (Site::new(), Site::new());
    zip_of(&site.path("all.zip"), &[("A-1.json", osv("A-1", "a", "1.0"))]);
    site.import(&["all.zip"]);
    site.db.pack(&site.path("bundle")).unwrap();
    other.db.unpack(&site.path("bundle")).unwrap();
    assert_eq!(other.known("a"), 1);
    assert_eq!(other.db.load().unwrap().snapshot_id(), site.db.load().unwrap().snapshot_id());
    fs::write(other.path("junk"), "junk").unwrap();
    assert!(other.db.unpack(&other.path("junk")).is_err());
}

/// Counts as the README beside the real feeds gives them.
#[test]
fn real_feeds_import_whole() {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let dir = std::env::var_os("LAZARET_SHARED").map_or(beside, PathBuf::from).join("advisories");
    if !dir.is_dir() {
        eprintln!("skipped: no real advisories at {}; set LAZARET_SHARED", dir.display());
        return;
    }
    let site = Site::new();
    let feeds =
        ["osv/PyPI", "osv/npm", "osv/Debian", "debian", "alpine", "kev", "epss", "eol/debian.csv"];
    let mut records = BTreeMap::new();
    for feed in feeds {
        let started = std::time::Instant::now();
        for report in site.db.import(&[dir.join(feed)], 1_700_000_000, &mut |_| {}).unwrap() {
            eprintln!("{feed}: {report:?} after {:?}", started.elapsed());
            records.insert(report.source, (report.records, report.withdrawn));
        }
    }
    for (source, expected) in [
        ("osv/PyPI", (6_978, 263)),
        ("osv/npm", (5_930, 95)),
        ("osv/Debian", (8_124, 0)),
        ("debian/dsa", (6_410, 0)),
        ("debian/dla", (4_804, 0)),
        ("kev", (1_630, 0)),
        ("epss", (343_854, 0)),
    ] {
        assert_eq!(records.get(source), Some(&expected), "{source}");
    }
    let index = site.db.load().unwrap();
    for namespace in ["Debian:12", "Alpine:v3.18", "PyPI", "npm"] {
        assert!(index.covers(&Namespace::new(namespace)), "{namespace}");
    }
    assert!(!index.covers(&Namespace::new("Alpine:v3.99")));
    let facts = index.cve("CVE-2021-44228");
    assert!(
        facts.kev.is_some_and(|kev| kev.ransomware)
            && facts.epss.is_some_and(|epss| epss.score > 0.9)
    );
    // The starter set kept in the project must stay below 20 MB.
    let segments = fs::read_dir(site.path("db/segments")).unwrap();
    let bytes: u64 = segments.map(|s| s.unwrap().metadata().unwrap().len()).sum();
    eprintln!("{bytes} bytes in all");
    assert!(bytes < 20_000_000, "{bytes}");
}

#[test]
fn a_bag_of_samples_is_no_export() {
    let site = Site::new();
    let members =
        [("a.json", osv("A-1", "a", "1.0")), ("b.txt", "b".into()), ("c.txt", "c".into())];
    zip_of(&site.path("bag.zip"), &members);
    let reports = site.import(&["bag.zip"]);
    assert_eq!((reports[0].source.as_str(), reports[0].problems.len()), ("files", 1));
    assert!(site.db.load().unwrap().feeds().is_empty());
}
