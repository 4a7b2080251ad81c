//! One rule of accuracy per test, on feeds small enough to read.

use advisories::{Index, Severity};
use matching::{FixState, Outcome, PackageVerdict, Status, assess, explain, match_package};
use packages::{
    Inventory, InventoryItem, Namespace, OsRelease, Package, PackageType, Problem, ProblemKind,
    SourcePackage,
};

use crate::feeds::{index, pypi};

fn deb(name: &str, version: &str, source: &str, source_version: &str) -> Package {
    Package {
        kind: PackageType::Deb,
        name: name.into(),
        version: version.into(),
        arch: Some("amd64".into()),
        source: Some(SourcePackage { name: source.into(), version: source_version.into() }),
    }
}

fn python(name: &str, version: &str) -> Package {
    Package::language(PackageType::Pypi, name, version)
}

fn debian(release: &str) -> Option<OsRelease> {
    Some(OsRelease::parse(format!("ID=debian\nVERSION_ID={release}").as_bytes()))
}

fn image(os: Option<OsRelease>, packages: &[Package]) -> Inventory {
    let item = |package: &Package| InventoryItem {
        package: package.clone(),
        layer: 0,
        path: "x".into(),
        owner: None,
    };
    Inventory { os, packages: packages.iter().map(item).collect(), problems: Vec::new() }
}

fn judged(index: &Index, namespace: &str, package: &Package) -> PackageVerdict {
    let verdict = match_package(index, Some(&Namespace::new(namespace)), package);
    // What the store keeps comes back as it was.
    let bytes = postcard::to_stdvec(&verdict).unwrap();
    assert_eq!(postcard::from_bytes::<PackageVerdict>(&bytes).unwrap(), verdict);
    verdict
}

/// CVEs found, each with its fixed version.
fn check(index: &Index, namespace: &str, package: &Package, expected: &[(&str, Option<&str>)]) {
    let verdict = judged(index, namespace, package);
    let mut found: Vec<_> =
        verdict.findings.iter().map(|f| (f.cves.join(" "), f.fixed_version.clone())).collect();
    found.sort();
    let expected: Vec<_> =
        expected.iter().map(|(c, f)| (c.to_string(), f.map(str::to_owned))).collect();
    assert_eq!(found, expected, "{namespace} {package:?}");
}

const DSA: &str = "[24 Oct 2023] DSA-5532-1 openssl - security update\n\
    \t{CVE-2023-5363 CVE-2023-5364}\n\
    \t[bookworm] - openssl 3.0.11-1~deb12u2\n\
    [25 Oct 2023] DSA-5533-1 linux - security update\n\
    \t{CVE-2023-6000}\n\
    \t[bookworm] - linux 6.1.99-1\n";

fn tracker(releases: &str) -> String {
    format!(r#"{{"openssl":{{"CVE-2023-5363":{{"releases":{{"bookworm":{releases}}}}}}}}}"#)
}

#[test]
fn debian_is_judged_by_source() {
    let index = index(&[DSA], &[]);
    let fixed = Some("3.0.11-1~deb12u2");
    let both = [("CVE-2023-5363", fixed), ("CVE-2023-5364", fixed)];
    // A binary whose own version is far above still carries the source's.
    check(&index, "Debian:12", &deb("libssl3", "99", "openssl", "3.0.9-1"), &both);
    check(&index, "Debian:12", &deb("libssl3", "3.0.9-1", "openssl", "3.0.11-1~deb12u2"), &[]);
    check(&index, "Debian:12", &deb("openssl", "3.0.9-1", "openssl-addon", "1"), &[]);
    let verdict = judged(&index, "Debian:12", &deb("libssl3", "99", "openssl", "3.0.9-1"));
    let finding = &verdict.findings[0];
    assert_eq!(finding.evidence.rule, "fixed in 3.0.11-1~deb12u2; 3.0.9-1 is lower");
    assert_eq!(
        (finding.evidence.matched_name.as_str(), finding.evidence.feed.as_str()),
        ("openssl", "debian/dsa")
    );
    assert_eq!(finding.evidence.advisory_date.as_deref(), Some("2023-10-24"));
    assert_eq!(
        (finding.state, finding.patchable, finding.advisories.as_slice()),
        (FixState::Fixed, true, &["DSA-5532-1".to_owned()][..])
    );
    let texts = index.check(finding.id).unwrap();
    assert_eq!(texts.title, "Debian Security Update for openssl (DSA-5532-1)");
    assert_eq!((texts.category.as_str(), texts.cves.len()), ("Debian", 1));
}

#[test]
fn the_trackers_state_is_kept() {
    let openssl = deb("openssl", "3.0.9-1", "openssl", "3.0.9-1");
    let case = |releases: &str, expected: Option<(FixState, bool, Severity)>| {
        let verdict = judged(&index(&[&tracker(releases)], &[]), "Debian:12", &openssl);
        assert_eq!(
            verdict.findings.first().map(|f| (f.state, f.patchable, f.severity)),
            expected,
            "{releases}"
        );
        assert!(verdict.assessed && verdict.undetermined.is_empty());
    };
    let open = |extra: &str| format!(r#"{{"status":"open","urgency":"low"{extra}}}"#);
    case(&open(""), Some((FixState::NoFix, false, Severity::Low)));
    case(
        &open(r#","nodsa":"Minor","nodsa_reason":"postponed""#),
        Some((FixState::Deferred, false, Severity::Low)),
    );
    case(
        &open(r#","nodsa":"Minor","nodsa_reason":"ignored""#),
        Some((FixState::WillNotFix, false, Severity::Low)),
    );
    case(r#"{"status":"resolved","fixed_version":"0","urgency":"low"}"#, None);
    case(r#"{"status":"undetermined","urgency":"low"}"#, None);
    case(
        r#"{"status":"resolved","fixed_version":"3.0.11-1","urgency":"high**","repositories":{"bookworm":"3.0.9-1"}}"#,
        Some((FixState::NoFix, false, Severity::High)),
    );
    case(
        r#"{"status":"resolved","fixed_version":"3.0.11-1","urgency":"not yet assigned"}"#,
        Some((FixState::Fixed, true, Severity::Unscored)),
    );
}

#[test]
fn the_most_specific_feed_wins_and_all_are_named() {
    let openssl = deb("openssl", "3.0.9-1", "openssl", "3.0.9-1");
    let agreed = index(
        &[DSA, &tracker(r#"{"status":"resolved","fixed_version":"3.0.11-2","urgency":"high"}"#)],
        &[],
    );
    let verdict = judged(&agreed, "Debian:12", &openssl);
    assert_eq!(verdict.findings.len(), 2, "one finding per CVE, not per feed");
    let finding = verdict.findings.iter().find(|f| f.cves == ["CVE-2023-5363"]).unwrap();
    assert_eq!(finding.fixed_version.as_deref(), Some("3.0.11-2"));
    assert_eq!(finding.advisories, ["CVE-2023-5363", "DSA-5532-1"]);
    assert_eq!(finding.evidence.consulted.len(), 2);
    assert_eq!(finding.severity_reason, "Debian rating \"high\"");
    let never = index(
        &[DSA, &tracker(r#"{"status":"resolved","fixed_version":"0","urgency":"low"}"#)],
        &[],
    );
    check(&never, "Debian:12", &openssl, &[("CVE-2023-5364", Some("3.0.11-1~deb12u2"))]);
}

#[test]
fn a_release_without_a_feed_is_not_assessed() {
    let index = index(&[DSA], &[]);
    let verdict = judged(&index, "Debian:8", &deb("openssl", "1", "openssl", "1"));
    assert!(!verdict.assessed);
    assert_eq!(verdict.undetermined[0].reason, "no advisory feed for Debian 8 is imported");
    let assessment = assess(&index, &image(debian("8"), &[deb("openssl", "1", "openssl", "1")]));
    assert_eq!(assessment.status, Status::NotApplicable);
    assert_eq!(
        assessment.cause.as_deref(),
        Some("no advisory feed for Debian 8 is imported; 1 package not assessed")
    );
    assert!(!match_package(&index, None, &deb("a", "1", "a", "1")).assessed);
}

#[test]
fn a_release_past_its_end_is_not_assessed() {
    let ends = "version,codename,series,created,release,eol\n1.1,Buzz,buzz,,,1997-06-05\n12,Bookworm,bookworm,,,END\n";
    let good = deb("openssl", "3.0.20-1", "openssl", "3.0.20-1");
    // The list's newest advisory is of 2023-10-25.
    let over = index(&[DSA, &ends.replace("END", "2023-10-01")], &[]);
    let verdict = judged(&over, "Debian:12", &good);
    assert!(
        !verdict.assessed && verdict.undetermined[0].reason.contains("ended on 2023-10-01"),
        "{verdict:?}"
    );
    assert_eq!(judged(&over, "Debian:12", &deb("a", "1", "openssl", "1")).findings.len(), 2);
    let running = index(&[DSA, &ends.replace("END", "2023-11-01")], &[]);
    assert!(judged(&running, "Debian:12", &good).assessed);
}

#[test]
fn clean_needs_packages_and_no_problem() {
    let index = index(&[DSA], &[]);
    let good = deb("openssl", "3.0.20-1", "openssl", "3.0.20-1");
    let mut inventory = image(debian("12"), &[good]);
    assert_eq!(assess(&index, &inventory).status, Status::Healthy);
    let problem =
        |kind| Problem { layer: Some(1), path: None, kind, message: "layer 1 breaks off".into() };
    for kind in [ProblemKind::UnreadableLayer, ProblemKind::MalformedConfig] {
        inventory.problems = vec![problem(kind)];
        let hidden = assess(&index, &inventory);
        assert_eq!(
            (hidden.status, hidden.cause.as_deref()),
            (Status::NotApplicable, Some("layer 1 breaks off"))
        );
    }
    assert_eq!(assess(&index, &image(debian("12"), &[])).status, Status::NotApplicable);
}

#[test]
fn aliases_make_one_finding() {
    let index = index(
        &[],
        &[
            &pypi("PYSEC-2020-1", &["CVE-2020-1234"], "Foo.Bar", "introduced 0, fixed 2.1", ""),
            &pypi(
                "GHSA-aaaa",
                &["CVE-2020-1234", "PYSEC-2020-1"],
                "foo-bar",
                "introduced 0, fixed 2.2",
                r#","summary":"Trouble","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"database_specific":{"severity":"LOW"}"#,
            ),
            &pypi("GHSA-bbbb", &["CVE-2020-1235"], "foo-bar", "introduced 3, fixed 3.1", ""),
        ],
    );
    check(&index, "PyPI", &python("FOO_bar", "1.0"), &[("CVE-2020-1234", Some("2.2"))]);
    check(&index, "PyPI", &python("foo-bar", "2.5"), &[]);
    let finding = &judged(&index, "PyPI", &python("foo-bar", "1.0")).findings[0];
    assert_eq!(finding.advisories, ["GHSA-aaaa", "PYSEC-2020-1"]);
    assert_eq!(
        (finding.severity, finding.severity_reason.as_str()),
        (Severity::Critical, "CVSS 3.1 9.8 of GHSA-aaaa")
    );
    let check = index.check(finding.id).unwrap();
    assert_eq!(check.title, "Python: Trouble (CVE-2020-1234)");
    assert_eq!(check.advisories, ["GHSA-aaaa", "PYSEC-2020-1"]);
}

#[test]
fn withdrawn_closes_and_malicious_is_critical() {
    let gone =
        pypi("GHSA-cccc", &[], "a", "introduced 0", r#","withdrawn":"2024-01-01T00:00:00Z""#);
    let bad = pypi("MAL-2024-1", &[], "a", "introduced 0", "");
    let index = index(&[], &[&gone, &bad]);
    let verdict = judged(&index, "PyPI", &python("a", "1"));
    assert_eq!(verdict.findings.len(), 1);
    assert_eq!(verdict.findings[0].severity, Severity::Critical);
    let answer = explain(&index, &image(None, &[python("a", "1")]), "ghsa-CCCC");
    assert_eq!(answer.answers[0].outcome, Outcome::Withdrawn);
}

#[test]
fn what_cannot_be_compared_is_shown() {
    let strange = r#"{"id":"X-1","modified":"2024-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"a"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2"}]}]}]}"#;
    let index = index(&[], &[strange]);
    let verdict = judged(&index, "PyPI", &python("a", "not-a-version"));
    assert!(verdict.assessed && verdict.findings.is_empty());
    assert_eq!(verdict.undetermined[0].advisory.as_deref(), Some("X-1"));
    let assessment = assess(&index, &image(None, &[python("a", "not-a-version")]));
    assert_eq!(assessment.status, Status::NotApplicable);
    assert!(assessment.cause.unwrap().contains("not-a-version"));
}

#[test]
fn an_ecosystem_without_an_order_is_undetermined() {
    let record = r#"{"id":"X-1","modified":"2024-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"COBOL","name":"a"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}],"versions":["7"]}]}"#;
    let index = index(&[], &[record]);
    let package = Package::language(PackageType::Conda, "a", "8");
    let verdict = judged(&index, "COBOL", &package);
    assert!(
        verdict.undetermined[0].reason.contains("no version order is known for COBOL"),
        "{verdict:?}"
    );
    let listed = judged(&index, "COBOL", &Package::language(PackageType::Conda, "a", "7"));
    assert_eq!(listed.findings.len(), 1);
}

#[test]
fn alpine_zero_means_never() {
    let secdb = r#"{"distroversion":"v3.18","reponame":"main","packages":[{"pkg":{"name":"busybox","secfixes":{"1.36.1-r1":["CVE-2022-28391"],"0":["CVE-2022-30065"]}}}]}"#;
    let index = index(&[secdb], &[]);
    let apk = |version: &str| Package {
        kind: PackageType::Apk,
        name: "busybox-binsh".into(),
        version: version.into(),
        arch: None,
        source: Some(SourcePackage { name: "busybox".into(), version: version.into() }),
    };
    check(&index, "Alpine:v3.18", &apk("1.36.1-r0"), &[("CVE-2022-28391", Some("1.36.1-r1"))]);
    check(&index, "Alpine:v3.18", &apk("1.36.1-r2"), &[]);
    assert!(!judged(&index, "Alpine:v3.99", &apk("1.36.1-r0")).assessed);
}

#[test]
fn kernel_headers_are_kept_but_suppressed() {
    let index = index(&[DSA], &[]);
    let headers = deb("linux-libc-dev", "6.1.1-1", "linux", "6.1.1-1");
    let assessment = assess(&index, &image(debian("12"), &[headers]));
    assert_eq!((assessment.status, assessment.findings.len()), (Status::Healthy, 1));
    assert!(assessment.findings[0].suppressed.is_some());
}

#[test]
fn the_distribution_judges_what_it_owns() {
    let index = index(&[DSA], &[&pypi("GHSA-dddd", &[], "openssl", "introduced 0", "")]);
    let mut inventory = image(
        debian("12"),
        &[deb("python3-openssl", "1", "pyopenssl", "1"), python("openssl", "1")],
    );
    assert_eq!(assess(&index, &inventory).findings.len(), 1);
    inventory.packages[1].owner = Some("python3-openssl".into());
    let owned = assess(&index, &inventory);
    assert_eq!((owned.status, owned.delegated.len()), (Status::Healthy, 1));
    assert_eq!(explain(&index, &inventory, "GHSA-dddd").answers[0].outcome, Outcome::Delegated);
    // No feed for the release, no such package: then the language's feed judges.
    inventory.os = debian("8");
    assert!(assess(&index, &inventory).delegated.is_empty());
    inventory.os = debian("12");
    inventory.packages[1].owner = Some("gone".into());
    assert_eq!(assess(&index, &inventory).status, Status::Unhealthy);
}

#[test]
fn ubuntu_pro_offers_what_the_free_channel_lacks() {
    let record = |ecosystem: &str, fixed: &str| {
        format!(
            r#"{{"package":{{"ecosystem":"{ecosystem}","name":"vim"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}}{fixed}]}}]}}"#
        )
    };
    let text = format!(
        r#"{{"id":"UBUNTU-CVE-2022-1234","modified":"2024-01-01T00:00:00Z","upstream":["CVE-2022-1234"],"severity":[{{"type":"Ubuntu","score":"medium"}}],"affected":[{},{}]}}"#,
        record("Ubuntu:18.04:LTS", ""),
        record("Ubuntu:Pro:18.04:LTS", r#",{"fixed":"8.0+esm1"}"#)
    );
    let index = index(&[], &[&text]);
    let verdict = judged(&index, "Ubuntu:18.04", &deb("vim", "8.0", "vim", "8.0"));
    let finding = &verdict.findings[0];
    assert_eq!(
        (finding.state, finding.patchable, finding.severity),
        (FixState::PaidChannel, false, Severity::Medium)
    );
    assert_eq!(finding.fixed_version.as_deref(), Some("8.0+esm1"));
    check(&index, "Ubuntu:18.04", &deb("vim", "8.0+esm1", "vim", "8.0+esm1"), &[]);
}

#[test]
fn an_explanation_says_why_not() {
    let index = index(&[DSA], &[]);
    let inventory = image(debian("12"), &[deb("openssl", "3.0.20-1", "openssl", "3.0.20-1")]);
    let not = explain(&index, &inventory, "cve-2023-5363");
    assert_eq!(not.answers[0].outcome, Outcome::NotAffected);
    assert_eq!(
        not.answers[0].reasons,
        ["debian/dsa: DSA-5532-1: fixed in 3.0.11-1~deb12u2; 3.0.20-1 is not lower"]
    );
    let absent = explain(&index, &inventory, "CVE-2023-6000");
    assert!(
        absent.answers.is_empty() && absent.summary.contains("no package of the name linux"),
        "{}",
        absent.summary
    );
    let unknown = explain(&index, &inventory, "CVE-1999-0001");
    assert_eq!(
        (unknown.known, unknown.summary.as_str()),
        (false, "CVE-1999-0001 is not in any imported feed")
    );
}
