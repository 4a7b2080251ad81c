//! Checks of the house: `cargo xtask check` is what CI runs before the tests,
//! `cargo xtask tidy` is its part that reads only files.

mod complaint;
mod limits;
mod rows;
mod sources;
mod texts;
mod workspace;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

use complaint::Complaint;
use workspace::Workspace;

const USAGE: &str = "usage: cargo xtask check | tidy

  check   rustfmt, clippy and rustdoc without warnings, cargo-deny, then tidy
  tidy    dependency rows, crate map, house rules for files";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["check"] => check(),
        ["tidy"] => tidy(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> anyhow::Result<()> {
    tidy()?;
    run("cargo", &["fmt", "--all", "--check"], &[])?;
    run(
        "cargo",
        &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"],
        &[],
    )?;
    run(
        "cargo",
        &["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"],
        &[("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links")],
    )?;
    deny()
}

/// Licences, bans and sources; advisories too where their database can be
/// fetched, which a machine without internet says instead of passing.
fn deny() -> anyhow::Result<()> {
    let installed = Command::new("cargo")
        .args(["deny", "--version"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !installed {
        println!("skipped: cargo-deny is not installed (scripts/tools.sh cargo-deny installs it)");
        return Ok(());
    }
    run("cargo", &["deny", "--log-level", "error", "check", "licenses", "bans", "sources"], &[])?;
    let fetched = Command::new("cargo")
        .args(["deny", "--log-level", "error", "fetch", "db"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !fetched {
        println!(
            "skipped: cargo deny check advisories: the advisory database cannot be fetched from here"
        );
        return Ok(());
    }
    run("cargo", &["deny", "--log-level", "error", "check", "advisories"], &[])
}

fn tidy() -> anyhow::Result<()> {
    let workspace = Workspace::read()?;
    let mut complaints = Vec::new();
    complaints.extend(rows::check(&workspace.crates));
    complaints.extend(sources::check(&workspace)?);
    complaints.extend(texts::check(&workspace)?);
    complaints.extend(limits::check(&workspace)?);
    for complaint in &complaints {
        println!("{complaint}");
    }
    let errors = complaints.iter().filter(|c| matches!(c, Complaint::Error(_))).count();
    if errors > 0 {
        bail!("tidy: {errors} to put right");
    }
    println!("tidy: {} crates, {} files", workspace.crates.len(), workspace.files.len());
    Ok(())
}

fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<()> {
    let line = format!("{program} {}", arguments.join(" "));
    println!("xtask: {line}");
    let status = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root())
        .status()
        .with_context(|| format!("cannot start {line}"))?;
    if !status.success() {
        bail!("{line}: {status}");
    }
    Ok(())
}

/// The folder of the virtual manifest.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
