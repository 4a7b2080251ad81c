//! One package in one version, as an inventory names it.

use serde::{Deserialize, Serialize};

/// The purl type of a package (purl-spec, "Known types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageType {
    /// Debian and its derivatives.
    Deb,
    /// Alpine and its derivatives.
    Apk,
    /// Red Hat, SUSE and their derivatives.
    Rpm,
    /// Python.
    Pypi,
    /// Node.js.
    Npm,
    /// Java.
    Maven,
    /// Go modules.
    Golang,
    /// Rust crates.
    Cargo,
    /// Ruby.
    Gem,
    /// PHP.
    Composer,
    /// .NET.
    Nuget,
    /// Conda.
    Conda,
}

impl PackageType {
    /// Every type, in the order of declaration.
    pub const ALL: [PackageType; 12] = [
        Self::Deb,
        Self::Apk,
        Self::Rpm,
        Self::Pypi,
        Self::Npm,
        Self::Maven,
        Self::Golang,
        Self::Cargo,
        Self::Gem,
        Self::Composer,
        Self::Nuget,
        Self::Conda,
    ];

    /// The purl type, such as `deb`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Pypi => "pypi",
            Self::Npm => "npm",
            Self::Maven => "maven",
            Self::Golang => "golang",
            Self::Cargo => "cargo",
            Self::Gem => "gem",
            Self::Composer => "composer",
            Self::Nuget => "nuget",
            Self::Conda => "conda",
        }
    }

    /// Reads a purl type; `None` for one this product does not know.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == text)
    }

    /// Whether a distribution's package manager installs it, so that the
    /// distribution's feed judges it.
    pub fn is_distribution(self) -> bool {
        matches!(self, Self::Deb | Self::Apk | Self::Rpm)
    }
}

/// The source package that a distribution package was built from. Debian and
/// Alpine feeds speak of sources, not of binaries.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourcePackage {
    /// Name of the source package (dpkg `Source:`, apk `o:`).
    pub name: String,
    /// Its version, which may differ from the binary's.
    pub version: String,
}

/// One package in one version. Two with equal fields are the same package:
/// this is what the store interns.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its purl type.
    #[serde(rename = "type")]
    pub kind: PackageType,
    /// The name as its metadata writes it, not normalised.
    pub name: String,
    /// The version as its metadata writes it.
    pub version: String,
    /// The distribution's architecture word, absent for language packages.
    pub arch: Option<String>,
    /// Where a distribution package was built from; always present for deb,
    /// equal to the package itself where its metadata names no other.
    pub source: Option<SourcePackage>,
}

impl Package {
    /// A language package: no architecture, no source.
    pub fn language(
        kind: PackageType,
        name: impl Into<String>,
        version: impl Into<String>,
    ) -> Self {
        Self { kind, name: name.into(), version: version.into(), arch: None, source: None }
    }

    /// The name that a feed keyed on sources knows it by.
    pub fn source_name(&self) -> &str {
        self.source.as_ref().map_or(&self.name, |s| &s.name)
    }

    /// The version that a feed keyed on sources compares.
    pub fn source_version(&self) -> &str {
        self.source.as_ref().map_or(&self.version, |s| &s.version)
    }
}
