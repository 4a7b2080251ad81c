//! One advisory as any feed states it.

use packages::Namespace;
use serde::{Deserialize, Serialize};

/// Longest id that is kept; a longer one is not an id.
pub const ID_BYTES_MAX: usize = 128;
/// Longest package name or version that is kept.
pub const NAME_BYTES_MAX: usize = 512;
/// Longest title, in bytes; the rest is cut.
pub const TITLE_BYTES_MAX: usize = 300;
/// Longest description, in bytes; the rest is cut.
pub const DETAILS_BYTES_MAX: usize = 16 << 10;
/// Most references kept of one record.
pub const REFERENCES_MAX: usize = 40;
/// Longest link, in bytes; a longer one is dropped.
pub const LINK_BYTES_MAX: usize = 2048;
/// Most ids (aliases or covered CVEs) kept of one record.
pub const IDS_MAX: usize = 2000;
/// Most affected packages kept of one record.
pub const AFFECTED_MAX: usize = 10_000;
/// Most events, over all ranges, kept of one affected package.
pub const EVENTS_MAX: usize = 2_000;
/// Most single versions kept of one affected package.
pub const VERSIONS_MAX: usize = 20_000;
/// Most CVSS vectors kept of one record.
pub const VECTORS_MAX: usize = 16;

/// One record of one feed.
///
/// `aliases` are other names of the same defect. `covers` is set for errata
/// that close several defects at once (a DSA, an ALSA): each is then a defect
/// of its own, and the record's id an umbrella that must not join them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The feed's id: `GHSA-...`, `DSA-5532-1`, `CVE-2023-5363`.
    pub id: String,
    /// Other ids of the same defect, sorted, without `id`.
    pub aliases: Vec<String>,
    /// CVEs that an erratum closes, sorted; empty for a record about one defect.
    pub covers: Vec<String>,
    /// One line, may be empty.
    pub title: String,
    /// Longer text, may be empty.
    pub details: String,
    /// Where to read more.
    pub references: Vec<Reference>,
    /// Seconds since 1970.
    pub published: Option<i64>,
    /// Seconds since 1970.
    pub modified: Option<i64>,
    /// When the feed took the record back, in seconds since 1970.
    pub withdrawn: Option<i64>,
    /// CVSS vectors as written.
    pub cvss: Vec<String>,
    /// The feed's own word for how bad it is, as written. Weighs more than
    /// its vectors.
    pub rating: Option<String>,
    /// A word derived from somewhere else (OSV `database_specific.severity`).
    /// Weighs less than the vectors.
    pub fallback_rating: Option<String>,
    /// The packages it speaks of.
    pub affected: Vec<Affected>,
}

/// A link of an advisory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// OSV's reference type (`ADVISORY`, `FIX`, `WEB` ...), may be empty.
    pub kind: String,
    /// The address as written.
    pub link: String,
}

/// What a record says about one package of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// Ecosystem or distribution release.
    pub namespace: Namespace,
    /// The feed's name of the package, as written.
    pub name: String,
    /// What is said.
    pub statement: Statement,
}

/// The part of [`Affected`] that does not name the package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Whether the ranges decide, or the feed has already decided.
    pub stance: Stance,
    /// Ranges of affected versions; in any of them is affected.
    pub ranges: Vec<Vec<Event>>,
    /// Single affected versions that no range covers.
    pub versions: Vec<String>,
    /// What the distribution intends, where there is no fixed version.
    pub plan: FixPlan,
    /// The feed's word for how bad it is for this package.
    pub rating: Option<String>,
    /// The feed's own remark, such as Debian's reason for no advisory.
    pub note: Option<String>,
    /// CVSS vectors for this package alone.
    pub cvss: Vec<String>,
    /// Part of the distribution, such as Alpine's `community`.
    pub channel: Option<String>,
}

/// Whether ranges decide, or the feed has already decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stance {
    /// Compare the version with the ranges.
    #[default]
    Ranges,
    /// The package in this release never had the defect.
    NotAffected,
    /// The feed itself has not decided, or names no versions. No finding;
    /// only an explanation shows it.
    Undecided,
}

/// What a distribution intends for a defect that it has not fixed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FixPlan {
    /// Nothing is said.
    #[default]
    Open,
    /// Affected, but no advisory of its own is planned (Debian `no-dsa`).
    NoAdvisory,
    /// To be fixed with a later update (Debian `postponed`).
    Deferred,
    /// A fixed version is named that the archive does not carry yet.
    NotYetAvailable,
    /// Will not be fixed (Debian `ignored`).
    WillNotFix,
    /// The release or the package is no longer supported.
    EndOfLife,
}

/// One event of a range (OSV schema, `affected[].ranges[].events`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Event {
    /// Affected from this version on; `0` is before every version.
    Introduced(String),
    /// Not affected from this version on.
    Fixed(String),
    /// Affected up to and with this version.
    LastAffected(String),
    /// The record says nothing about this version and later ones.
    Limit(String),
}

impl Record {
    /// Every id under which the record may be asked for.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        ids(&self.id, &self.aliases, &self.covers)
    }

    /// See [`defects`].
    pub fn defects(&self) -> Vec<&str> {
        defects(&self.id, &self.aliases, &self.covers)
    }
}

pub(crate) fn ids<'a>(
    id: &'a str,
    aliases: &'a [String],
    covers: &'a [String],
) -> impl Iterator<Item = &'a str> {
    std::iter::once(id)
        .chain(aliases.iter().map(String::as_str))
        .chain(covers.iter().map(String::as_str))
}

/// The canonical ids of the defects a record stands for: each covered CVE of
/// an erratum, else the one best name of the record's own alias group.
pub(crate) fn defects<'a>(
    id: &'a str,
    aliases: &'a [String],
    covers: &'a [String],
) -> Vec<&'a str> {
    if !covers.is_empty() {
        return covers.iter().map(String::as_str).collect();
    }
    canonical(std::iter::once(id).chain(aliases.iter().map(String::as_str))).into_iter().collect()
}

/// The name that a group of ids for one defect goes by: its lowest CVE, else
/// its lowest GHSA, else the lowest id of an ecosystem's own database, else the lowest of
/// the rest. Independent of which feeds are imported, as long as
/// each record carries its CVE.
pub fn canonical<'a>(ids: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    ids.into_iter().min_by_key(|id| (id_rank(id), cve_number(id), *id))
}

/// Databases of one ecosystem, whose ids are better known than a vendor's.
const ECOSYSTEM_PREFIXES: [&str; 8] =
    ["PYSEC-", "RUSTSEC-", "GO-", "DSA-", "DLA-", "ALSA-", "MAL-", "USN-"];

fn id_rank(id: &str) -> u8 {
    if is_cve(id) {
        0
    } else if id.starts_with("GHSA-") {
        1
    } else if ECOSYSTEM_PREFIXES.iter().any(|p| id.starts_with(p)) {
        2
    } else {
        3
    }
}

/// Whether an id has the form of a CVE id, `CVE-YYYY-NNNN`.
pub fn is_cve(id: &str) -> bool {
    cve_number(id).is_some()
}

/// Year and number of a CVE id, by which CVE ids sort.
pub(crate) fn cve_number(id: &str) -> Option<(u16, u32)> {
    let (year, number) = id.strip_prefix("CVE-")?.split_once('-')?;
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    (year.len() == 4 && (4..=9).contains(&number.len()) && digits(year) && digits(number))
        .then(|| Some((year.parse().ok()?, number.parse().ok()?)))
        .flatten()
}

/// Cuts a text at a character boundary.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ids: &[&str], expected: &str) {
        assert_eq!(canonical(ids.iter().copied()), Some(expected));
    }

    #[test]
    fn the_lowest_cve_names_a_group() {
        check(&["GHSA-x", "CVE-2020-10000", "CVE-2020-9999"], "CVE-2020-9999");
        check(&["PYSEC-2020-1", "GHSA-x"], "GHSA-x");
        check(&["SNYK-1", "PYSEC-2020-1"], "PYSEC-2020-1");
        check(&["TEMP-2", "TEMP-1"], "TEMP-1");
        check(&["CVE-20-1", "GHSA-x"], "GHSA-x");
    }
}
