//! CycloneDX 1.6 as JSON (ECMA-424): packages, and findings as vulnerabilities.

use advisories::{CvssVector, Severity};
use oci::Algorithm;
use packages::{InventoryItem, OsRelease};
use serde_json::{Value, json};

use super::{Finding, Subject, TOOL, TOOL_VERSION, item_uuid};
use crate::commands::inventory;

/// Reference of the image within the document.
const IMAGE: &str = "image";

/// Reference of its operating system.
const OS: &str = "operating-system";

/// Longest version that the schema takes, in characters; a longer one is cut,
/// the purl has it whole.
const VERSION_CHARS_MAX: usize = 1024;

/// The whole document.
pub fn document(subject: &Subject<'_>) -> Value {
    let inventory = &subject.image.inspected.inventory;
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", subject.document_id("cyclonedx")),
        "version": 1,
        "metadata": metadata(subject),
        "components": inventory.os.iter().map(operating_system)
            .chain(inventory.packages.iter().map(|item| component(subject, item)))
            .collect::<Vec<_>>(),
    });
    if subject.judged.is_some() {
        let findings = subject.findings();
        document["vulnerabilities"] =
            findings.iter().map(|finding| vulnerability(subject, finding)).collect();
    }
    if subject.is_incomplete() {
        document["compositions"] = json!([{ "aggregate": "incomplete", "assemblies": [IMAGE] }]);
    }
    document
}

fn metadata(subject: &Subject<'_>) -> Value {
    let digest = &subject.image.digest;
    let mut properties = Properties::default();
    properties.add("platform", &inventory::platform(&subject.image.inspected.platform));
    if let Some((status, cause)) = subject.verdict() {
        properties.add("status", status);
        properties.add_some("cause", cause);
    }
    if let Some(judged) = subject.judged {
        properties.add("advisories", &judged.index.snapshot_id());
    }
    for problem in &subject.image.inspected.inventory.problems {
        properties.add("problem", &problem.message);
    }
    let algorithm = match digest.algorithm() {
        Algorithm::Sha256 => "SHA-256",
        Algorithm::Sha512 => "SHA-512",
    };
    json!({
        "timestamp": subject.timestamp(),
        "tools": { "components": [{ "type": "application", "name": TOOL, "version": TOOL_VERSION }] },
        "component": {
            "type": "container",
            "bom-ref": IMAGE,
            "name": subject.target,
            "version": digest.to_string(),
            "hashes": [{ "alg": algorithm, "content": digest.hex() }],
        },
        "properties": properties.0,
    })
}

fn operating_system(os: &OsRelease) -> Value {
    let mut properties = Properties::default();
    properties.add_some("codename", os.codename.as_deref());
    json!({
        "type": "operating-system",
        "bom-ref": OS,
        "name": os.id,
        "version": os.version_id.as_deref().unwrap_or_default(),
        "description": os.pretty_name.as_deref().unwrap_or_default(),
        "properties": properties.0,
    })
}

fn component(subject: &Subject<'_>, item: &InventoryItem) -> Value {
    let package = &item.package;
    let mut properties = Properties::default();
    properties.add("type", package.kind.as_str());
    properties.add("layer", &item.layer.to_string());
    properties.add("path", &item.path);
    properties.add_some("arch", package.arch.as_deref());
    properties.add_some("owner", item.owner.as_deref());
    if let Some(source) = &package.source {
        properties.add("source", &source.name);
        properties.add("source_version", &source.version);
    }
    json!({
        "type": "library",
        "bom-ref": reference(item),
        "name": package.name,
        "version": version(&package.version),
        "purl": subject.purl(item),
        "properties": properties.0,
    })
}

fn vulnerability(subject: &Subject<'_>, finding: &Finding<'_>) -> Value {
    let found = finding.found;
    let name = finding.name();
    let feed = found.packages.first().map_or(TOOL, |(_, p)| p.evidence.feed.as_str());
    let mut ids: Vec<&str> = found.cves.iter().map(String::as_str).collect();
    ids.extend(finding.advisories());
    ids.retain(|id| *id != name);
    let references = ids.iter().map(|id| json!({ "id": id, "source": { "name": feed } }));

    let mut properties = Properties::default();
    properties.add("finding", &finding.id());
    properties.add("patchable", if found.patchable { "true" } else { "false" });
    properties.add_some("category", finding.check.as_ref().map(|c| c.category.as_str()));
    for (item, package) in subject.packages_of(found) {
        let rule = format!("{} {}: {}", item.package.name, item.path, package.evidence.rule);
        properties.add("evidence", &rule);
        properties.add_some("fixed", package.fixed_version.as_deref());
    }
    let affects = subject.packages_of(found).map(|(item, package)| {
        let status = if package.suppressed.is_some() { "unaffected" } else { "affected" };
        json!({
            "ref": reference(item),
            "versions": [{ "version": version(&item.package.version), "status": status }]
        })
    });
    let mut vulnerability = json!({
        "bom-ref": format!("finding-{}", found.id),
        "id": name,
        "source": { "name": feed },
        "references": references.collect::<Vec<_>>(),
        "ratings": ratings(finding, feed),
        "description": finding.title(),
        "detail": finding.description(),
        "advisories": finding.links()
            .map(|(title, url)| json!({ "title": title, "url": url }))
            .collect::<Vec<_>>(),
        "affects": affects.collect::<Vec<_>>(),
        "properties": properties.0,
    });
    if let Some(remediation) = finding.remediation() {
        vulnerability["recommendation"] = json!(remediation);
    }
    if let Some(check) = &finding.check {
        for (key, time) in [("published", &check.published), ("updated", &check.modified)] {
            if let Some(time) = time {
                vulnerability[key] = json!(time);
            }
        }
    }
    if let Some(why) = &found.suppressed {
        vulnerability["analysis"] = json!({ "state": "not_affected", "detail": why });
    }
    vulnerability
}

/// What counts here comes first, then every vector.
fn ratings(finding: &Finding<'_>, feed: &str) -> Vec<Value> {
    let found = finding.found;
    let worst = found.packages.iter().find(|(_, package)| package.severity == found.severity);
    let ours = json!({
        "source": { "name": feed },
        "severity": severity(found.severity),
        "method": "other",
        "justification": worst.map(|(_, p)| p.severity_reason.as_str()).unwrap_or_default(),
    });
    let vectors = finding.cvss().into_iter().map(|vector| {
        json!({
            "source": { "name": vector.source },
            "score": vector.score,
            "severity": severity(vector.severity()),
            "method": method(vector),
            "vector": vector.vector,
        })
    });
    std::iter::once(ours).chain(vectors).collect()
}

fn method(vector: &CvssVector) -> &'static str {
    match vector.version.as_str() {
        "2.0" => "CVSSv2",
        "3.0" => "CVSSv3",
        "3.1" => "CVSSv31",
        "4.0" => "CVSSv4",
        _ => "other",
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Unscored => "unknown",
        rated => rated.as_str(),
    }
}

fn reference(item: &InventoryItem) -> String {
    format!("package-{}", item_uuid(item))
}

fn version(text: &str) -> String {
    text.chars().take(VERSION_CHARS_MAX).collect()
}

/// Names and values below `lazaret:`; a name may come again.
#[derive(Default)]
struct Properties(Vec<Value>);

impl Properties {
    fn add(&mut self, name: &str, value: &str) {
        self.0.push(json!({ "name": format!("{TOOL}:{name}"), "value": value }));
    }

    fn add_some(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }
}
