//! Which body of advisories speaks of a package: an ecosystem, or one release
//! of a distribution.

use serde::{Deserialize, Serialize};

use crate::{OsRelease, PackageType};

/// An OSV ecosystem name with its release, such as `PyPI`, `Debian:12` or
/// `Alpine:v3.18`. The `:LTS` that OSV appends to Ubuntu releases is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Namespace(String);

impl Namespace {
    /// Takes a name as OSV writes it.
    pub fn new(name: &str) -> Self {
        Self(name.strip_suffix(":LTS").unwrap_or(name).to_owned())
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first colon: `Debian` of `Debian:12`.
    pub fn family(&self) -> &str {
        self.0.split(':').next().unwrap_or(&self.0)
    }

    /// The part behind the first colon: `12` of `Debian:12`.
    pub fn release(&self) -> Option<&str> {
        self.0.split_once(':').map(|(_, release)| release)
    }

    /// Where a package of this type is judged. `None`: nobody is known to
    /// judge it, as with a deb on an image without os-release.
    pub fn of(kind: PackageType, os: Option<&OsRelease>) -> Option<Self> {
        let name = match kind {
            PackageType::Pypi => "PyPI",
            PackageType::Npm => "npm",
            PackageType::Maven => "Maven",
            PackageType::Golang => "Go",
            PackageType::Cargo => "crates.io",
            PackageType::Gem => "RubyGems",
            PackageType::Composer => "Packagist",
            PackageType::Nuget => "NuGet",
            PackageType::Conda => return None,
            PackageType::Deb | PackageType::Apk | PackageType::Rpm => {
                return distribution(kind, os?);
            }
        };
        Some(Self(name.to_owned()))
    }
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Debian's releases by codename, for images of testing and unstable, which
/// carry no VERSION_ID.
const DEBIAN_CODENAMES: [(&str, &str); 10] = [
    ("wheezy", "7"),
    ("jessie", "8"),
    ("stretch", "9"),
    ("buster", "10"),
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("forky", "14"),
    ("duke", "15"),
    ("sid", "unstable"),
];

/// The number OSV gives to a Debian codename (`12` for `bookworm`).
pub fn debian_release(codename: &str) -> Option<&'static str> {
    DEBIAN_CODENAMES.iter().find(|(name, _)| *name == codename).map(|(_, number)| *number)
}

fn distribution(kind: PackageType, os: &OsRelease) -> Option<Namespace> {
    let version = os.version_id.as_deref();
    let name = match (kind, os.id.as_str()) {
        (PackageType::Deb, "debian") => match version {
            Some(v) => format!("Debian:{}", v.split('.').next().unwrap_or(v)),
            None => format!("Debian:{}", debian_release(os.codename.as_deref().unwrap_or("sid"))?),
        },
        (PackageType::Deb, "ubuntu") => format!("Ubuntu:{}", version?),
        (PackageType::Apk, "alpine") => match version {
            // 3.18.4 -> v3.18; a snapshot such as 3.23_alpha20250612 is edge.
            Some(v) if v.contains('_') => "Alpine:edge".to_owned(),
            Some(v) => {
                let mut parts = v.split('.');
                format!("Alpine:v{}.{}", parts.next()?, parts.next()?)
            }
            None => "Alpine:edge".to_owned(),
        },
        (PackageType::Rpm, "almalinux") => {
            format!("AlmaLinux:{}", version?.split('.').next()?)
        }
        // A distribution without a feed keeps a name of its own, so that its
        // packages intern apart and read as not assessed.
        (_, id) => match version {
            Some(v) => format!("{id}:{v}"),
            None => id.to_owned(),
        },
    };
    Some(Namespace(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: PackageType, os_release: &str, expected: Option<&str>) {
        let os = (!os_release.is_empty()).then(|| OsRelease::parse(os_release.as_bytes()));
        assert_eq!(
            Namespace::of(kind, os.as_ref()).as_ref().map(Namespace::as_str),
            expected,
            "{os_release}"
        );
    }

    #[test]
    fn a_release_decides() {
        check(PackageType::Deb, "ID=debian\nVERSION_ID=12", Some("Debian:12"));
        check(PackageType::Deb, "ID=debian\nVERSION_CODENAME=trixie", Some("Debian:13"));
        check(PackageType::Deb, "ID=debian", Some("Debian:unstable"));
        check(PackageType::Deb, "ID=ubuntu\nVERSION_ID=18.04", Some("Ubuntu:18.04"));
        check(PackageType::Apk, "ID=alpine\nVERSION_ID=3.18.4", Some("Alpine:v3.18"));
        check(PackageType::Apk, "ID=alpine\nVERSION_ID=3.23_alpha20250612", Some("Alpine:edge"));
        check(PackageType::Apk, "ID=wolfi\nVERSION_ID=20230201", Some("wolfi:20230201"));
        check(PackageType::Deb, "", None);
        check(PackageType::Pypi, "", Some("PyPI"));
    }

    #[test]
    fn ubuntu_lts_is_dropped() {
        assert_eq!(Namespace::new("Ubuntu:22.04:LTS").as_str(), "Ubuntu:22.04");
    }
}
