//! OSV records (ossf.github.io/osv-schema), as loose files or as exports of a
//! whole ecosystem.
//!
//! Tolerant on purpose: a record is never refused for an ecosystem, field,
//! range type or severity type that is not known here.

use std::collections::{BTreeMap, BTreeSet};

use packages::Namespace;
use packages::version::VersionScheme;
use serde::Deserialize;
use serde_json::Value;

use super::{ImportReport, seconds};
use crate::range::{Placed, place};
use crate::record::{
    AFFECTED_MAX, Affected, DETAILS_BYTES_MAX, EVENTS_MAX, Event, ID_BYTES_MAX, IDS_MAX,
    LINK_BYTES_MAX, NAME_BYTES_MAX, REFERENCES_MAX, Record, Reference, Stance, Statement,
    TITLE_BYTES_MAX, VECTORS_MAX, VERSIONS_MAX, cut, is_cve,
};

/// Ids of errata: each closes several defects, and is a name for none of them.
const ERRATA: [&str; 14] = [
    "DSA-",
    "DLA-",
    "DTSA-",
    "USN-",
    "ALSA-",
    "ALBA-",
    "ALEA-",
    "RHSA-",
    "RHBA-",
    "RLSA-",
    "ELSA-",
    "SUSE-",
    "openSUSE-",
    "MGASA-",
];

#[derive(Deserialize)]
struct OsvRecord {
    id: String,
    modified: Option<String>,
    published: Option<String>,
    withdrawn: Option<String>,
    aliases: Option<Vec<String>>,
    related: Option<Vec<String>>,
    upstream: Option<Vec<String>>,
    summary: Option<String>,
    details: Option<String>,
    severity: Option<Vec<OsvSeverity>>,
    affected: Option<Vec<OsvAffected>>,
    references: Option<Vec<OsvReference>>,
    database_specific: Option<Value>,
}

#[derive(Deserialize)]
struct OsvSeverity {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    score: String,
}

#[derive(Deserialize)]
struct OsvReference {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    url: String,
}

#[derive(Deserialize)]
struct OsvAffected {
    package: Option<OsvPackage>,
    ranges: Option<Vec<OsvRange>>,
    versions: Option<Vec<String>>,
    severity: Option<Vec<OsvSeverity>>,
    ecosystem_specific: Option<Value>,
    database_specific: Option<Value>,
}

#[derive(Deserialize)]
struct OsvPackage {
    #[serde(default)]
    ecosystem: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct OsvRange {
    #[serde(rename = "type", default)]
    kind: String,
    events: Option<Vec<OsvEvent>>,
}

#[derive(Deserialize)]
struct OsvEvent {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

/// Whether a document has the shape of an OSV record.
pub(super) fn is_record(bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        #[allow(dead_code)] // its presence is the test
        id: String,
        modified: Option<serde::de::IgnoredAny>,
        affected: Option<serde::de::IgnoredAny>,
        schema_version: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Probe>(bytes)
        .is_ok_and(|p| p.modified.is_some() && (p.affected.is_some() || p.schema_version.is_some()))
}

/// Reads one record. What is left out on purpose is counted in the report.
pub(super) fn parse(bytes: &[u8], report: &mut ImportReport) -> Result<Record, String> {
    let raw: OsvRecord = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if raw.id.is_empty() || raw.id.len() > ID_BYTES_MAX || raw.id.chars().any(char::is_control) {
        return Err("its id is empty, too long or not printable".to_owned());
    }
    let mut record = Record {
        title: line(cut(raw.summary.as_deref().unwrap_or(""), TITLE_BYTES_MAX)),
        details: cut(raw.details.as_deref().unwrap_or("").trim(), DETAILS_BYTES_MAX).to_owned(),
        published: raw.published.as_deref().and_then(seconds),
        modified: raw.modified.as_deref().and_then(seconds),
        // Withdrawn on a day that cannot be read is still withdrawn.
        withdrawn: raw.withdrawn.as_deref().map(|w| seconds(w).unwrap_or(0)),
        ..Record::default()
    };
    name_defects(&mut record, &raw);
    let (vectors, rating) = severities(raw.severity.as_deref().unwrap_or(&[]));
    record.cvss = vectors;
    record.rating = rating;
    record.fallback_rating = word(raw.database_specific.as_ref(), "severity");
    for reference in raw.references.unwrap_or_default().into_iter() {
        if reference.url.is_empty() || reference.url.len() > LINK_BYTES_MAX {
            report.skip("reference without a usable link");
        } else if record.references.len() < REFERENCES_MAX {
            record.references.push(Reference {
                kind: cut(&reference.kind, ID_BYTES_MAX).to_owned(),
                link: reference.url,
            });
        } else {
            report.skip("reference beyond the limit per record");
        }
    }
    for affected in raw.affected.unwrap_or_default() {
        if record.affected.len() >= AFFECTED_MAX {
            report.skip("affected package beyond the limit per record");
        } else if let Some(affected) = read_affected(affected, report) {
            record.affected.push(affected);
        }
    }
    record.id = raw.id;
    Ok(record)
}

/// Sorts ids into names of the same defect and defects that an erratum closes.
fn name_defects(record: &mut Record, raw: &OsvRecord) {
    let none = Vec::new();
    let (aliases, upstream, related) = (
        raw.aliases.as_ref().unwrap_or(&none),
        raw.upstream.as_ref().unwrap_or(&none),
        raw.related.as_ref().unwrap_or(&none),
    );
    let usable = |id: &&String| !id.is_empty() && id.len() <= ID_BYTES_MAX && **id != raw.id;
    let set = |ids: BTreeSet<String>| ids.into_iter().take(IDS_MAX).collect::<Vec<_>>();
    if ERRATA.iter().any(|prefix| raw.id.starts_with(prefix)) {
        let cves =
            aliases.iter().chain(upstream).chain(related).filter(usable).filter(|id| is_cve(id));
        record.covers = set(cves.cloned().collect());
        return;
    }
    let mut names: BTreeSet<String> = aliases.iter().filter(usable).cloned().collect();
    if !names.iter().any(|id| is_cve(id)) && !is_cve(&raw.id) {
        // UBUNTU-CVE-2024-1 says in its own id which CVE it is about.
        let own =
            raw.id.find("-CVE-").map(|at| raw.id[at + 1..].to_owned()).filter(|id| is_cve(id));
        let cves: BTreeSet<String> = own.map_or_else(
            || upstream.iter().filter(|id| is_cve(id)).cloned().collect(),
            |id| [id].into(),
        );
        if cves.len() > 1 {
            record.covers = set(cves);
        } else {
            names.extend(cves);
        }
    }
    record.aliases = set(names);
}

fn read_affected(raw: OsvAffected, report: &mut ImportReport) -> Option<Affected> {
    let Some(package) = raw.package.filter(|p| !p.ecosystem.is_empty() && !p.name.is_empty())
    else {
        report.skip("affected entry that names no package (only a git repository, say)");
        return None;
    };
    if package.name.len() > NAME_BYTES_MAX
        || package.ecosystem.len() > NAME_BYTES_MAX
        || package.name.contains('\0')
    {
        report.skip("affected entry whose package name is too long or not printable");
        return None;
    }
    let namespace = Namespace::new(&package.ecosystem);
    let mut statement = Statement::default();
    let mut events_left = EVENTS_MAX;
    for range in raw.ranges.unwrap_or_default() {
        match range.kind.as_str() {
            "ECOSYSTEM" | "SEMVER" => {}
            "GIT" => {
                report.skip("range of git commits");
                continue;
            }
            _ => {
                report.skip("range of an unknown type");
                continue;
            }
        }
        let mut events = Vec::new();
        for raw in range.events.unwrap_or_default() {
            let parts = [
                raw.introduced.map(Event::Introduced),
                raw.fixed.map(Event::Fixed),
                raw.last_affected.map(Event::LastAffected),
                raw.limit.map(Event::Limit),
            ];
            for event in parts.into_iter().flatten() {
                if crate::range::event_version(&event).len() > NAME_BYTES_MAX || events_left == 0 {
                    report.skip("range event beyond the limits");
                } else {
                    events_left -= 1;
                    events.push(event);
                }
            }
        }
        statement.ranges.push(events);
    }
    let versions: BTreeSet<String> = raw
        .versions
        .unwrap_or_default()
        .into_iter()
        .filter(|v| v.len() <= NAME_BYTES_MAX)
        .collect();
    statement.versions = outside_ranges(&namespace, &statement, versions);
    if statement.ranges.is_empty() && statement.versions.is_empty() {
        statement.stance = Stance::Undecided;
        statement.note = Some("the record names no versions".to_owned());
        report.skip("affected entry without versions (kept for explanations)");
    }
    let (vectors, rating) = severities(raw.severity.as_deref().unwrap_or(&[]));
    statement.cvss = vectors;
    statement.rating = rating
        .or_else(|| word(raw.ecosystem_specific.as_ref(), "urgency"))
        .or_else(|| word(raw.ecosystem_specific.as_ref(), "ubuntu_priority"))
        .or_else(|| word(raw.ecosystem_specific.as_ref(), "severity"))
        .or_else(|| word(raw.database_specific.as_ref(), "severity"));
    Some(Affected { namespace, name: package.name, statement })
}

/// The single versions that the ranges do not already hold: exports list every
/// release of a package again and again, most of their bytes.
fn outside_ranges(
    namespace: &Namespace,
    statement: &Statement,
    versions: BTreeSet<String>,
) -> Vec<String> {
    let scheme = VersionScheme::for_ecosystem(namespace.as_str());
    let covered = |version: &str| {
        scheme.is_some_and(|scheme| {
            matches!(place(scheme, statement, version), Placed::Inside { .. })
        })
    };
    versions
        .into_iter()
        .filter(|v| statement.ranges.is_empty() || !covered(v))
        .take(VERSIONS_MAX)
        .collect()
}

/// CVSS vectors, and the word of a distribution (Ubuntu writes its priority as
/// a severity of type `Ubuntu`).
fn severities(raw: &[OsvSeverity]) -> (Vec<String>, Option<String>) {
    let mut vectors: Vec<String> = Vec::new();
    let mut rating = None;
    for severity in raw.iter().filter(|s| s.score.len() <= NAME_BYTES_MAX) {
        if severity.kind.starts_with("CVSS") {
            if vectors.len() < VECTORS_MAX && !vectors.contains(&severity.score) {
                vectors.push(severity.score.clone());
            }
        } else if !severity.score.is_empty() {
            rating = Some(severity.score.clone());
        }
    }
    (vectors, rating)
}

fn word(value: Option<&Value>, key: &str) -> Option<String> {
    let word = value?.get(key)?.as_str()?;
    (!word.is_empty()).then(|| cut(word, ID_BYTES_MAX).to_owned())
}

/// On one line, without control characters.
fn line(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

/// Share of an export's records that must name a family for the export to be
/// that ecosystem's own.
const OWN_SHARE: f64 = 0.95;

/// Divides records by family. A complete export of one ecosystem also holds
/// what its records say about others; that part is left to the others' own
/// exports, which are complete.
pub(super) fn by_family(
    records: Vec<Record>,
    complete: bool,
) -> BTreeMap<String, (Vec<Record>, u64)> {
    let mut naming: BTreeMap<String, usize> = BTreeMap::new();
    let mut speaking = 0usize;
    for record in &records {
        let families: BTreeSet<&str> =
            record.affected.iter().map(|a| a.namespace.family()).collect();
        speaking += usize::from(!families.is_empty());
        for family in families {
            *naming.entry(family.to_owned()).or_default() += 1;
        }
    }
    let most = naming
        .iter()
        .max_by_key(|(_, count)| **count)
        .map(|(family, count)| (family.clone(), *count));
    let own = most.filter(|(_, count)| complete && *count as f64 >= speaking as f64 * OWN_SHARE);

    let mut out: BTreeMap<String, (Vec<Record>, u64)> = BTreeMap::new();
    for record in records {
        let mut parts: BTreeMap<String, Vec<Affected>> = BTreeMap::new();
        for affected in &record.affected {
            parts.entry(affected.namespace.family().to_owned()).or_default().push(affected.clone());
        }
        if parts.is_empty() {
            // Kept for explanations; a loose one replaces what its base said.
            let family = own.as_ref().map(|(family, _)| family.clone()).unwrap_or_default();
            parts.insert(family, Vec::new());
        }
        for (family, affected) in parts {
            match &own {
                Some((own, _)) if *own != family => {
                    out.entry(own.clone()).or_default().1 += affected.len() as u64;
                }
                _ => out.entry(family).or_default().0.push(Record { affected, ..record.clone() }),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, id: &str, aliases: &[&str], covers: &[&str]) {
        let record = parse(json.as_bytes(), &mut ImportReport::default()).unwrap();
        assert_eq!(
            (record.id.as_str(), record.aliases, record.covers),
            (
                id,
                aliases.iter().map(|s| s.to_string()).collect(),
                covers.iter().map(|s| s.to_string()).collect()
            )
        );
    }

    #[test]
    fn errata_cover_and_aliases_name() {
        check(r#"{"id":"GHSA-1","aliases":["CVE-2020-1234"]}"#, "GHSA-1", &["CVE-2020-1234"], &[]);
        check(
            r#"{"id":"DSA-1-1","upstream":["CVE-2020-1234","CVE-2020-1235"]}"#,
            "DSA-1-1",
            &[],
            &["CVE-2020-1234", "CVE-2020-1235"],
        );
        check(
            r#"{"id":"ALSA-1","related":["CVE-2020-1234","X"]}"#,
            "ALSA-1",
            &[],
            &["CVE-2020-1234"],
        );
        check(
            r#"{"id":"UBUNTU-CVE-2020-1234","upstream":["CVE-2020-1234"]}"#,
            "UBUNTU-CVE-2020-1234",
            &["CVE-2020-1234"],
            &[],
        );
        check(r#"{"id":"GHSA-1","related":["CVE-2020-1234"],"aliases":null}"#, "GHSA-1", &[], &[]);
    }

    #[test]
    fn nothing_unknown_refuses_a_record() {
        let json = r#"{"id":"X-1","new_field":{"a":1},"severity":[{"type":"SSVC","score":"Act"}],
            "affected":[
              {"package":{"ecosystem":"openEuler:24.03-LTS","name":"a"},"ranges":[{"type":"NEW","events":[]},{"type":"GIT"}],"versions":["1"]},
              {"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]}]}"#;
        let mut report = ImportReport::default();
        let record = parse(json.as_bytes(), &mut report).unwrap();
        assert_eq!(record.affected.len(), 1);
        assert_eq!(record.affected[0].statement.versions, ["1"]);
        assert_eq!(record.rating.as_deref(), Some("Act"));
        assert_eq!(report.skipped.values().sum::<u64>(), 3, "{:?}", report.skipped);
    }

    #[test]
    fn an_export_is_split_from_what_others_export() {
        let of = |id: &str, ecosystems: &[&str]| Record {
            id: id.into(),
            affected: ecosystems
                .iter()
                .map(|e| Affected {
                    namespace: Namespace::new(e),
                    name: "x".into(),
                    statement: Statement::default(),
                })
                .collect(),
            ..Record::default()
        };
        let records = vec![of("a", &["npm"]), of("b", &["npm", "PyPI"])];
        assert_eq!(by_family(records.clone(), true).keys().collect::<Vec<_>>(), ["npm"]);
        assert_eq!(by_family(records, false).keys().collect::<Vec<_>>(), ["PyPI", "npm"]);
        let mixed = vec![of("a", &["npm"]), of("b", &["PyPI"])];
        assert_eq!(by_family(mixed, true).len(), 2);
    }
}
