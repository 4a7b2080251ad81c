//! Between purls and packages, with the qualifiers that Syft writes.

use super::{Purl, PurlError};
use crate::namespace::debian_release;
use crate::{OsRelease, Package, PackageType, SourcePackage};

/// Ubuntu's releases by codename, as a `distro` qualifier may give them.
const UBUNTU_CODENAMES: [(&str, &str); 11] = [
    ("precise", "12.04"),
    ("trusty", "14.04"),
    ("xenial", "16.04"),
    ("bionic", "18.04"),
    ("focal", "20.04"),
    ("jammy", "22.04"),
    ("mantic", "23.10"),
    ("noble", "24.04"),
    ("oracular", "24.10"),
    ("plucky", "25.04"),
    ("questing", "25.10"),
];

/// What a source RPM's file name ends with.
const SOURCE_RPM: &str = ".src.rpm";

impl Purl {
    /// The purl of a package as an image with this os-release holds it.
    pub fn of(package: &Package, os: Option<&OsRelease>) -> Purl {
        let mut purl = Purl::new(package.kind.as_str(), &package.name);
        let mut version = package.version.as_str();
        if package.kind.is_distribution() {
            purl.namespace = os.map(|os| os.id.clone()).filter(|id| !id.is_empty());
            purl.set("distro", os.map(distro_qualifier));
            purl.set("arch", package.arch.clone());
            purl.set("upstream", upstream_qualifier(package));
            if package.kind == PackageType::Rpm
                && let Some((epoch, rest)) = split_epoch(version)
            {
                purl.set("epoch", Some(epoch.to_owned()));
                version = rest;
            }
        } else if let Some((namespace, name)) = split_name(package.kind, &package.name) {
            purl.namespace = Some(namespace.to_owned());
            purl.name = name.to_owned();
        }
        purl.version = Some(version.to_owned()).filter(|version| !version.is_empty());
        purl.normalise();
        purl
    }

    /// The package that a purl names, and the distribution it is judged by.
    ///
    /// Without a `distro` qualifier there is none: the namespace alone says
    /// which vendor, not which release.
    pub fn to_package(&self) -> Result<(Package, Option<OsRelease>), PurlError> {
        let kind = PackageType::parse(&self.kind)
            .ok_or_else(|| PurlError::UnknownType(self.kind.clone()))?;
        let mut version = self.version.clone().ok_or(PurlError::MissingVersion)?;
        if !kind.is_distribution() {
            return Ok((Package::language(kind, self.joined_name(kind), version), None));
        }
        if kind == PackageType::Rpm
            && split_epoch(&version).is_none()
            && let Some(epoch) = self.qualifiers.get("epoch")
        {
            version = format!("{epoch}:{version}");
        }
        let package = Package {
            kind,
            name: self.name.clone(),
            arch: self.qualifiers.get("arch").cloned(),
            source: self.source(kind, &version),
            version,
        };
        Ok((package, self.os_release()))
    }

    fn set(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.qualifiers.insert(key.to_owned(), value);
        }
    }

    /// The name as the package's own metadata and its advisories write it.
    fn joined_name(&self, kind: PackageType) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}{}{}", separator(kind), self.name),
            None => self.name.clone(),
        }
    }

    fn source(&self, kind: PackageType, version: &str) -> Option<SourcePackage> {
        let Some(upstream) = self.qualifiers.get("upstream") else {
            let itself = SourcePackage { name: self.name.clone(), version: version.to_owned() };
            return (kind == PackageType::Deb).then_some(itself);
        };
        let (name, version) = match upstream.split_once('@') {
            Some(parts) => parts,
            None if kind == PackageType::Rpm => split_source_rpm(upstream)?,
            None => (upstream.as_str(), version),
        };
        Some(SourcePackage { name: name.to_owned(), version: version.to_owned() })
    }

    /// Reads `debian-12`, `alpine-3.18.4`, `bookworm`, `debian-bookworm`, `12`.
    fn os_release(&self) -> Option<OsRelease> {
        let distro = self.qualifiers.get("distro")?.to_ascii_lowercase();
        let starts_with_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let (vendor, word) = distro.rsplit_once('-').unwrap_or(("", &distro));
        // A derivative may reuse a codename (raspbian-bookworm): not the same.
        if let Some(os) = os_by_codename(word).filter(|os| vendor.is_empty() || vendor == os.id) {
            return Some(os);
        }
        let (id, version) = match (vendor, word) {
            ("", word) if starts_with_digit(word) => (self.namespace.clone()?, Some(word)),
            (id, word) if starts_with_digit(word) => (id.to_owned(), Some(word)),
            _ => (distro.clone(), None),
        };
        Some(OsRelease { id, version_id: version.map(str::to_owned), ..OsRelease::default() })
    }
}

fn os_by_codename(codename: &str) -> Option<OsRelease> {
    let ubuntu = UBUNTU_CODENAMES.iter().find(|(name, _)| *name == codename);
    let (id, version) = match (debian_release(codename), ubuntu) {
        (Some(version), _) => ("debian", version),
        (None, Some((_, version))) => ("ubuntu", *version),
        (None, None) => return None,
    };
    // Unstable has no number, in os-release either.
    let version_id = version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned());
    let codename = Some(codename.to_owned());
    Some(OsRelease { id: id.to_owned(), version_id, codename, ..OsRelease::default() })
}

fn distro_qualifier(os: &OsRelease) -> String {
    match os.version_id.as_ref().or(os.codename.as_ref()) {
        Some(release) => format!("{}-{release}", os.id),
        None => os.id.clone(),
    }
}

/// The source, where it is not the package itself over again.
fn upstream_qualifier(package: &Package) -> Option<String> {
    let source = package.source.as_ref()?;
    if package.kind == PackageType::Rpm {
        let file = format!("{}-{}{SOURCE_RPM}", source.name, source.version);
        let unambiguous = split_source_rpm(&file) == Some((&source.name, &source.version));
        return Some(if unambiguous {
            file
        } else {
            format!("{}@{}", source.name, source.version)
        });
    }
    match (source.name == package.name, source.version == package.version) {
        (true, true) => None,
        (false, true) => Some(source.name.clone()),
        (_, false) => Some(format!("{}@{}", source.name, source.version)),
    }
}

/// `openssl-3.0.7-1.el9.src.rpm`: name, version, release; a name may have
/// hyphens, the other two may not.
fn split_source_rpm(file: &str) -> Option<(&str, &str)> {
    let stem = file.strip_suffix(SOURCE_RPM)?;
    let release = stem.rfind('-')?;
    let version = stem[..release].rfind('-')?;
    Some((&stem[..version], &stem[version + 1..])).filter(|(name, _)| !name.is_empty())
}

fn split_epoch(version: &str) -> Option<(&str, &str)> {
    let (epoch, rest) = version.split_once(':')?;
    (!epoch.is_empty() && epoch.bytes().all(|c| c.is_ascii_digit())).then_some((epoch, rest))
}

/// What stands between namespace and name inside a package's name.
fn separator(kind: PackageType) -> char {
    if kind == PackageType::Maven { ':' } else { '/' }
}

fn split_name(kind: PackageType, name: &str) -> Option<(&str, &str)> {
    let (namespace, name) = match kind {
        PackageType::Npm | PackageType::Golang | PackageType::Composer | PackageType::Maven => {
            name.rsplit_once(separator(kind))?
        }
        _ => return None,
    };
    (!namespace.is_empty() && !name.is_empty()).then_some((namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Namespace;

    fn distribution(
        kind: PackageType,
        name: &str,
        version: &str,
        arch: &str,
        source: (&str, &str),
    ) -> Package {
        let source = SourcePackage { name: source.0.into(), version: source.1.into() };
        Package {
            kind,
            name: name.into(),
            version: version.into(),
            arch: Some(arch.into()),
            source: Some(source),
        }
    }

    fn check(package: &Package, os_release: &str, expected: &str) {
        let os = (!os_release.is_empty()).then(|| OsRelease::parse(os_release.as_bytes()));
        let purl = Purl::of(package, os.as_ref());
        assert_eq!(purl.to_string(), expected);
        let (read, read_os) =
            expected.parse::<Purl>().and_then(|purl| purl.to_package()).expect(expected);
        assert_eq!(read.kind, package.kind, "{expected}");
        assert_eq!(
            (&read.name, &read.version, &read.arch),
            (&package.name, &package.version, &package.arch),
            "{expected}"
        );
        assert_eq!(
            (read.source_name(), read.source_version()),
            (package.source_name(), package.source_version()),
            "{expected}"
        );
        let namespace = |os: Option<&OsRelease>| Namespace::of(package.kind, os);
        assert_eq!(namespace(read_os.as_ref()), namespace(os.as_ref()), "{expected}");
    }

    fn check_os(purl: &str, id: &str, version: Option<&str>) {
        let (_, os) = purl.parse::<Purl>().and_then(|purl| purl.to_package()).expect(purl);
        let os = os.expect(purl);
        assert_eq!((os.id.as_str(), os.version_id.as_deref()), (id, version), "{purl}");
    }

    #[test]
    fn distribution_packages_carry_release_and_source() {
        let debian = "ID=debian\nVERSION_ID=12";
        let openssl =
            |source| distribution(PackageType::Deb, "openssl", "3.0.11-1", "amd64", source);
        check(
            &openssl(("openssl", "3.0.11-1")),
            debian,
            "pkg:deb/debian/openssl@3.0.11-1?arch=amd64&distro=debian-12",
        );
        check(
            &openssl(("ssl", "3.0.11-1")),
            debian,
            "pkg:deb/debian/openssl@3.0.11-1?arch=amd64&distro=debian-12&upstream=ssl",
        );
        check(
            &openssl(("ssl", "1:3+b")),
            debian,
            "pkg:deb/debian/openssl@3.0.11-1?arch=amd64&distro=debian-12&upstream=ssl%401:3%2Bb",
        );
        check(
            &openssl(("openssl", "3")),
            debian,
            "pkg:deb/debian/openssl@3.0.11-1?arch=amd64&distro=debian-12&upstream=openssl%403",
        );
        check(&openssl(("openssl", "3.0.11-1")), "", "pkg:deb/openssl@3.0.11-1?arch=amd64");
        check(
            &openssl(("openssl", "3.0.11-1")),
            "ID=debian\nVERSION_CODENAME=trixie",
            "pkg:deb/debian/openssl@3.0.11-1?arch=amd64&distro=debian-trixie",
        );
        check(
            &openssl(("openssl", "3.0.11-1")),
            "ID=debian",
            "pkg:deb/debian/openssl@3.0.11-1?arch=amd64&distro=debian",
        );
        check(
            &distribution(
                PackageType::Apk,
                "libssl3",
                "3.1.4-r0",
                "x86_64",
                ("openssl", "3.1.4-r0"),
            ),
            "ID=alpine\nVERSION_ID=3.18.4",
            "pkg:apk/alpine/libssl3@3.1.4-r0?arch=x86_64&distro=alpine-3.18.4&upstream=openssl",
        );
        check(
            &distribution(
                PackageType::Rpm,
                "openssl-libs",
                "1:3.0.7-1.el9",
                "x86_64",
                ("openssl", "3.0.7-1.el9"),
            ),
            "ID=almalinux\nVERSION_ID=9.2",
            "pkg:rpm/almalinux/openssl-libs@3.0.7-1.el9?arch=x86_64&distro=almalinux-9.2&epoch=1&upstream=openssl-3.0.7-1.el9.src.rpm",
        );
    }

    #[test]
    fn language_packages_carry_their_namespace() {
        check(
            &Package::language(PackageType::Npm, "@angular/core", "1.0.0"),
            "",
            "pkg:npm/%40angular/core@1.0.0",
        );
        check(
            &Package::language(PackageType::Npm, "lodash", "4.17.20"),
            "ID=debian",
            "pkg:npm/lodash@4.17.20",
        );
        check(
            &Package::language(PackageType::Maven, "org.apache:log4j", "2.14"),
            "",
            "pkg:maven/org.apache/log4j@2.14",
        );
        check(
            &Package::language(PackageType::Golang, "github.com/a/b/v2", "v2.0.0"),
            "",
            "pkg:golang/github.com/a/b/v2@v2.0.0",
        );
        check(
            &Package::language(PackageType::Golang, "stdlib", "1.21.0"),
            "",
            "pkg:golang/stdlib@1.21.0",
        );
        check(
            &Package::language(PackageType::Composer, "symfony/http", "v1"),
            "",
            "pkg:composer/symfony/http@v1",
        );
        let purl =
            Purl::of(&Package::language(PackageType::Pypi, "Typing_Extensions", "1!4"), None);
        assert_eq!(purl.to_string(), "pkg:pypi/typing-extensions@1%214");
    }

    #[test]
    fn a_distro_qualifier_names_the_release() {
        check_os("pkg:deb/debian/x@1?distro=debian-12", "debian", Some("12"));
        check_os("pkg:deb/debian/x@1?distro=bookworm", "debian", Some("12"));
        check_os("pkg:deb/debian/x@1?distro=Debian-Bookworm", "debian", Some("12"));
        check_os("pkg:deb/debian/x@1?distro=sid", "debian", None);
        check_os("pkg:deb/raspbian/x@1?distro=raspbian-bookworm", "raspbian-bookworm", None);
        check_os("pkg:deb/debian/x@1?distro=11", "debian", Some("11"));
        check_os("pkg:deb/ubuntu/x@1?distro=ubuntu-18.04", "ubuntu", Some("18.04"));
        check_os("pkg:deb/ubuntu/x@1?distro=jammy", "ubuntu", Some("22.04"));
        check_os("pkg:apk/alpine/x@1?distro=alpine-3.18.4", "alpine", Some("3.18.4"));
        check_os("pkg:rpm/opensuse/x@1?distro=opensuse-leap-15.5", "opensuse-leap", Some("15.5"));
        check_os("pkg:rpm/opensuse/x@1?distro=opensuse-tumbleweed", "opensuse-tumbleweed", None);
    }

    #[test]
    fn a_purl_may_name_no_package() {
        let convert = |text: &str| text.parse::<Purl>().and_then(|purl| purl.to_package());
        assert_eq!(convert("pkg:deb/debian/x"), Err(PurlError::MissingVersion));
        assert_eq!(convert("pkg:hex/x@1"), Err(PurlError::UnknownType("hex".into())));
        assert_eq!(convert("pkg:deb/debian/x@1").expect("package").1, None);
    }
}
