//! What there is to say about one security check, gathered from every record
//! that speaks of it.

use serde::{Deserialize, Serialize};

use crate::severity::{CvssVector, Severity};
use crate::FindingId;

/// A security check: all that the imported feeds say about one defect in one
/// ecosystem or distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its stable number.
    pub id: FindingId,
    /// The canonical id of the defect: its lowest CVE where it has one.
    pub canonical: String,
    /// Such as `Debian Security Update for openssl (DSA-5532-1)`.
    pub title: String,
    /// `Debian`, `Alpine`, `Python`, `Node.js` ...
    pub category: String,
    /// The feeds' text, may be empty.
    pub description: String,
    /// What follows from it, in a sentence.
    pub impact: String,
    /// CVEs, sorted.
    pub cves: Vec<String>,
    /// Ids of the records that speak of it (`DSA-5532-1`, `GHSA-...`), sorted.
    pub advisories: Vec<String>,
    /// Every other id of the same defect, sorted.
    pub aliases: Vec<String>,
    /// Names of the packages it is about, sorted.
    pub packages: Vec<String>,
    /// Every CVSS vector with the advisory that carries it.
    pub cvss: Vec<CvssVector>,
    /// By the feed's word, else by its best vector.
    pub severity: Severity,
    /// Earliest publication, RFC 3339.
    pub published: Option<String>,
    /// Latest change, RFC 3339.
    pub modified: Option<String>,
    /// Where to read more.
    pub references: Vec<Link>,
    /// What to do, in words that fit the ecosystem.
    pub remediation: String,
}

/// A titled link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Such as `DSA-5532-1` or the link's host.
    pub title: String,
    /// The address.
    pub link: String,
}

impl crate::Index {
    /// Everything known about a finding id; `None` where no imported record
    /// stands for it.
    pub fn check(&self, id: FindingId) -> Option<Check> {
        let _ = id;
        None
    }
}
