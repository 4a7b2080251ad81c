//! Known packages against the real feeds kept beside the project.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use advisories::segment::compile;
use advisories::{Import, Index, Segment};
use matching::match_package;
use packages::{Namespace, Package, PackageType};

fn shared() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let dir = std::env::var_os("LAZARET_SHARED").map_or(beside, PathBuf::from).join("advisories");
    if !dir.is_dir() {
        eprintln!("skipped: no real advisories at {}; set LAZARET_SHARED", dir.display());
        return None;
    }
    Some(dir)
}

fn export(import: &mut Import, path: PathBuf) {
    let mut zip = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let members: Vec<_> = (0..zip.len())
        .map(|number| {
            let mut member = zip.by_index(number).unwrap();
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).unwrap();
            (number.to_string(), bytes)
        })
        .collect();
    import.osv_export(members);
}

fn compiled(import: Import) -> Index {
    let (imported, _) = import.finish(&Index::default(), 0);
    let segments = imported.into_iter().map(|source| {
        let started = Instant::now();
        let (name, report) = (source.draft.source.clone(), source.report);
        let bytes = compile(source.draft).unwrap();
        eprintln!(
            "{name}: {} records, {} statements, {} bytes, compiled in {:?}",
            report.records,
            report.statements,
            bytes.len(),
            started.elapsed()
        );
        Arc::new(Segment::open(bytes).unwrap())
    });
    Index::new(segments.collect())
}

fn cves(index: &Index, namespace: &str, package: &Package) -> Vec<String> {
    let verdict = match_package(index, Some(&Namespace::new(namespace)), package);
    assert!(verdict.assessed && verdict.undetermined.is_empty(), "{verdict:?}");
    let mut out: Vec<String> = verdict.findings.iter().flat_map(|f| f.cves.clone()).collect();
    out.sort();
    for finding in &verdict.findings {
        assert!(index.check(finding.id).is_some(), "{finding:?}");
    }
    eprintln!("{} {}: {} findings {out:?}", package.name, package.version, verdict.findings.len());
    out
}

#[test]
fn python_packages_of_the_sample_image() {
    let Some(dir) = shared() else { return };
    let mut import = Import::new();
    export(&mut import, dir.join("osv/PyPI/all.zip"));
    let index = compiled(import);
    let python = |name: &str, version: &str| {
        cves(&index, "PyPI", &Package::language(PackageType::Pypi, name, version))
    };
    let django = python("Django", "2.2.0");
    assert!(
        django.contains(&"CVE-2019-12308".to_owned())
            && django.contains(&"CVE-2019-19844".to_owned())
    );
    let yaml = python("PyYAML", "5.1");
    assert!(
        yaml.contains(&"CVE-2019-20477".to_owned()) && yaml.contains(&"CVE-2020-14343".to_owned())
    );
    assert!(python("Jinja2", "2.10").contains(&"CVE-2019-10906".to_owned()));
    assert!(!python("PyYAML", "6.0.1").contains(&"CVE-2020-14343".to_owned()));
}

#[test]
fn openssl_of_bookworm() {
    let Some(dir) = shared() else { return };
    let mut import = Import::new();
    for list in ["debian/DSA.list", "debian/DLA.list"] {
        import.document(list, &std::fs::read(dir.join(list)).unwrap());
    }
    let index = compiled(import);
    let openssl = Package {
        kind: PackageType::Deb,
        name: "libssl3".into(),
        version: "3.0.9-1".into(),
        arch: Some("amd64".into()),
        source: Some(packages::SourcePackage { name: "openssl".into(), version: "3.0.9-1".into() }),
    };
    assert!(cves(&index, "Debian:12", &openssl).contains(&"CVE-2023-5363".to_owned()));
}
