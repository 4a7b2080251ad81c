//! `lazaret scan`.

use std::process::ExitCode;

use advisories::{FindingId, Index, Severity};
use matching::{Assessment, PackageFinding, Status, assess};
use packages::{Inventory, InventoryItem};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::report::{self, Judged, Subject};
use super::{inventory as shape, table};
use crate::cli::{Format, ReportFormat, ScanArgs, SeverityArg};
use crate::inspect::{self, Report};
use crate::output::{out, outln};

/// Inspects an image and judges it.
pub async fn run(args: &ScanArgs) -> anyhow::Result<ExitCode> {
    let index = args.db.load()?;
    let report = inspect::inspect(&args.target).await?;
    let (index, report, assessment) = tokio::task::spawn_blocking(move || {
        let assessment = judge(&index, &report);
        (index, report, assessment)
    })
    .await?;
    let target = args.target.target.as_str();
    let subject = || Subject {
        target,
        image: &report,
        judged: Some(Judged { index: &index, assessment: &assessment }),
        at: OffsetDateTime::now_utc(),
    };
    let document = match args.format.unwrap_or_else(|| Format::or_default(None).into()) {
        ReportFormat::Table => None,
        ReportFormat::Json => Some(document(&index, target, &report, &assessment)),
        ReportFormat::Sarif => Some(report::sarif::document(&subject())),
        ReportFormat::Cyclonedx => Some(report::cyclonedx::document(&subject())),
        ReportFormat::Spdx => Some(report::spdx::document(&subject())),
    };
    match document {
        Some(document) => outln!("{}", serde_json::to_string_pretty(&document)?)?,
        None => print_table(&index, &report, &assessment)?,
    }
    for problem in &report.inspected.inventory.problems {
        eprintln!("lazaret: warning: {}", table::printable(&problem.message));
    }
    let gate = args.fail_on.map(severity);
    let failed = gate.is_some_and(|gate| {
        assessment.findings.iter().any(|f| f.suppressed.is_none() && f.severity >= gate)
    });
    Ok(ExitCode::from(u8::from(failed)))
}

fn judge(index: &Index, report: &Report) -> Assessment {
    let mut assessment = assess(index, &report.inspected.inventory);
    if let Some(why) = &report.inspected.inapplicable {
        assessment.status = Status::NotApplicable;
        assessment.cause = Some(why.clone());
    }
    assessment
}

fn severity(arg: SeverityArg) -> Severity {
    match arg {
        SeverityArg::Low => Severity::Low,
        SeverityArg::Medium => Severity::Medium,
        SeverityArg::High => Severity::High,
        SeverityArg::Critical => Severity::Critical,
    }
}

fn document(index: &Index, target: &str, report: &Report, assessment: &Assessment) -> Value {
    let inventory = &report.inspected.inventory;
    let mut os = shape::os(inventory);
    if let (Some(fields), Some(release)) = (os.as_object_mut(), &inventory.os) {
        fields.insert("eol".into(), json!(index.end_of_life(release)));
    }
    let undetermined: Vec<_> = assessment
        .undetermined
        .iter()
        .filter_map(|u| {
            let item = inventory.packages.get(u.item as usize)?;
            Some(json!({ "package": name(item), "reason": u.reason, "advisory": u.advisory }))
        })
        .collect();
    let delegated: Vec<_> = assessment
        .delegated
        .iter()
        .filter_map(|d| {
            let item = inventory.packages.get(d.item as usize)?;
            Some(json!({ "package": name(item), "path": item.path, "judged_as": d.owner }))
        })
        .collect();
    json!({
        "target": target,
        "digest": report.digest.to_string(),
        "platform": shape::platform(&report.inspected.platform),
        "os": os,
        "status": assessment.status.as_str(),
        "cause": assessment.cause,
        "packages": inventory.packages.len(),
        "findings": assessment.findings.iter().map(|f| {
            let packages = f.packages.iter().filter_map(|(i, found)| Some((inventory.packages.get(*i as usize)?, found)));
            finding(index, inventory, f.id, f.severity, f.patchable, f.suppressed.as_deref(), packages)
        }).collect::<Vec<_>>(),
        "undetermined": undetermined,
        "delegated": delegated,
        "problems": inventory.problems,
        "advisories": index.snapshot_id(),
    })
}

/// One finding as the contract writes it; `match` uses it too.
pub fn finding<'a>(
    index: &Index,
    inventory: &Inventory,
    id: FindingId,
    severity: Severity,
    patchable: bool,
    suppressed: Option<&str>,
    packages: impl Iterator<Item = (&'a InventoryItem, &'a PackageFinding)>,
) -> Value {
    let check = index.check(id);
    let mut cvss = Map::new();
    let mut advisories = Vec::new();
    let mut reason = String::new();
    let mut cves = Vec::new();
    let packages: Vec<_> = packages
        .map(|(item, found)| {
            advisories.extend(found.advisories.iter().cloned());
            if found.severity == severity {
                reason.clone_from(&found.severity_reason);
            }
            if cves.is_empty() {
                cves.clone_from(&found.cves);
            }
            let mut package = shape::package(inventory, item);
            if let Some(fields) = package.as_object_mut() {
                fields.insert("fixed".into(), json!(found.fixed_version));
                fields.insert("state".into(), json!(found.state));
                fields.insert("evidence".into(), json!(found.evidence));
            }
            package
        })
        .collect();
    advisories.sort();
    advisories.dedup();
    let facts = cves
        .iter()
        .map(|cve| index.cve(cve))
        .fold((None, None), |(epss, kev), facts| (epss.or(facts.epss), kev.or(facts.kev)));
    if let Some(check) = &check {
        for vector in &check.cvss {
            cvss.entry(vector.version.clone())
                .or_insert_with(|| json!({ "score": vector.score, "vector": vector.vector, "source": vector.source }));
        }
    }
    json!({
        "id": id.to_string(),
        "title": check.as_ref().map(|c| c.title.as_str()),
        "severity": severity,
        "severity_reason": reason,
        "cves": cves,
        "advisories": advisories,
        "category": check.as_ref().map(|c| c.category.as_str()),
        "patchable": patchable,
        "suppressed": suppressed,
        "cvss": cvss,
        "epss": facts.0,
        "known_exploited": facts.1,
        "published": check.as_ref().and_then(|c| c.published.as_deref()),
        "description": check.as_ref().map(|c| c.description.as_str()),
        "remediation": check.as_ref().map(|c| c.remediation.as_str()),
        "references": check.as_ref().map(|c| &c.references),
        "packages": packages,
    })
}

fn name(item: &InventoryItem) -> String {
    format!("{} {}", item.package.name, item.package.version)
}

fn print_table(index: &Index, report: &Report, assessment: &Assessment) -> std::io::Result<()> {
    let inventory = &report.inspected.inventory;
    let mut rows = Vec::new();
    for found in assessment.findings.iter().filter(|f| f.suppressed.is_none()) {
        let title = index.check(found.id).map(|c| c.title).unwrap_or_default();
        for (item, package) in &found.packages {
            let Some(item) = inventory.packages.get(*item as usize) else { continue };
            rows.push(vec![
                found.severity.as_str().to_owned(),
                found.cves.first().or(package.advisories.first()).cloned().unwrap_or_default(),
                item.package.name.clone(),
                item.package.version.clone(),
                package.fixed_version.clone().unwrap_or_else(|| "-".into()),
                item.layer.to_string(),
                title.clone(),
            ]);
        }
    }
    if !rows.is_empty() {
        out!(
            "{}",
            table::render(
                &["SEVERITY", "ID", "PACKAGE", "INSTALLED", "FIXED IN", "LAYER", "CHECK"],
                &rows
            )
        )?;
        outln!("")?;
    }
    outln!("{}", report.digest)?;
    outln!(
        "{} packages, {} findings: {}",
        inventory.packages.len(),
        assessment.tally.findings,
        assessment.status.as_str().replace('_', " ")
    )?;
    if let Some(cause) = &assessment.cause {
        outln!("not assessed in full: {}", table::printable(cause))?;
    }
    Ok(())
}
