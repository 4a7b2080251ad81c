//! `testdata/*.txt`: one comparison a line, `A < B`, `A = B`, `A > B`, or
//! `A ? B` for what cannot be compared. A side may be quoted as a JSON string.

use std::cmp::Ordering;

use packages::version::VersionScheme;

pub const DEBIAN: &str = include_str!("../../testdata/debian.txt");
pub const RPM: &str = include_str!("../../testdata/rpm.txt");
pub const PYPI: &str = include_str!("../../testdata/pypi.txt");
pub const NPM: &str = include_str!("../../testdata/npm.txt");
pub const MAVEN: &str = include_str!("../../testdata/maven.txt");
pub const GO: &str = include_str!("../../testdata/go.txt");

/// The comparisons of a fixture: two versions and the sign between them.
pub fn read(fixture: &str) -> Vec<(String, char, String)> {
    let lines = fixture.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line| split(line).unwrap_or_else(|| panic!("malformed line: {line}"));
    lines.map(read).map(|(a, sign, b)| (unquote(a), sign, unquote(b))).collect()
}

fn check(scheme: VersionScheme, fixture: &str) {
    let comparisons = read(fixture);
    assert!(comparisons.len() > 20, "the fixture of {scheme:?} was not read");
    for (a, sign, b) in comparisons {
        let expected = match sign {
            '<' => Some(Ordering::Less),
            '=' => Some(Ordering::Equal),
            '>' => Some(Ordering::Greater),
            _ => None,
        };
        assert_eq!(scheme.compare(&a, &b), expected, "{scheme:?}: {a:?} {sign} {b:?}");
        assert_eq!(
            scheme.compare(&b, &a),
            expected.map(Ordering::reverse),
            "{scheme:?}: {b:?}, {a:?}"
        );
    }
}

fn split(line: &str) -> Option<(&str, char, &str)> {
    ['<', '=', '>', '?'].into_iter().find_map(|sign| {
        let (a, b) = line.split_once(&format!(" {sign} "))?;
        Some((a, sign, b))
    })
}

fn unquote(side: &str) -> String {
    match side.starts_with('"') {
        true => serde_json::from_str(side).expect("a quoted side is a JSON string"),
        false => side.to_owned(),
    }
}

#[test]
fn debian() {
    check(VersionScheme::Debian, DEBIAN);
}

#[test]
fn alpine() {
    check(VersionScheme::Alpine, include_str!("../../testdata/alpine.txt"));
}

#[test]
fn rpm() {
    check(VersionScheme::Rpm, RPM);
}

#[test]
fn pypi() {
    check(VersionScheme::Pypi, PYPI);
}

#[test]
fn npm() {
    check(VersionScheme::Npm, NPM);
}

#[test]
fn semver() {
    check(VersionScheme::Semver, include_str!("../../testdata/semver.txt"));
}

#[test]
fn go() {
    check(VersionScheme::Go, GO);
}

#[test]
fn maven() {
    check(VersionScheme::Maven, MAVEN);
}

#[test]
fn rubygems() {
    check(VersionScheme::RubyGems, include_str!("../../testdata/rubygems.txt"));
}
