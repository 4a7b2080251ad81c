//! Under which name a feed knows a package.

use packages::{Namespace, Package, PackageType};

/// Words for people, by OSV family name.
const CATEGORIES: [(&str, &str); 12] = [
    ("PyPI", "Python"),
    ("npm", "Node.js"),
    ("Go", "Go"),
    ("crates.io", "Rust"),
    ("Maven", "Java"),
    ("NuGet", ".NET"),
    ("RubyGems", "Ruby"),
    ("Packagist", "PHP"),
    ("Hex", "Erlang"),
    ("Pub", "Dart"),
    ("Bitnami", "Bitnami"),
    ("AlmaLinux", "AlmaLinux"),
];

/// A check's category: `Debian`, `Python`, `Node.js` ... An unknown family is
/// its own category.
pub fn category(family: &str) -> &str {
    CATEGORIES.iter().find(|(name, _)| *name == family).map_or(family, |(_, word)| word)
}

/// Whether a family is a language ecosystem and not a distribution.
pub fn is_language(family: &str) -> bool {
    matches!(
        family,
        "PyPI"
            | "npm"
            | "Go"
            | "crates.io"
            | "Maven"
            | "NuGet"
            | "RubyGems"
            | "Packagist"
            | "Hex"
            | "Pub"
            | "Hackage"
            | "CRAN"
            | "SwiftURL"
            | "ConanCenter"
            | "GHC"
            | "Bitnami"
            | "GitHub Actions"
    )
}

/// The form of a name by which feeds and packages meet.
///
/// PyPI: PEP 503. NuGet and Packagist: without case. All others: as written
/// (npm names of old packages may differ by case alone).
pub fn normalise(family: &str, name: &str) -> String {
    match family {
        "PyPI" => {
            let mut out = String::with_capacity(name.len());
            for c in name.chars() {
                match c {
                    '-' | '_' | '.' if out.ends_with('-') => {}
                    '-' | '_' | '.' => out.push('-'),
                    c => out.push(c.to_ascii_lowercase()),
                }
            }
            out
        }
        "NuGet" | "Packagist" => name.to_ascii_lowercase(),
        _ => name.to_owned(),
    }
}

/// The name under which a namespace's feed knows a package: the source's for
/// deb and apk, the normalised one for a language package. The store indexes
/// interned packages by it, so that an [`crate::IndexDelta`] finds them.
pub fn lookup_name(namespace: &Namespace, package: &Package) -> String {
    match package.kind {
        PackageType::Deb | PackageType::Apk => package.source_name().to_owned(),
        _ => normalise(namespace.family(), &package.name),
    }
}

/// The version that a namespace's feed compares for a package.
pub fn lookup_version(package: &Package) -> &str {
    match package.kind {
        PackageType::Deb | PackageType::Apk => package.source_version(),
        _ => &package.version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(family: &str, name: &str, expected: &str) {
        assert_eq!(normalise(family, name), expected);
    }

    #[test]
    fn each_ecosystem_has_its_rule() {
        check("PyPI", "Ruamel.Yaml__clib", "ruamel-yaml-clib");
        check("PyPI", "PyYAML", "pyyaml");
        check("npm", "JSONStream", "JSONStream");
        check("NuGet", "Newtonsoft.Json", "newtonsoft.json");
        check("Debian", "libX11", "libX11");
    }
}
