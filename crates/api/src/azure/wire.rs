//! From a finding to the JSON of a sub-assessment.

use std::collections::BTreeMap;

use posture::SubAssessment;
use posture::remediation::remediation;
use posture::sub_assessment::{ASSESSMENT_KEY, AzureSeverity};
use serde_json::{Value, json};
use store::scan::{Millis, StoredImage};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::AzureState;
use crate::inspections::EnrichedFinding;
use crate::portal::links::{link, web_link};

/// The discriminator from which the SDKs build their typed class.
const ASSESSED_RESOURCE_TYPE: &str = "ContainerRegistryVulnerability";

/// One sub-assessment. `finding` is the one that `row` names, if any.
pub(super) fn sub_assessment(
    state: &AzureState,
    host: &str,
    row: &SubAssessment,
    image: &StoredImage,
    finding: Option<&EnrichedFinding>,
) -> Value {
    let name = row.name();
    let registry = state.registry_id();
    json!({
        "id": format!("{registry}/providers/Microsoft.Security/assessments/{ASSESSMENT_KEY}/subAssessments/{name}"),
        "name": name,
        "type": "Microsoft.Security/assessments/subAssessments",
        "properties": properties(&registry, host, row, image, finding),
    })
}

fn properties(
    registry: &str,
    host: &str,
    row: &SubAssessment,
    image: &StoredImage,
    enriched: Option<&EnrichedFinding>,
) -> Value {
    let (repository, digest) = (row.image.repository.as_str(), row.image.digest.to_string());
    let os_details = image.os.as_ref().map_or("", |os| os.pretty_name.as_deref().unwrap_or(&os.id));
    let check = enriched.and_then(|e| e.check.as_deref());
    let cves = enriched.map_or(&[][..], |e| &e.finding.cves);
    let titled = |title: &str, link: Option<String>| json!({ "title": title, "link": link.unwrap_or_default() });
    let references = check.iter().flat_map(|check| &check.references);
    let mut properties = json!({
        "id": enriched.map(|e| e.finding.id.to_string()).unwrap_or_default(),
        "displayName": enriched.map_or("No vulnerability findings", |e| &e.finding.title),
        "status": status(row, enriched),
        "remediation": enriched.map(|e| remediation(&e.finding, check.map_or("", |c| &c.remediation)).steps.join("\n")).unwrap_or_default(),
        "impact": check.map_or("", |check| &check.impact),
        "category": enriched.map_or("", |e| &e.finding.category),
        "description": check.map_or("", |check| &check.description),
        "timeGenerated": time_text(enriched.map_or(image.finished_at, |e| e.finding.opened_at.max(image.started_at))),
        "resourceDetails": {
            "source": "Azure",
            "id": format!("{registry}/repositories/{repository}/images/{digest}"),
        },
        "additionalData": {
            "assessedResourceType": ASSESSED_RESOURCE_TYPE,
            "type": "Vulnerability",
            "cvss": cvss(enriched),
            "patchable": enriched.is_some_and(|e| e.finding.patchable),
            "cve": cves.iter().map(|cve| titled(cve, link(cve))).collect::<Vec<_>>(),
            "vendorReferences": references
                .filter_map(|r| Some(titled(&r.title, Some(web_link(&r.link)?))))
                .collect::<Vec<_>>(),
            "repositoryName": repository,
            "imageDigest": digest,
            "registryHost": host,
            "imageDetails": { "os": os_name(&image.platform.os), "osDetails": os_details },
        },
    });
    if let Some(published) = check.and_then(|check| check.published.as_deref()) {
        properties["additionalData"]["publishedTime"] = json!(published);
    }
    properties
}

fn status(row: &SubAssessment, enriched: Option<&EnrichedFinding>) -> Value {
    let mut status = json!({ "code": row.code().as_str(), "cause": "" });
    match enriched {
        // A clean bill has no severity.
        None => {
            status["description"] =
                json!("The image was scanned and has no vulnerability findings.")
        }
        Some(enriched) => {
            status["severity"] = json!(AzureSeverity::from(enriched.finding.severity).as_str());
            let reason = enriched.finding.deciding().map_or("", |o| &o.verdict.severity_reason);
            status["description"] = json!(reason);
        }
    }
    status
}

/// The best score of each major version; Azure knows `2.0` and `3.0`.
fn cvss(enriched: Option<&EnrichedFinding>) -> BTreeMap<&'static str, Value> {
    let mut best: BTreeMap<&'static str, f64> = BTreeMap::new();
    for vector in enriched.iter().filter_map(|e| e.check.as_ref()).flat_map(|check| &check.cvss) {
        let key = match vector.version.as_str() {
            "2.0" => "2.0",
            "3.0" | "3.1" => "3.0",
            _ => continue,
        };
        let score = best.entry(key).or_insert(vector.score);
        *score = score.max(vector.score);
    }
    best.into_iter().map(|(key, base)| (key, json!({ "base": base }))).collect()
}

/// `linux` is written `Linux`.
fn os_name(os: &str) -> String {
    let mut chars = os.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn time_text(millis: Millis) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}
