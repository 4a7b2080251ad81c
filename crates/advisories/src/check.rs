//! What there is to say about one security check, gathered from every record
//! that speaks of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::FindingId;
use crate::index::{Index, rfc3339};
use crate::names::{category, is_language};
use crate::record::{canonical, is_cve};
use crate::segment::{StoredRecord, Text};
use crate::severity::{CvssVector, Severity};

/// Most records whose texts are read for one check.
const RECORDS_MAX: usize = 100;
/// Most links shown.
const LINKS_MAX: usize = 60;
/// Most packages named in a title.
const TITLE_PACKAGES_MAX: usize = 3;

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

/// A record that speaks of the check, with its texts.
struct Voice {
    source: String,
    record: StoredRecord,
    text: Text,
}

impl Index {
    /// Everything known about a finding id; `None` where no imported record
    /// stands for it.
    pub fn check(&self, id: FindingId) -> Option<Check> {
        let (family, canonical_id) = self.defect(id)?;
        let voices = self.voices(&family, &canonical_id);
        let standing: Vec<&Voice> =
            voices.iter().filter(|v| v.record.withdrawn.is_none()).collect();
        let voices: Vec<&Voice> =
            if standing.is_empty() { voices.iter().collect() } else { standing };
        // An erratum's own ids speak of other defects too: it lends its texts
        // and links, but neither names nor vectors.
        let own = || voices.iter().filter(|v| v.record.covers.is_empty());

        let mut ids: BTreeSet<&str> = own().flat_map(|v| v.record.ids()).collect();
        ids.insert(&canonical_id);
        let advisories: BTreeSet<&str> = voices.iter().map(|v| v.record.id.as_str()).collect();
        let packages: BTreeSet<&str> =
            voices.iter().flat_map(|v| v.record.names.iter().map(String::as_str)).collect();
        let cvss = vectors(own().map(|v| &v.record));
        let word = |v: &&&Voice| v.record.rating.as_deref().and_then(Severity::of_word);
        let fallback =
            |v: &&&Voice| v.record.fallback_rating.as_deref().and_then(Severity::of_word);
        let severity = own()
            .filter_map(|v| word(&v))
            .max()
            .or_else(|| CvssVector::best(&cvss).map(CvssVector::severity))
            .or_else(|| own().filter_map(|v| fallback(&v)).max())
            .unwrap_or_default();
        let time = |seconds: Option<i64>| seconds.and_then(rfc3339);
        let severity_word =
            if severity == Severity::Unscored { "unrated" } else { severity.as_str() };
        Some(Check {
            id,
            title: title(&family, &canonical_id, &voices, &packages),
            category: category(&family).to_owned(),
            description: description(&voices),
            impact: format!(
                "An image that holds an affected version of {} is exposed to {canonical_id} ({severity_word}).",
                list(&packages)
            ),
            cves: ids.iter().filter(|id| is_cve(id)).map(|id| (*id).to_owned()).collect(),
            aliases: ids
                .iter()
                .filter(|id| !is_cve(id) && !advisories.contains(*id))
                .map(|id| (*id).to_owned())
                .collect(),
            cvss,
            severity,
            published: time(voices.iter().filter_map(|v| v.record.published).min()),
            modified: time(voices.iter().filter_map(|v| v.record.modified).max()),
            references: links(&voices, &ids),
            remediation: remediation(&family, &packages),
            advisories: advisories.into_iter().map(str::to_owned).collect(),
            packages: packages.into_iter().map(str::to_owned).collect(),
            canonical: canonical_id,
        })
    }

    /// Family and canonical id behind a finding id.
    fn defect(&self, id: FindingId) -> Option<(String, String)> {
        for source in self.sources() {
            for segment in source.segments() {
                for record in
                    segment.records_of_finding(id).into_iter().filter_map(|n| segment.record(n))
                {
                    let defects = record.defects();
                    if let Some(defect) =
                        defects.into_iter().find(|d| FindingId::of(&source.family, d) == id)
                    {
                        return Some((source.family.clone(), defect.to_owned()));
                    }
                }
            }
        }
        None
    }

    /// Every record of a family that speaks of a defect, by source and id.
    fn voices(&self, family: &str, canonical_id: &str) -> Vec<Voice> {
        let mut voices = Vec::new();
        for source in self.sources().iter().filter(|s| s.family == family) {
            for segment in source.segments() {
                for number in segment.records_of(canonical_id).into_iter().take(RECORDS_MAX) {
                    let Some(record) = segment.record(number).filter(|r| source.stands(segment, r))
                    else {
                        continue;
                    };
                    let text = segment.text(number).unwrap_or_default();
                    voices.push(Voice { source: source.name.clone(), record, text });
                }
            }
        }
        voices.sort_by(|a, b| (&a.source, &a.record.id).cmp(&(&b.source, &b.record.id)));
        voices.truncate(RECORDS_MAX);
        voices
    }
}

/// Every vector once, with the first record that carries it.
pub(crate) fn vectors<'a>(records: impl Iterator<Item = &'a StoredRecord>) -> Vec<CvssVector> {
    let mut out: Vec<CvssVector> = Vec::new();
    for record in records {
        for vector in record.cvss.iter().filter_map(|v| CvssVector::parse(v, &record.id)) {
            if !out.iter().any(|known| known.vector == vector.vector) {
                out.push(vector);
            }
        }
    }
    out
}

/// A language's advisory has a summary of its own. A distribution's check is
/// called after its packages and the erratum that brings the fix.
fn title(family: &str, canonical_id: &str, voices: &[&Voice], packages: &BTreeSet<&str>) -> String {
    let word = category(family);
    if is_language(family) {
        let summary = voices.iter().map(|v| v.text.title.as_str()).find(|t| !t.is_empty());
        return match summary {
            Some(summary) => format!("{word}: {summary} ({canonical_id})"),
            None => format!("{word}: {} ({canonical_id})", list(packages)),
        };
    }
    let errata: BTreeSet<&str> = voices
        .iter()
        .filter(|v| {
            !v.record.covers.is_empty()
                || v.record.id.starts_with("DSA-")
                || v.record.id.starts_with("DLA-")
        })
        .map(|v| v.record.id.as_str())
        .collect();
    // Several errata fix the same defect in several releases or packages; the
    // check is about all of them, so only a single one lends its name.
    let name = match errata.iter().next() {
        Some(only) if errata.len() == 1 => only,
        _ => canonical_id,
    };
    format!("{word} Security Update for {} ({name})", list(packages))
}

fn list(packages: &BTreeSet<&str>) -> String {
    let shown: Vec<&str> = packages.iter().copied().take(TITLE_PACKAGES_MAX).collect();
    match packages.len() - shown.len() {
        0 if shown.is_empty() => "the package".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The longest text, which is the one that says most.
fn description(voices: &[&Voice]) -> String {
    let longest =
        voices.iter().map(|v| v.text.details.as_str()).max_by_key(|d| d.len()).unwrap_or("");
    let text = if longest.is_empty() {
        voices.iter().map(|v| v.text.title.as_str()).max_by_key(|t| t.len()).unwrap_or("")
    } else {
        longest
    };
    text.to_owned()
}

fn links(voices: &[&Voice], ids: &BTreeSet<&str>) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let cves = canonical(ids.iter().copied().filter(|id| is_cve(id)));
    links.extend(cves.map(|cve| Link {
        title: cve.to_owned(),
        link: format!("https://www.cve.org/CVERecord?id={cve}"),
    }));
    for voice in voices {
        for reference in &voice.text.references {
            // Only what a browser may follow; the address is foreign text.
            let usable =
                reference.link.starts_with("https://") || reference.link.starts_with("http://");
            if usable && links.len() < LINKS_MAX && !links.iter().any(|l| l.link == reference.link)
            {
                let host = reference.link.split('/').nth(2).unwrap_or(&reference.link);
                let title =
                    if reference.link.contains(&voice.record.id) { &voice.record.id } else { host };
                links.push(Link { title: title.to_owned(), link: reference.link.clone() });
            }
        }
    }
    links
}

fn remediation(family: &str, packages: &BTreeSet<&str>) -> String {
    let list = list(packages);
    match family {
        "Debian" | "Ubuntu" => format!(
            "Rebuild the image on a current base, or run `apt-get update && apt-get upgrade` in it, so that the \
             packages built from {list} are at the fixed version or above."
        ),
        "Alpine" => format!(
            "Rebuild the image on a current base, or run `apk upgrade --no-cache` in it, so that the packages built \
             from {list} are at the fixed version or above."
        ),
        "PyPI" => {
            format!("Raise {list} to the fixed version in the requirements and rebuild the image.")
        }
        "npm" => format!(
            "Raise {list} to the fixed version in package.json, renew the lock file and rebuild the image."
        ),
        _ => format!("Raise {list} to the fixed version and rebuild the image."),
    }
}
