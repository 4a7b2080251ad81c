//! `lazaret explain`.

use std::process::ExitCode;

use serde_json::json;

use super::table;
use crate::cli::{ExplainArgs, Format};
use crate::inspect;
use crate::output::outln;

/// Says why an id is or is not reported for an image.
pub async fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let index = args.db.load()?;
    let report = inspect::inspect(&args.target).await?;
    let inventory = &report.inspected.inventory;
    let explanation = matching::explain(&index, inventory, &args.id);
    match Format::or_default(args.format) {
        Format::Json => {
            let answers: Vec<_> = explanation
                .answers
                .iter()
                .map(|answer| {
                    let item = inventory.packages.get(answer.item as usize);
                    json!({
                        "package": answer.package,
                        "version": answer.version,
                        "outcome": answer.outcome,
                        "reasons": answer.reasons,
                        "layer": item.map(|i| i.layer),
                        "path": item.map(|i| &i.path),
                    })
                })
                .collect();
            let document = json!({
                "target": args.target.target,
                "digest": report.digest.to_string(),
                "id": explanation.id,
                "known": explanation.known,
                "records": explanation.records,
                "answers": answers,
                "summary": explanation.summary,
                "problems": inventory.problems,
            });
            outln!("{}", serde_json::to_string_pretty(&document)?)?;
        }
        Format::Table => {
            outln!("{}", table::printable(&explanation.summary))?;
            for record in &explanation.records {
                outln!("  {}", table::printable(record))?;
            }
            for answer in &explanation.answers {
                let outcome = serde_json::to_value(answer.outcome)?;
                outln!(
                    "{} {}: {}",
                    table::printable(&answer.package),
                    table::printable(&answer.version),
                    outcome.as_str().unwrap_or_default().replace('_', " ")
                )?;
                for reason in &answer.reasons {
                    outln!("  {}", table::printable(reason))?;
                }
            }
            for problem in &inventory.problems {
                outln!("note: {}", table::printable(&problem.message))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
