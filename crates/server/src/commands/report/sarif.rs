//! SARIF 2.1.0 (OASIS), as code scanning services take it.

use std::collections::BTreeSet;

use advisories::Severity;
use matching::PackageFinding;
use packages::InventoryItem;
use serde_json::{Map, Value, json};

use super::{Finding, Subject, TOOL, TOOL_VERSION, name_uuid, path_uri};
use crate::commands::{inventory, table};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What paths are relative to.
const BASE: &str = "IMAGE";

/// The fingerprint's name; its number changes with what it is made of.
const FINGERPRINT: &str = "lazaretFinding/v1";

/// Notification of an assessment that does not cover everything.
const NOT_ASSESSED: &str = "not-assessed";

/// Notification of content that could not be read.
const NOT_READ: &str = "not-read";

/// Most tags of a rule: services refuse longer lists.
const TAGS_MAX: usize = 10;

/// The whole report: one run, a rule for each finding, a result for each of
/// its packages.
pub fn document(subject: &Subject<'_>) -> Value {
    let findings = subject.findings();
    let results: Vec<_> = findings
        .iter()
        .enumerate()
        .flat_map(|(index, finding)| {
            let packages = subject.packages_of(finding.found);
            packages.map(move |(item, found)| result(subject, index, finding, item, found))
        })
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": TOOL,
                "version": TOOL_VERSION,
                "semanticVersion": TOOL_VERSION,
                "rules": findings.iter().map(rule).collect::<Vec<_>>(),
                "notifications": [
                    { "id": NOT_ASSESSED, "shortDescription": { "text": "Not everything in the image could be assessed" } },
                    { "id": NOT_READ, "shortDescription": { "text": "Something in the image could not be read" } }
                ]
            } },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { BASE: { "description": { "text": "The root of the image's file system" } } },
            "invocations": [{
                "executionSuccessful": true,
                "endTimeUtc": subject.timestamp(),
                "toolExecutionNotifications": notifications(subject)
            }],
            "results": results,
            "properties": run_properties(subject)
        }]
    })
}

fn run_properties(subject: &Subject<'_>) -> Value {
    let (status, cause) = subject.verdict().unzip();
    json!({
        "target": subject.target,
        "imageDigest": subject.image.digest.to_string(),
        "platform": inventory::platform(&subject.image.inspected.platform),
        "status": status,
        "cause": cause.flatten(),
        "packages": subject.image.inspected.inventory.packages.len(),
        "advisories": subject.judged.map(|judged| judged.index.snapshot_id()),
    })
}

fn notifications(subject: &Subject<'_>) -> Vec<Value> {
    let mut notifications = Vec::new();
    if let Some((status, Some(cause))) = subject.verdict() {
        let text = format!("{}: {cause}", status.replace('_', " "));
        notifications.push(json!({
            "descriptor": { "id": NOT_ASSESSED, "index": 0 },
            "level": "warning",
            "message": { "text": prose(&text) },
            "properties": { "status": status }
        }));
    }
    for problem in &subject.image.inspected.inventory.problems {
        let mut notification = json!({
            "descriptor": { "id": NOT_READ, "index": 1 },
            "level": "warning",
            "message": { "text": prose(&problem.message) },
            "properties": { "kind": problem.kind, "layer": problem.layer, "path": problem.path }
        });
        let path = problem.path.as_deref().map(path_uri).unwrap_or_default();
        if !path.is_empty() {
            notification["locations"] = json!([physical(&path)]);
        }
        notifications.push(notification);
    }
    notifications
}

fn rule(finding: &Finding<'_>) -> Value {
    let severity = finding.found.severity;
    let mut tags = vec!["security".to_owned(), "vulnerability".to_owned()];
    tags.extend(finding.check.as_ref().map(|c| c.category.clone()));
    let ids = finding.found.cves.iter().map(String::as_str).chain(finding.advisories());
    for id in ids {
        if tags.len() < TAGS_MAX && !tags.iter().any(|tag| tag == id) {
            tags.push(id.to_owned());
        }
    }
    let mut properties = json!({
        "tags": tags,
        // A version was compared with a stated range: no heuristic is in it.
        "precision": "very-high",
        "severity": severity,
        "cves": finding.found.cves,
        "advisories": finding.advisories(),
        "patchable": finding.found.patchable,
    });
    if let Some(best) = finding.cvss().first() {
        properties["security-severity"] = json!(format!("{:.1}", best.score));
        properties["cvss"] = json!(best.vector);
    }
    let help = finding.remediation().map_or_else(|| finding.title(), str::to_owned);
    let mut rule = Map::from_iter([
        ("id".to_owned(), json!(finding.id())),
        ("name".to_owned(), json!(finding.name())),
        ("shortDescription".to_owned(), json!({ "text": prose(&finding.title()) })),
        ("fullDescription".to_owned(), json!({ "text": prose(&finding.description()) })),
        ("help".to_owned(), json!({ "text": prose(&help) })),
        ("defaultConfiguration".to_owned(), json!({ "level": level(severity) })),
        ("properties".to_owned(), properties),
    ]);
    if let Some((_, link)) = finding.links().next() {
        rule.insert("helpUri".to_owned(), json!(link));
    }
    Value::Object(rule)
}

fn result(
    subject: &Subject<'_>,
    index: usize,
    finding: &Finding<'_>,
    item: &InventoryItem,
    found: &PackageFinding,
) -> Value {
    let package = &item.package;
    let purl = subject.purl(item);
    let remedy = match &found.fixed_version {
        Some(fixed) => format!("Fixed in {fixed}."),
        None => "No fixed version is known.".to_owned(),
    };
    let text = format!(
        "{} {} in layer {} is affected by {}: {}. {remedy}",
        package.name,
        package.version,
        item.layer,
        finding.name(),
        finding.title(),
    );
    let mut location = json!({
        "logicalLocations": [{ "name": package.name, "fullyQualifiedName": purl, "kind": "package" }]
    });
    let path = path_uri(&item.path);
    if !path.is_empty() {
        location["physicalLocation"] = physical(&path)["physicalLocation"].take();
    }
    let ids: BTreeSet<&str> = found.advisories.iter().map(String::as_str).collect();
    let mut result = json!({
        "ruleId": finding.id(),
        "ruleIndex": index,
        "level": level(found.severity),
        "message": { "text": prose(&text) },
        "locations": [location],
        "partialFingerprints": { FINGERPRINT: fingerprint(finding, item) },
        "properties": {
            "name": package.name,
            "version": package.version,
            "purl": purl,
            "path": item.path,
            "layer": item.layer,
            "fixed": found.fixed_version,
            "state": found.state,
            "severity": found.severity,
            "severityReason": found.severity_reason,
            "advisories": ids,
            "evidence": found.evidence,
        }
    });
    if let Some(why) = &found.suppressed {
        result["suppressions"] =
            json!([{ "kind": "external", "status": "accepted", "justification": why }]);
    }
    result
}

/// Of what stays as it is when an image is built anew: layers do not count.
fn fingerprint(finding: &Finding<'_>, item: &InventoryItem) -> String {
    let package = &item.package;
    let arch = package.arch.as_deref().unwrap_or_default();
    let parts =
        [package.kind.as_str(), &package.name, &package.version, arch, &item.path, &finding.id()];
    name_uuid(&parts).simple().to_string()
}

fn physical(path: &str) -> Value {
    // Databases of packages have no lines of interest, but services leave out
    // results without a region.
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": path, "uriBaseId": BASE },
        "region": { "startLine": 1 }
    } })
}

/// What nobody rated is not harmless: it warns.
fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium | Severity::Unscored => "warning",
        Severity::Low => "note",
    }
}

/// Foreign text inside a sentence: without characters that act on a terminal,
/// and without `[text](target)`, which SARIF would show as a link.
fn prose(text: &str) -> String {
    text.split('\n').map(table::printable).collect::<Vec<_>>().join("\n").replace("](", "] (")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        assert_eq!(prose(input), expected);
    }

    #[test]
    fn prose_neither_links_nor_acts() {
        check("see [here](https://evil.example)", "see [here] (https://evil.example)");
        check("a\n\x1b[2J\u{202e}", "a\n\\u{1b}[2J\\u{202e}");
    }
}
