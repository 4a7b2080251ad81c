//! `lazaret match`.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use advisories::Index;
use anyhow::Context;
use matching::match_package;
use packages::purl::Purl;
use packages::{Inventory, InventoryItem, Namespace};
use serde_json::{Value, json};

use super::scan;
use crate::cli::MatchArgs;

/// Prints a JSON array with one object for each purl, in order.
pub fn run(args: &MatchArgs) -> anyhow::Result<ExitCode> {
    let index = args.db.load()?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut first = true;
    write!(out, "[")?;
    let mut print = |text: &str| -> anyhow::Result<()> {
        write!(out, "{}\n{}", if first { "" } else { "," }, one(&index, text)?)?;
        first = false;
        Ok(())
    };
    for purl in &args.purls {
        if purl == "-" {
            for line in std::io::stdin().lock().lines() {
                let line = line.context("cannot read standard input")?;
                if !line.trim().is_empty() {
                    print(line.trim())?;
                }
            }
        } else {
            print(purl)?;
        }
    }
    writeln!(out, "\n]")?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn one(index: &Index, text: &str) -> anyhow::Result<Value> {
    let purl: Purl = text.parse().with_context(|| format!("{text:?} is not a package URL"))?;
    let (package, os) =
        purl.to_package().with_context(|| format!("{text:?} names no package version"))?;
    let namespace = Namespace::of(package.kind, os.as_ref());
    let verdict = match_package(index, namespace.as_ref(), &package);
    let item = InventoryItem { package, layer: 0, path: String::new(), owner: None };
    let inventory = Inventory { os, packages: vec![item.clone()], problems: Vec::new() };
    let findings: Vec<_> = verdict
        .findings
        .iter()
        .map(|f| {
            let packages = std::iter::once((&item, f));
            scan::finding(
                index,
                &inventory,
                f.id,
                f.severity,
                f.patchable,
                f.suppressed.as_deref(),
                packages,
            )
        })
        .collect();
    Ok(json!({
        "purl": text,
        "namespace": namespace.as_ref().map(Namespace::as_str),
        "assessed": verdict.assessed,
        "findings": findings,
        "undetermined": verdict.undetermined,
    }))
}
