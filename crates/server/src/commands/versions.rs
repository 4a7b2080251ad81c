//! `lazaret versions compare`.

use std::cmp::Ordering;
use std::io::{BufRead, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use packages::version::VersionScheme;

/// Reads `A<TAB>B` lines and prints how A stands to B.
pub fn run(ecosystem: &str) -> anyhow::Result<ExitCode> {
    let scheme = VersionScheme::for_ecosystem(ecosystem);
    if scheme.is_none() {
        tracing::warn!(
            "no version order is known for {ecosystem:?}, so nothing can be compared; known are Debian, Alpine, PyPI, npm, Maven, RubyGems, Go, crates.io, RPM and semver"
        );
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (number, line) in std::io::stdin().lock().split(b'\n').enumerate() {
        let line = line.context("cannot read standard input")?;
        let line = String::from_utf8_lossy(&line);
        let Some((a, b)) = line.split_once('\t') else {
            bail!("line {} is not A<TAB>B: {:?}", number + 1, line);
        };
        // What ends a line on other systems is not part of a version.
        let b = b.strip_suffix('\r').unwrap_or(b);
        let sign = match scheme.and_then(|scheme| scheme.compare(a, b)) {
            Some(Ordering::Less) => "<",
            Some(Ordering::Equal) => "=",
            Some(Ordering::Greater) => ">",
            None => "?",
        };
        writeln!(out, "{sign}")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
