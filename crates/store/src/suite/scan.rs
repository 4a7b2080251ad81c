//! Cases for [`ScanStore`].

use bytes::Bytes;
use matching::Status;
use oci::descriptor::Annotations;
use oci::{Digest, RepositoryName};
use packages::{InventoryItem, Namespace, Package, PackageType, SourcePackage};
use time::OffsetDateTime;

use super::policy::rules;
use crate::policy::{DeleteMode, PushRules};
use crate::scan::{
    DueImage, FailedScan, FindingChange, ImagePackage, ImagePlatform, ImageRecord, ImageTotals,
    PackageMatch, ScanFailure, ScanStore, SeverityCounts, StoredFinding, StoredPackage,
};
use crate::{Database, NewManifest, RegistryStore};

/// Every case.
pub async fn run(store: &dyn Database) {
    an_analysis_is_never_rewritten(store).await;
    a_package_exists_once(store).await;
    names_of_any_length_and_any_text_are_kept(store).await;
    an_image_counts_each_check_once(store).await;
    advisories_change_the_images_that_hold_the_package(store).await;
    an_older_generation_changes_nothing(store).await;
    a_failure_leaves_what_was_known(store).await;
    images_wait_until_they_are_inspected(store).await;
    findings_are_found(store).await;
    packages_that_nobody_judges_make_no_clean_bill(store).await;
    facts_are_rewritten(store).await;
}

fn digest(text: &str) -> Digest {
    Digest::sha256(text.as_bytes())
}

fn package(namespace: &str, name: &str, version: &str) -> ImagePackage {
    let package = Package {
        kind: PackageType::Deb,
        name: name.to_owned(),
        version: version.to_owned(),
        arch: Some("amd64".into()),
        source: Some(SourcePackage { name: name.to_owned(), version: version.to_owned() }),
    };
    ImagePackage {
        namespace: Some(Namespace::new(namespace)),
        match_name: name.to_owned(),
        item: InventoryItem { package, layer: 0, path: "var/lib/dpkg/status".into(), owner: None },
        judged: true,
    }
}

fn finding(id: u64, severity: u8, patchable: bool) -> StoredFinding {
    StoredFinding {
        finding_id: id,
        severity,
        patchable,
        suppressed: None,
        title: format!("Security Update {id}"),
        category: "Debian".into(),
        detail: format!("{{\"cves\":[\"CVE-2024-{id}\"]}}"),
    }
}

fn matched(package: &StoredPackage, findings: Vec<StoredFinding>) -> PackageMatch {
    PackageMatch { package_id: package.id, unassessed: None, undetermined: vec![], findings }
}

fn record(image: Digest, packages: Vec<(i64, ImagePackage)>) -> ImageRecord {
    ImageRecord {
        digest: image,
        analyser_version: 3,
        trigger: "push".into(),
        started_at: 10,
        finished_at: 20,
        platform: ImagePlatform {
            os: "linux".into(),
            architecture: "arm64".into(),
            variant: Some("v8".into()),
        },
        os: None,
        problems: vec![],
        inapplicable: None,
        failure: None,
        layers: vec![digest("layer b"), digest("layer a"), digest("layer b")],
        packages,
    }
}

fn ids(stored: &[StoredPackage], packages: &[ImagePackage]) -> Vec<(i64, ImagePackage)> {
    stored.iter().map(|p| p.id).zip(packages.iter().cloned()).collect()
}

async fn hold(store: &dyn RegistryStore, repository: &str, bytes: &'static str, pushed_at: i64) {
    let manifest = NewManifest {
        digest: digest(bytes),
        media_type: oci::media_type::OCI_MANIFEST.into(),
        bytes: Bytes::from_static(bytes.as_bytes()),
        artifact_type: None,
        annotations: Annotations::new(),
        subject: None,
        references: vec![],
        tags: vec![],
        pushed_at: OffsetDateTime::from_unix_timestamp(pushed_at).unwrap(),
        pushed_by: "suite".into(),
    };
    store
        .put_manifest(&RepositoryName::parse(repository).unwrap(), &manifest, &PushRules::default())
        .await
        .unwrap();
}

async fn an_analysis_is_never_rewritten(store: &dyn ScanStore) {
    let layer = digest("analysed");
    assert_eq!(store.layer_analysis(&layer, 1).await.unwrap(), None);
    store.save_layer_analysis(&layer, 1, b"first\0", 5).await.unwrap();
    store.save_layer_analysis(&layer, 1, b"second", 6).await.unwrap();
    store.save_layer_analysis(&layer, 2, b"newer", 7).await.unwrap();
    assert_eq!(store.layer_analysis(&layer, 1).await.unwrap().as_deref(), Some(&b"first\0"[..]));
    assert_eq!(store.layer_analysis(&layer, 2).await.unwrap().as_deref(), Some(&b"newer"[..]));
}

async fn a_package_exists_once(store: &dyn ScanStore) {
    let mut unjudged = package("x", "intern-b", "1");
    unjudged.namespace = None;
    unjudged.item.package.source = None;
    unjudged.item.package.arch = None;
    let asked = [
        package("Interned:1", "intern-b", "1"),
        package("Interned:1", "intern-a", "1"),
        package("Interned:1", "intern-b", "1"),
        unjudged,
    ];
    let first = store.intern_packages(&asked).await.unwrap();
    assert_eq!(first[0].id, first[2].id, "asked twice, there once");
    assert!(first[0].id != first[1].id && first[0].id != first[3].id);
    assert_eq!(first[3].namespace, None);
    let again = store.intern_packages(&[asked[1].clone(), asked[3].clone()]).await.unwrap();
    assert_eq!([again[0].id, again[1].id], [first[1].id, first[3].id]);

    let namespace = Namespace::new("Interned:1");
    let named = [(namespace.clone(), "intern-a".to_owned()), (namespace.clone(), "none".into())];
    let found = store.packages_named(&named).await.unwrap();
    assert_eq!(found, [first[1].clone()]);
    let of = store.packages_of(&namespace, 0, 9).await.unwrap();
    assert_eq!(of.len(), 2);
    assert_eq!(store.packages_of(&namespace, of[0].id, 9).await.unwrap(), of[1..]);
    assert_eq!(of[0].package.arch.as_deref(), Some("amd64"));
}

/// Whoever made the image wrote its names, its paths and whatever is in them.
async fn names_of_any_length_and_any_text_are_kept(store: &dyn ScanStore) {
    let long: String =
        (0..9_000u32).filter_map(|i| char::from_u32(0x4e00 + i * 7 % 20_000)).collect();
    let mut hostile = package(&long, &format!("{long}a"), "1\0'\"\\ \u{10ffff}");
    hostile.item.path = format!("{long}\0");
    hostile.item.owner = Some("o\0".into());
    let mut other = hostile.clone();
    other.item.package.name = format!("{long}b");
    other.match_name = format!("{long}b");
    let asked = [hostile, other];
    let stored = store.intern_packages(&asked).await.unwrap();
    assert!(stored[0].id != stored[1].id, "names that begin alike are two names");
    let again = store.intern_packages(&asked).await.unwrap();
    assert_eq!([stored[0].id, stored[1].id], [again[0].id, again[1].id]);

    let image = digest("hostile");
    let record = record(image, ids(&stored, &asked));
    let bad = StoredFinding { title: "t\0".into(), detail: "\0".into(), ..finding(66, 1, false) };
    let one = PackageMatch {
        unassessed: Some("u\0".into()),
        undetermined: vec!["v\0".into()],
        ..matched(&stored[0], vec![bad])
    };
    store.save_image(&record, std::slice::from_ref(&one), 1, &|_, _| "c\0".into()).await.unwrap();
    let packages = store.image_packages(&image).await.unwrap();
    assert_eq!(packages[0].item.path, format!("{long}\u{fffd}"), "a NUL is replaced");
    assert_eq!(packages[0].item.package.version, "1\u{fffd}'\"\\ \u{10ffff}");
    let changed = store.apply_matches(&[one], 2, &|_, _| "c".into(), 30).await.unwrap();
    assert_eq!(changed, [], "what was replaced is no change");
    let of = store.packages_of(&Namespace::new(&long), 0, 9).await.unwrap();
    assert_eq!(of.len(), 2);
}

async fn an_image_counts_each_check_once(store: &dyn ScanStore) {
    let mut owned = package("Counted:1", "count-owned", "1");
    owned.judged = false;
    let mut elsewhere = package("Counted:1", "count-a", "1");
    elsewhere.item.layer = 2;
    let asked = [
        package("Counted:1", "count-a", "1"),
        package("Counted:1", "count-b", "1"),
        owned,
        elsewhere,
    ];
    let stored = store.intern_packages(&asked).await.unwrap();
    let hidden = StoredFinding { suppressed: Some("unimportant".into()), ..finding(204, 4, true) };
    let matches = [
        matched(&stored[0], vec![finding(201, 2, true), finding(202, 3, true), hidden]),
        matched(&stored[1], vec![finding(201, 4, false), finding(203, 0, true)]),
        matched(&stored[2], vec![finding(205, 4, true)]),
    ];
    let record = record(digest("counted"), ids(&stored, &asked));
    let image = store.save_image(&record, &matches, 1, &|_, _| "seen".into()).await.unwrap();
    assert_eq!(
        image.severities,
        SeverityCounts { critical: 1, high: 1, medium: 0, low: 0, unscored: 1 },
        "the worst severity of a check counts; suppressed ones and those of owned files do not"
    );
    assert_eq!((image.packages, image.patchable, image.status), (3, 2, Status::Unhealthy));
    assert_eq!((image.analyser_version, image.attempts, image.revision), (3, 0, 2));
    assert_eq!(image.platform, record.platform);
    assert_eq!(store.image(&record.digest).await.unwrap(), Some(image.clone()));
    assert_eq!(store.image(&digest("no image")).await.unwrap(), None);
    let many = [digest("no image"), record.digest];
    assert_eq!(store.images(&many).await.unwrap(), [image]);

    let rows = store.image_findings(&record.digest).await.unwrap();
    assert_eq!(rows.len(), 8, "on every place of a package that is judged");
    assert!(rows.iter().all(|row| row.finding.finding_id != 205));
    let packages = store.image_packages(&record.digest).await.unwrap();
    let seen: Vec<_> = packages
        .iter()
        .map(|p| (p.item.package.name.as_str(), p.item.layer, p.judged, p.findings))
        .collect();
    let expected = [
        ("count-a", 0, true, 2),
        ("count-a", 2, true, 2),
        ("count-b", 0, true, 2),
        ("count-owned", 0, false, 0),
    ];
    assert_eq!(seen, expected);

    // The same image again, with fewer packages.
    let fewer = ImageRecord { packages: record.packages[1..2].to_vec(), ..record };
    let image = store.save_image(&fewer, &[], 1, &|_, _| "seen".into()).await.unwrap();
    assert_eq!((image.packages, image.severities.total()), (1, 2));
}

async fn advisories_change_the_images_that_hold_the_package(store: &dyn ScanStore) {
    let asked = [package("Fresh:1", "fresh", "1"), package("Fresh:1", "calm", "1")];
    let stored = store.intern_packages(&asked).await.unwrap();
    let (with, without) = (digest("with fresh"), digest("without fresh"));
    let all = ids(&stored, &asked);
    store.save_image(&record(with, all.clone()), &[], 1, &|_, _| "push".into()).await.unwrap();
    store
        .save_image(&record(without, all[1..].to_vec()), &[], 1, &|_, _| "push".into())
        .await
        .unwrap();
    let apply = async |findings, generation, at| {
        let matches = [matched(&stored[0], findings), matched(&stored[1], vec![])];
        let cause = |change: FindingChange, f: &StoredFinding| {
            format!("{} {}", change.as_str(), f.finding_id)
        };
        store.apply_matches(&matches, generation, &cause, at).await.unwrap()
    };
    assert_eq!(apply(vec![finding(301, 3, true)], 2, 100).await, [with]);
    assert_eq!(apply(vec![finding(301, 3, true)], 3, 200).await, [], "nothing new");
    assert_eq!(apply(vec![finding(301, 4, true)], 4, 300).await, [with]);
    assert_eq!(store.image(&with).await.unwrap().unwrap().severities.critical, 1);
    assert_eq!(store.image_findings(&with).await.unwrap()[0].opened_at, 100);
    assert_eq!(apply(vec![], 5, 400).await, [with]);
    assert_eq!(store.image(&with).await.unwrap().unwrap().severities.total(), 0);

    let history = store.image_history(&with, 9).await.unwrap();
    let lines: Vec<_> = history.iter().map(|e| (e.at, e.event.as_str(), e.severity)).collect();
    assert_eq!(lines, [(400, "closed", 4), (300, "changed", 4), (100, "opened", 3)]);
    assert_eq!(history[0].cause, "closed 301");
    assert_eq!(history[0].package, ("fresh".to_owned(), "1".to_owned()));
    assert_eq!(store.image_history(&with, 1).await.unwrap(), history[..1]);
    assert_eq!(store.image_history(&without, 9).await.unwrap(), []);
}

async fn an_older_generation_changes_nothing(store: &dyn ScanStore) {
    let asked = [package("Late:1", "late", "1")];
    let stored = store.intern_packages(&asked).await.unwrap();
    assert_eq!(stored[0].generation, 0, "never matched");
    let apply = async |findings, generation| {
        let matches = [matched(&stored[0], findings)];
        store.apply_matches(&matches, generation, &|_, _| "x".into(), 1).await.unwrap();
    };
    apply(vec![finding(401, 1, false)], 70).await;
    apply(vec![], 69).await;
    let named = [(Namespace::new("Late:1"), "late".to_owned())];
    assert_eq!(store.packages_named(&named).await.unwrap()[0].generation, 70);
    let found = store.search_findings("CVE-2024-401", 9).await.unwrap();
    assert_eq!(found, [finding(401, 1, false)], "the later one stands");

    let behind = |generation| store.packages_behind(generation, stored[0].id - 1, 1);
    assert_eq!(behind(71).await.unwrap()[0].id, stored[0].id);
    assert!(behind(70).await.unwrap().iter().all(|p| p.id != stored[0].id));
}

async fn a_failure_leaves_what_was_known(store: &dyn ScanStore) {
    let asked = [package("Failing:1", "failing", "1")];
    let stored = store.intern_packages(&asked).await.unwrap();
    let image = digest("failing");
    let failed = |message: &str, attempts| FailedScan {
        digest: image,
        analyser_version: 3,
        trigger: "catch_up".into(),
        started_at: 30,
        finished_at: 40,
        failure: ScanFailure { message: message.into(), attempts, retry_at: Some(50) },
    };
    store.save_failed_scan(&failed("bomb\0", 1)).await.unwrap();
    let seen = store.image(&image).await.unwrap().unwrap();
    assert_eq!(seen.cause.as_deref(), Some("the scan failed: bomb\u{fffd}"));
    assert_eq!((seen.status, seen.attempts), (Status::NotApplicable, 1));

    let good = record(image, ids(&stored, &asked));
    let matches = [matched(&stored[0], vec![finding(501, 2, true)])];
    let seen = store.save_image(&good, &matches, 1, &|_, _| "x".into()).await.unwrap();
    assert_eq!((seen.failure, seen.attempts, seen.status), (None, 0, Status::Unhealthy));
    store.save_failed_scan(&failed("again", 2)).await.unwrap();
    let after = store.image(&image).await.unwrap().unwrap();
    assert_eq!((after.failure.as_deref(), after.attempts), (Some("again"), 2));
    assert_eq!((after.status, after.severities.medium), (Status::Unhealthy, 1));
    assert_eq!(after.revision, seen.revision + 1);
}

async fn images_wait_until_they_are_inspected(store: &dyn Database) {
    hold(store, "due/b", "due 2", 2).await;
    hold(store, "due/a", "due 2", 3).await;
    hold(store, "due/a", "due 1", 1).await;
    let due = async |version, now, attempts_max| -> Vec<DueImage> {
        let mut due = store.due_images(version, now, attempts_max, 99).await.unwrap();
        due.retain(|image| image.repository.starts_with("due/"));
        due
    };
    let waiting = |bytes: &str, attempts| DueImage {
        digest: digest(bytes),
        repository: "due/a".into(),
        attempts,
    };
    let both = [waiting("due 1", 0), waiting("due 2", 0)];
    assert_eq!(due(3, 0, 5).await, both, "once each, the oldest push first");
    store.save_image(&record(digest("due 2"), vec![]), &[], 1, &|_, _| "x".into()).await.unwrap();
    assert_eq!(due(3, 0, 5).await, both[..1]);
    assert_eq!(due(4, 0, 5).await, both, "older analysers made it");
    let failed = FailedScan {
        digest: digest("due 1"),
        analyser_version: 3,
        trigger: "push".into(),
        started_at: 1,
        finished_at: 2,
        failure: ScanFailure { message: "x".into(), attempts: 2, retry_at: Some(50) },
    };
    store.save_failed_scan(&failed).await.unwrap();
    assert_eq!(due(3, 49, 5).await, []);
    assert_eq!(due(3, 50, 5).await, [waiting("due 1", 2)]);
    assert_eq!(due(3, 50, 2).await, [], "tried often enough");

    hold(store, "due/a", "due 3", 4).await;
    hold(store, "due/b", "due 3", 5).await;
    store
        .delete_manifest(
            &RepositoryName::parse("due/a").unwrap(),
            &digest("due 3"),
            &rules(DeleteMode::Single),
        )
        .await
        .unwrap();
    let elsewhere = DueImage { repository: "due/b".into(), ..waiting("due 3", 0) };
    assert_eq!(due(3, 0, 5).await, [elsewhere]);
    store
        .delete_manifest(
            &RepositoryName::parse("due/b").unwrap(),
            &digest("due 3"),
            &rules(DeleteMode::Single),
        )
        .await
        .unwrap();
    assert_eq!(due(3, 0, 5).await, [], "nobody holds it any more");
    hold(store, "due/a", "due 3", 6).await;
    assert_eq!(due(3, 0, 5).await, [waiting("due 3", 0)], "and now again");
    store
        .delete_manifest(
            &RepositoryName::parse("due/a").unwrap(),
            &digest("due 3"),
            &rules(DeleteMode::Single),
        )
        .await
        .unwrap();

    let totals = store.image_totals(Some("due/a")).await.unwrap();
    assert_eq!((totals.total, totals.not_applicable, totals.failed), (2, 2, 1));
    assert_eq!(store.image_totals(Some("due/none")).await.unwrap(), ImageTotals::default());
    assert!(store.image_totals(None).await.unwrap().total >= 2);
}

async fn findings_are_found(store: &dyn Database) {
    let asked = [package("Found:1", "found", "1"), package("Found:1", "found-too", "1")];
    let stored = store.intern_packages(&asked).await.unwrap();
    let images = ["found 1", "found 2"];
    for (image, at) in images.into_iter().zip(1..) {
        hold(store, "found", image, at).await;
        let matches = stored.iter().map(|p| matched(p, vec![finding(601, 4, true)]));
        let record = record(digest(image), ids(&stored, &asked));
        let matches: Vec<_> = matches.collect();
        store.save_image(&record, &matches, 1, &|_, _| "x".into()).await.unwrap();
    }
    let mut with = store.images_with_finding(601, 9).await.unwrap();
    with.sort_unstable();
    let mut expected = images.map(digest);
    expected.sort_unstable();
    assert_eq!(with, expected);
    assert_eq!(store.images_with_finding(601, 1).await.unwrap().len(), 1);

    assert_eq!(store.search_findings("cve-2024-60", 9).await.unwrap(), [finding(601, 4, true)]);
    assert_eq!(store.search_findings("SECURITY update 601", 9).await.unwrap().len(), 1);
    assert_eq!(store.search_findings("%", 9).await.unwrap(), [], "no pattern");

    let newest = store.newest_findings(4, 99).await.unwrap();
    let mut of_this: Vec<_> =
        newest.iter().filter(|(_, row)| row.finding.finding_id == 601).map(|(d, _)| *d).collect();
    of_this.sort_unstable();
    assert_eq!(of_this, expected, "once per image, whatever the packages");
    let (_, row) = newest.iter().find(|(_, row)| row.finding.finding_id == 601).unwrap();
    assert_eq!((row.package_id, row.item.path.as_str()), (stored[0].id, "var/lib/dpkg/status"));
    assert_eq!(store.newest_findings(0, 1).await.unwrap().len(), 1);
    assert!(
        store
            .newest_findings(0, 99)
            .await
            .unwrap()
            .iter()
            .all(|(_, r)| r.finding.finding_id != 202),
        "images that no repository holds are not listed"
    );
}

async fn packages_that_nobody_judges_make_no_clean_bill(store: &dyn ScanStore) {
    let asked = [package("Odd:1", "odd", "1"), package("Odd:1", "even", "1")];
    let stored = store.intern_packages(&asked).await.unwrap();
    let matches = [
        PackageMatch { unassessed: Some("no feed".into()), ..matched(&stored[0], vec![]) },
        PackageMatch { undetermined: vec!["odd version".into()], ..matched(&stored[1], vec![]) },
    ];
    let odd = record(digest("odd"), ids(&stored, &asked));
    let image = store.save_image(&odd, &matches, 1, &|_, _| "x".into()).await.unwrap();
    assert_eq!(image.status, Status::NotApplicable);
    let packages = store.image_packages(&odd.digest).await.unwrap();
    assert_eq!(packages[0].undetermined, ["odd version"]);
    assert_eq!(packages[1].unassessed.as_deref(), Some("no feed"));

    let clear: Vec<_> = stored.iter().map(|p| matched(p, vec![])).collect();
    assert_eq!(store.apply_matches(&clear, 2, &|_, _| "x".into(), 1).await.unwrap(), [odd.digest]);
    let image = store.image(&odd.digest).await.unwrap().unwrap();
    assert_eq!((image.status, image.cause), (Status::Healthy, None));

    assert_eq!(store.mark_for_rescan(&Namespace::new("Odd:1")).await.unwrap(), 1);
    assert_eq!(store.image(&odd.digest).await.unwrap().unwrap().analyser_version, 0);
    assert_eq!(store.mark_for_rescan(&Namespace::new("Odd:2")).await.unwrap(), 0);

    let inapplicable = ImageRecord { inapplicable: Some("an artifact".into()), ..odd };
    let image = store.save_image(&inapplicable, &[], 1, &|_, _| "x".into()).await.unwrap();
    assert_eq!(image.cause.as_deref(), Some("an artifact"));
}

async fn facts_are_rewritten(store: &dyn ScanStore) {
    assert_eq!(store.scan_fact("suite").await.unwrap(), None);
    assert_eq!(store.ensure_scan_fact("kept", "first").await.unwrap(), "first");
    assert_eq!(store.ensure_scan_fact("kept", "second").await.unwrap(), "first");
    store.set_scan_fact("suite", "one").await.unwrap();
    store.set_scan_fact("suite", "two").await.unwrap();
    assert_eq!(store.scan_fact("suite").await.unwrap().as_deref(), Some("two"));
}
