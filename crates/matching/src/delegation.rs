//! Who answers for a language package that a distribution package brought.

use advisories::Index;
use packages::{InventoryItem, Namespace, OsRelease, PackageType};

/// Distributions whose feeds name every vulnerability of what they ship, so
/// that silence about a package means something. Alpine's lists fixes only.
const COMPLETE_FAMILIES: [&str; 2] = ["Debian", "Ubuntu"];

/// Whether the distribution's feed judges this item instead of the language's:
/// a deb owns its file, so fixes are backported without a change of the
/// upstream version, and the release is covered.
pub fn is_delegated(index: &Index, os: Option<&OsRelease>, item: &InventoryItem) -> bool {
    if item.owner.is_none() || item.package.kind.is_distribution() {
        return false;
    }
    Namespace::of(PackageType::Deb, os).is_some_and(|namespace| {
        COMPLETE_FAMILIES.contains(&namespace.family()) && index.covers(&namespace)
    })
}
