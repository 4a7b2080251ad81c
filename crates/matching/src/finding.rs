//! What matching one package says. Stored as postcard and sent as JSON, so
//! no field is skipped, flattened or untagged.

use advisories::{FindingId, Severity};
use serde::{Deserialize, Serialize};

/// What the imported feeds say about one package. A function of the package,
/// its namespace and the index alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageVerdict {
    /// Whether a complete feed that covers the namespace was asked. `false`
    /// means that an empty list of findings says nothing.
    pub assessed: bool,
    /// Sorted by id.
    pub findings: Vec<PackageFinding>,
    /// What could not be decided, and why; where `assessed` is false, the
    /// first entry says so.
    pub undetermined: Vec<Undetermined>,
}

/// Something that could not be decided about a package.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Undetermined {
    /// In words, such as `no advisory feed for Debian:8 is imported`.
    pub reason: String,
    /// The advisory that could not be compared, where it is about one.
    pub advisory: Option<String>,
}

/// One security check that applies to one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageFinding {
    /// The security check; its texts come from `Index::check`.
    pub id: FindingId,
    /// How bad it is here.
    pub severity: Severity,
    /// Who says so: `distribution rating "high"`, `CVSS 3.1 9.8 of GHSA-...`.
    pub severity_reason: String,
    /// Whether there is a fix, and what is planned.
    pub state: FixState,
    /// A fixed version is to be had in this package's own channel.
    pub patchable: bool,
    /// The lowest fixed version above the installed one, for the package that
    /// the feed speaks of (the source package of a deb or apk).
    pub fixed_version: Option<String>,
    /// CVEs, sorted.
    pub cves: Vec<String>,
    /// Ids of the records that matched, the one that decided first.
    pub advisories: Vec<String>,
    /// The proof.
    pub evidence: Evidence,
    /// Why the finding is kept out of lists and counts, where it is.
    pub suppressed: Option<String>,
}

/// Whether there is a fix, and what is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FixState {
    /// A fixed version exists in the package's own channel.
    Fixed,
    /// No fixed version is known.
    NoFix,
    /// The fix will come with a later update.
    Deferred,
    /// The distribution has decided against a fix.
    WillNotFix,
    /// The release or the package is no longer supported.
    EndOfLife,
    /// A fix exists, but only in a paid channel (Ubuntu Pro).
    PaidChannel,
}

/// Why a finding was made: everything needed to check it by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Source of the deciding record, such as `debian/dsa` or `osv/PyPI`.
    pub feed: String,
    /// The deciding record.
    pub advisory: String,
    /// Its last change, `YYYY-MM-DD`.
    pub advisory_date: Option<String>,
    /// The rule in words, such as
    /// `fixed in 3.0.11-1~deb12u2; 3.0.11-1 is lower`.
    pub rule: String,
    /// The version that was compared (the source's for a deb or apk).
    pub installed: String,
    /// The version it was compared with: the bound that decided.
    pub compared_with: Option<String>,
    /// The name under which the feed knows the package (a source's name).
    pub matched_name: String,
    /// Whose version order was used, by OSV ecosystem name, such as `Debian`.
    pub scheme: String,
    /// Every record consulted and what it says, as `feed: advisory: rule`.
    pub consulted: Vec<String>,
}
