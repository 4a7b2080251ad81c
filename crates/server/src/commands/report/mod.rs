//! Reports in the forms that other tools read: SARIF, CycloneDX and SPDX.
//!
//! Names, versions, paths and advisory texts are foreign. They are written as
//! they are where a field holds data, and encoded where a field is an address
//! or an identifier, so that a report stays valid whatever an image holds.

pub mod cyclonedx;
pub mod sarif;
pub mod spdx;

use advisories::{Check, CvssVector, Index};
use matching::{Assessment, ImageFinding, PackageFinding};
use packages::InventoryItem;
use packages::purl::Purl;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::inspect;

/// The name of the tool in every report.
const TOOL: &str = "lazaret";

/// Its version.
const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the names of one document are made under: a random constant, so that
/// no other tool makes the same ones.
const NAMESPACE: Uuid = Uuid::from_u128(0x8a4c_51d2_9e0b_4d67_b1f3_2c75_0e96_ad48);

/// What a report is about.
pub struct Subject<'a> {
    /// The image as the command line names it.
    pub target: &'a str,
    /// What it holds.
    pub image: &'a inspect::Report,
    /// What is said of it; absent where only packages are listed.
    pub judged: Option<Judged<'a>>,
    /// When the report is made.
    pub at: OffsetDateTime,
}

/// An assessment with the index behind it.
#[derive(Clone, Copy)]
pub struct Judged<'a> {
    /// The index that the texts come from.
    pub index: &'a Index,
    /// What it says of the image.
    pub assessment: &'a Assessment,
}

impl Subject<'_> {
    /// Status and cause, where they are known.
    fn verdict(&self) -> Option<(&'static str, Option<&str>)> {
        match (self.judged, &self.image.inspected.inapplicable) {
            (Some(judged), _) => {
                Some((judged.assessment.status.as_str(), judged.assessment.cause.as_deref()))
            }
            (None, Some(why)) => {
                Some((matching::Status::NotApplicable.as_str(), Some(why.as_str())))
            }
            (None, None) => None,
        }
    }

    /// Whether something in the image could not be read.
    fn is_incomplete(&self) -> bool {
        let inspected = &self.image.inspected;
        inspected.inapplicable.is_some() || !inspected.inventory.problems.is_empty()
    }

    /// Every finding with its texts, in the order of the assessment.
    fn findings(&self) -> Vec<Finding<'_>> {
        let Some(judged) = self.judged else { return Vec::new() };
        let found = judged.assessment.findings.iter();
        found.map(|found| Finding { found, check: judged.index.check(found.id) }).collect()
    }

    /// The packages of a finding.
    fn packages_of<'f>(
        &self,
        found: &'f ImageFinding,
    ) -> impl Iterator<Item = (&InventoryItem, &'f PackageFinding)> {
        let items = &self.image.inspected.inventory.packages;
        found.packages.iter().filter_map(|(i, package)| Some((items.get(*i as usize)?, package)))
    }

    /// The purl of a package of this image.
    fn purl(&self, item: &InventoryItem) -> String {
        Purl::of(&item.package, self.image.inspected.inventory.os.as_ref()).to_string()
    }

    /// The document's own id: the same for the same image, advisories and
    /// kind of document.
    fn document_id(&self, kind: &str) -> Uuid {
        let advisories = self.judged.map(|judged| judged.index.snapshot_id()).unwrap_or_default();
        name_uuid(&[kind, &self.image.digest.to_string(), &advisories])
    }

    /// RFC 3339 in UTC, whole seconds: SPDX takes no fractions.
    fn timestamp(&self) -> String {
        let at = self.at.to_offset(time::UtcOffset::UTC);
        let at = at.replace_nanosecond(0).unwrap_or(at);
        at.format(&Rfc3339).unwrap_or_default()
    }
}

/// A finding with its texts.
struct Finding<'a> {
    found: &'a ImageFinding,
    check: Option<Check>,
}

impl Finding<'_> {
    /// The id that people know it by: its first CVE, else an advisory's.
    fn name(&self) -> String {
        let advisory = || self.found.packages.iter().find_map(|(_, p)| p.advisories.first());
        self.found.cves.first().or_else(advisory).cloned().unwrap_or_else(|| self.id())
    }

    /// Its stable number.
    fn id(&self) -> String {
        self.found.id.to_string()
    }

    /// Ids of the records that matched, sorted.
    fn advisories(&self) -> Vec<&str> {
        let all = self.found.packages.iter().flat_map(|(_, p)| &p.advisories);
        let mut all: Vec<_> = all.map(String::as_str).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn title(&self) -> String {
        let title = self.check.as_ref().map(|c| c.title.clone()).filter(|t| !t.is_empty());
        title.unwrap_or_else(|| self.name())
    }

    fn description(&self) -> String {
        let text = self.check.as_ref().map(|c| c.description.clone()).filter(|d| !d.is_empty());
        text.unwrap_or_else(|| self.title())
    }

    fn remediation(&self) -> Option<&str> {
        self.check.as_ref().map(|c| c.remediation.as_str()).filter(|text| !text.is_empty())
    }

    /// Every vector, the best first.
    fn cvss(&self) -> Vec<&CvssVector> {
        let all = self.check.as_ref().map(|c| c.cvss.as_slice()).unwrap_or_default();
        let best = CvssVector::best(all);
        let is_best = |v: &&CvssVector| best.is_some_and(|best| std::ptr::eq(*v, best));
        best.into_iter().chain(all.iter().filter(|v| !is_best(v))).collect()
    }

    /// Titles and addresses, fit for a field of type URI.
    fn links(&self) -> impl Iterator<Item = (&str, String)> {
        let links = self.check.as_ref().map(|c| c.references.as_slice()).unwrap_or_default();
        links.iter().map(|link| (link.title.as_str(), uri(&link.link)))
    }
}

/// A UUID that depends on the parts alone.
fn name_uuid(parts: &[&str]) -> Uuid {
    // A JSON array keeps the bounds of the parts, which a separator that may
    // occur in them would not.
    let name = serde_json::json!(parts).to_string();
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// The id of an item within a document. Inventories are free of duplicates,
/// and every field counts: one package may lie at two paths or in two layers.
fn item_uuid(item: &InventoryItem) -> Uuid {
    name_uuid(&[&serde_json::to_string(item).unwrap_or_default()])
}

/// A foreign address with everything encoded that RFC 3986 does not allow.
fn uri(address: &str) -> String {
    let bytes = address.as_bytes();
    let is_hex = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_hexdigit);
    let fragment = bytes.iter().position(|b| *b == b'#');
    encode(bytes, |i, byte| match byte {
        b'%' => is_hex(i + 1) && is_hex(i + 2),
        b'#' => fragment == Some(i),
        _ => is_unreserved(byte) || b":/?@!$&'()*+,;=".contains(&byte),
    })
}

/// A path inside the image as a relative URI reference. Nothing in it leads
/// out of the image or reads as a scheme or a host.
fn path_uri(path: &str) -> String {
    path.split('/')
        .filter(|segment| !matches!(*segment, "" | "." | ".."))
        .map(|segment| encode(segment.as_bytes(), |_, byte| is_unreserved(byte)))
        .collect::<Vec<_>>()
        .join("/")
}

/// RFC 3986, "Unreserved Characters".
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn encode(bytes: &[u8], keep: impl Fn(usize, u8) -> bool) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(bytes.len());
    for (i, byte) in bytes.iter().enumerate() {
        if keep(i, *byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encode: fn(&str) -> String, input: &str, expected: &str) {
        assert_eq!(encode(input), expected, "{input}");
    }

    #[test]
    fn paths_stay_below_the_image() {
        check(path_uri, "usr/lib/x-1.0.dist-info/METADATA", "usr/lib/x-1.0.dist-info/METADATA");
        check(path_uri, "//host/../a:b/./c d?#%", "host/a%3Ab/c%20d%3F%23%25");
        check(path_uri, "javascript:alert(1)", "javascript%3Aalert%281%29");
        check(path_uri, "é\n\"<", "%C3%A9%0A%22%3C");
    }

    #[test]
    fn addresses_become_valid_without_being_encoded_twice() {
        check(uri, "https://a.example/x?y=%2F&z=1#f", "https://a.example/x?y=%2F&z=1#f");
        check(uri, "https://a.example/a b|%zz#é#", "https://a.example/a%20b%7C%25zz#%C3%A9%23");
    }

    #[test]
    fn parts_keep_their_bounds() {
        assert_ne!(name_uuid(&["a", "bc"]), name_uuid(&["ab", "c"]));
        assert_ne!(name_uuid(&["a\",\"b"]), name_uuid(&["a", "b"]));
    }
}
