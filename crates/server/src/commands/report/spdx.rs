//! SPDX 2.3 as JSON: packages, with findings as annotations and as references
//! of category SECURITY.

use std::collections::HashMap;

use packages::InventoryItem;
use serde_json::{Value, json};

use super::{Finding, Subject, TOOL, TOOL_VERSION, item_uuid};

/// SPDX's word for what nobody has looked into.
const NOASSERTION: &str = "NOASSERTION";

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const OS: &str = "SPDXRef-OperatingSystem";

/// Most characters of a package's name in its id, which a UUID makes unique.
const ID_NAME_CHARS_MAX: usize = 64;

/// The whole document.
pub fn document(subject: &Subject<'_>) -> Value {
    let inventory = &subject.image.inspected.inventory;
    let findings = subject.findings();
    let mut said: HashMap<usize, Said> = HashMap::new();
    for finding in &findings {
        for (item, _) in &finding.found.packages {
            said.entry(*item as usize).or_default().add(subject, finding, *item);
        }
    }
    let mut packages = vec![image(subject)];
    let mut relationships = vec![relationship(DOCUMENT, "DESCRIBES", IMAGE)];
    if let Some(os) = &inventory.os {
        packages.push(json!({
            "SPDXID": OS,
            "name": os.id,
            "versionInfo": os.version_id.as_deref().unwrap_or(NOASSERTION),
            "summary": os.pretty_name.as_deref().unwrap_or(&os.id),
            "primaryPackagePurpose": "OPERATING_SYSTEM",
            "downloadLocation": NOASSERTION,
            "filesAnalyzed": false,
        }));
        relationships.push(relationship(IMAGE, "CONTAINS", OS));
    }
    for (number, item) in inventory.packages.iter().enumerate() {
        relationships.push(relationship(IMAGE, "CONTAINS", &id(item)));
        packages.push(package(subject, item, said.remove(&number).unwrap_or_default()));
    }
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": subject.target,
        "documentNamespace": format!("urn:uuid:{}", subject.document_id("spdx")),
        "creationInfo": { "created": subject.timestamp(), "creators": [creator()] },
        "packages": packages,
        "relationships": relationships,
    });
    if let Some(comment) = comment(subject) {
        document["comment"] = json!(comment);
    }
    document
}

/// Status and cause, and what could not be read.
fn comment(subject: &Subject<'_>) -> Option<String> {
    let mut lines = Vec::new();
    if let Some((status, cause)) = subject.verdict() {
        lines.push(format!("status: {status}"));
        lines.extend(cause.map(|cause| format!("cause: {cause}")));
    }
    let problems = &subject.image.inspected.inventory.problems;
    lines.extend(problems.iter().map(|problem| format!("not read: {}", problem.message)));
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn image(subject: &Subject<'_>) -> Value {
    let digest = &subject.image.digest;
    json!({
        "SPDXID": IMAGE,
        "name": subject.target,
        "versionInfo": digest.to_string(),
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": NOASSERTION,
        "filesAnalyzed": false,
        "checksums": [{
            "algorithm": digest.algorithm().to_string().to_ascii_uppercase(),
            "checksumValue": digest.hex(),
        }],
    })
}

fn package(subject: &Subject<'_>, item: &InventoryItem, said: Said) -> Value {
    let package = &item.package;
    let mut read_from = format!("read from {} in layer {}", item.path, item.layer);
    if let Some(source) = &package.source {
        read_from += &format!("; built from {} {}", source.name, source.version);
    }
    if let Some(owner) = &item.owner {
        read_from += &format!("; installed by {owner}");
    }
    let purl = json!({
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": subject.purl(item),
    });
    let mut document = json!({
        "SPDXID": id(item),
        "name": package.name,
        "primaryPackagePurpose": "LIBRARY",
        "downloadLocation": NOASSERTION,
        "filesAnalyzed": false,
        "licenseConcluded": NOASSERTION,
        "licenseDeclared": NOASSERTION,
        "copyrightText": NOASSERTION,
        "sourceInfo": read_from,
        "externalRefs": std::iter::once(purl).chain(said.references).collect::<Vec<_>>(),
    });
    if !package.version.is_empty() {
        document["versionInfo"] = json!(package.version);
    }
    if !said.annotations.is_empty() {
        document["annotations"] = json!(said.annotations);
    }
    document
}

/// What findings say of one package.
#[derive(Default)]
struct Said {
    references: Vec<Value>,
    annotations: Vec<Value>,
}

impl Said {
    fn add(&mut self, subject: &Subject<'_>, finding: &Finding<'_>, item: u32) {
        let name = finding.name();
        for (_, found) in finding.found.packages.iter().filter(|(number, _)| *number == item) {
            let fix = match &found.fixed_version {
                Some(version) => format!("fixed in {version}"),
                None => "no fixed version known".to_owned(),
            };
            let mut text = format!(
                "finding {}: {name}, {} ({}); {fix}; {}: {}",
                finding.id(),
                found.severity,
                found.severity_reason,
                found.evidence.advisory,
                found.evidence.rule
            );
            if let Some(why) = &found.suppressed {
                text += &format!("; suppressed: {why}");
            }
            self.annotations.push(json!({
                "annotationType": "REVIEW",
                "annotator": creator(),
                "annotationDate": subject.timestamp(),
                "comment": text,
            }));
        }
        self.references.extend(finding.links().next().map(|(_, link)| {
            json!({
                "referenceCategory": "SECURITY",
                "referenceType": "advisory",
                "referenceLocator": link,
                "comment": name,
            })
        }));
    }
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

fn creator() -> String {
    format!("Tool: {TOOL}-{TOOL_VERSION}")
}

/// Letters, digits, `.` and `-` are all that an id may have.
fn id(item: &InventoryItem) -> String {
    let name: String = item
        .package
        .name
        .chars()
        .take(ID_NAME_CHARS_MAX)
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    format!("SPDXRef-{}-{name}-{}", item.package.kind.as_str(), item_uuid(item).simple())
}

#[cfg(test)]
mod tests {
    use packages::{Package, PackageType};

    use super::*;

    fn check(name: &str, expected_start: &str) {
        let package = Package::language(PackageType::Npm, name, "1");
        let item = InventoryItem { package, layer: 0, path: "a".into(), owner: None };
        let other = InventoryItem { path: "b".into(), ..item.clone() };
        assert!(id(&item).starts_with(expected_start), "{}", id(&item));
        assert_ne!(id(&item), id(&other), "{name} at two paths is two packages");
    }

    #[test]
    fn ids_are_plain_and_unique() {
        check("@scope/name_x.js", "SPDXRef-npm--scope-name-x.js-");
        check("\u{202e}\n\"é", "SPDXRef-npm------");
    }
}
