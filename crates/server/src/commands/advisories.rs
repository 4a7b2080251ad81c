//! `lazaret advisories import`, `status`, `pack` and `unpack`.

use std::path::PathBuf;
use std::process::ExitCode;

use advisories::ImportReport;
use anyhow::{Context, bail};
use backends::advisory_db::AdvisoryDb;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::table;
use crate::cli::{AdvisoriesCommand, DbArgs, Format};
use crate::inspect::progress_bar;
use crate::output::{out, outln};

/// Runs one of them.
pub fn run(command: &AdvisoriesCommand) -> anyhow::Result<ExitCode> {
    match command {
        AdvisoriesCommand::Import { paths, db, format } => {
            import(paths, db, Format::or_default(*format))
        }
        AdvisoriesCommand::Status { db, format } => status(db, Format::or_default(*format)),
        AdvisoriesCommand::Pack { file, db } => {
            AdvisoryDb::open(db.directory()).pack(file).with_context(|| {
                format!("cannot pack the advisory index into {}", file.display())
            })?;
            Ok(ExitCode::SUCCESS)
        }
        AdvisoriesCommand::Unpack { file, db } => {
            AdvisoryDb::open(db.directory()).unpack(file).with_context(|| {
                format!("cannot unpack an advisory index from {}", file.display())
            })?;
            status(db, Format::or_default(None))
        }
        AdvisoriesCommand::Update { .. } => {
            bail!("update fetches from the network and is run elsewhere")
        }
    }
}

/// Imports files and folders; prints what was taken in and what was not.
pub fn import(paths: &[PathBuf], db: &DbArgs, format: Format) -> anyhow::Result<ExitCode> {
    if let Some(missing) = paths.iter().find(|p| !p.exists()) {
        bail!("{} does not exist", missing.display());
    }
    let bar = progress_bar(0, "importing");
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let reports = AdvisoryDb::open(db.directory())
        .import(paths, now, &mut |line| bar.set_message(line.to_owned()))
        .with_context(|| format!("cannot import into {}", db.directory().display()))?;
    bar.finish_and_clear();
    match format {
        Format::Json => {
            let reports: Vec<_> = reports.iter().map(report).collect();
            outln!("{}", serde_json::to_string_pretty(&json!({ "imported": reports }))?)?;
        }
        Format::Table => print_reports(&reports)?,
    }
    // Nothing that could be read is a failure; a part that could not is said.
    let taken: u64 = reports.iter().map(|r| r.records).sum();
    if taken == 0 {
        bail!(
            "nothing was imported: no file in a format that is known (OSV, Debian tracker and lists, Alpine secdb, KEV, EPSS)"
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn report(report: &ImportReport) -> Value {
    json!({
        "source": report.source,
        "records": report.records,
        "withdrawn": report.withdrawn,
        "statements": report.statements,
        "skipped": report.skipped,
        "problems": report.problems,
        "bytes": report.bytes,
    })
}

fn print_reports(reports: &[ImportReport]) -> std::io::Result<()> {
    let rows: Vec<_> = reports
        .iter()
        .map(|r| {
            vec![
                r.source.clone(),
                r.records.to_string(),
                r.statements.to_string(),
                r.withdrawn.to_string(),
                r.skipped.values().sum::<u64>().to_string(),
                format!("{:.1} MiB", r.bytes as f64 / f64::from(1 << 20)),
            ]
        })
        .collect();
    out!(
        "{}",
        table::render(&["SOURCE", "RECORDS", "STATEMENTS", "WITHDRAWN", "SKIPPED", "SIZE"], &rows)
    )?;
    for r in reports {
        for (reason, n) in &r.skipped {
            outln!("{}: {n} skipped: {}", r.source, table::printable(reason))?;
        }
        for problem in &r.problems {
            eprintln!("lazaret: warning: {}: {}", r.source, table::printable(problem));
        }
    }
    Ok(())
}

/// Shows each source with its age.
fn status(db: &DbArgs, format: Format) -> anyhow::Result<ExitCode> {
    let index = db.load()?;
    let feeds = index.feeds();
    match format {
        Format::Json => {
            let document = json!({ "snapshot": index.snapshot_id(), "sources": feeds });
            outln!("{}", serde_json::to_string_pretty(&document)?)?;
        }
        Format::Table => {
            let rows: Vec<_> = feeds
                .iter()
                .map(|f| {
                    vec![
                        f.source.clone(),
                        f.records.to_string(),
                        f.data_date.clone().unwrap_or_else(|| "-".into()),
                        f.imported_at.clone().unwrap_or_else(|| "-".into()),
                        f.namespaces.join(" "),
                    ]
                })
                .collect();
            out!(
                "{}",
                table::render(&["SOURCE", "RECORDS", "DATA OF", "IMPORTED", "SPEAKS OF"], &rows)
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
