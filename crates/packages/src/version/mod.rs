//! Version order, by the rules of each ecosystem.
//!
//! Each scheme answers as its reference tool does, pair by pair; the tests
//! under `tests/it` hold every scheme against the tool itself.

mod alpine;
mod debian;
mod digits;
mod maven;
mod npm;
mod pypi;
mod rpm;
mod rubygems;
mod semver;

use std::cmp::Ordering;

/// Whose rules compare two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VersionScheme {
    /// deb-version(7), as `dpkg --compare-versions` applies it.
    Debian,
    /// apk-tools 3, `apk version --test`, up to the first fault of either.
    Alpine,
    /// `rpmvercmp` on epoch, version and release.
    Rpm,
    /// PEP 440, as PyPA `packaging` reads it.
    Pypi,
    /// node-semver without its loose mode.
    Npm,
    /// Semantic Versioning 2.0.0 to the letter.
    Semver,
    /// `golang.org/x/mod/semver`, the leading `v` being optional.
    Go,
    /// `ComparableVersion` of Maven 3.8.
    Maven,
    /// `Gem::Version`.
    RubyGems,
}

impl VersionScheme {
    /// Every scheme, in the order of declaration.
    pub const ALL: [VersionScheme; 9] = [
        Self::Debian,
        Self::Alpine,
        Self::Rpm,
        Self::Pypi,
        Self::Npm,
        Self::Semver,
        Self::Go,
        Self::Maven,
        Self::RubyGems,
    ];

    /// By OSV ecosystem name in any case, a release after a colon being
    /// ignored; also by os-release id, `RPM` and `semver`. `None`: no rules
    /// are known for it.
    pub fn for_ecosystem(name: &str) -> Option<Self> {
        let family = name.split(':').next()?.to_ascii_lowercase();
        match family.as_str() {
            "debian" | "ubuntu" => Some(Self::Debian),
            "alpine" | "wolfi" | "chainguard" | "alpaquita" => Some(Self::Alpine),
            "rpm" | "almalinux" | "rocky" | "rocky linux" | "red hat" | "rhel" | "centos"
            | "fedora" | "suse" | "opensuse" | "openeuler" | "photon os" | "mageia"
            | "azure linux" => Some(Self::Rpm),
            "pypi" => Some(Self::Pypi),
            "npm" => Some(Self::Npm),
            "go" => Some(Self::Go),
            "maven" => Some(Self::Maven),
            "rubygems" => Some(Self::RubyGems),
            "crates.io" | "semver" => Some(Self::Semver),
            _ => None,
        }
    }

    /// Compares two versions; `None` where either is not a version by these
    /// rules, so that no order exists. Numbers may have any length.
    ///
    /// A total order over what is valid, save that Maven's has circles and
    /// npm's ends at pre-release numbers beyond 2^53, as their tools have it.
    pub fn compare(self, a: &str, b: &str) -> Option<Ordering> {
        match self {
            Self::Debian => debian::compare(a, b),
            Self::Alpine => alpine::compare(a, b),
            Self::Rpm => rpm::compare(a, b),
            Self::Pypi => pypi::compare(a, b),
            Self::Npm => npm::compare(a, b),
            Self::Semver => semver::compare(a, b),
            Self::Go => semver::compare_go(a, b),
            Self::Maven => maven::compare(a, b),
            Self::RubyGems => rubygems::compare(a, b),
        }
    }

    /// Whether the text names a version by these rules. Every valid version
    /// compares with itself; only Debian also orders a text that is no
    /// version, the empty one, as dpkg does.
    pub fn is_valid(self, version: &str) -> bool {
        !version.is_empty() && self.compare(version, version).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Option<VersionScheme>) {
        assert_eq!(VersionScheme::for_ecosystem(name), expected, "{name}");
    }

    #[test]
    fn ecosystems_choose_their_rules() {
        check("Debian:12", Some(VersionScheme::Debian));
        check("Ubuntu:22.04:LTS", Some(VersionScheme::Debian));
        check("Alpine:v3.18", Some(VersionScheme::Alpine));
        check("AlmaLinux:9", Some(VersionScheme::Rpm));
        check("RPM", Some(VersionScheme::Rpm));
        check("PyPI", Some(VersionScheme::Pypi));
        check("npm", Some(VersionScheme::Npm));
        check("Go", Some(VersionScheme::Go));
        check("crates.io", Some(VersionScheme::Semver));
        check("Maven", Some(VersionScheme::Maven));
        check("RubyGems", Some(VersionScheme::RubyGems));
        check("semver", Some(VersionScheme::Semver));
        check("COBOL", None);
        check("", None);
    }
}
