//! `docs/limits.md` says what the sources say: each `` `NAME = VALUE` in
//! `FILE` `` stands there as a constant or as a field's default.

use anyhow::Context;

use crate::complaint::Complaint;
use crate::workspace::Workspace;

const DOCUMENT: &str = "docs/limits.md";

/// A bound as the document has it.
#[derive(Debug, PartialEq, Eq)]
struct Claim<'a> {
    name: &'a str,
    value: &'a str,
    file: &'a str,
}

/// Checks each claim of the document.
pub fn check(workspace: &Workspace) -> anyhow::Result<Vec<Complaint>> {
    let document = std::fs::read_to_string(workspace.root.join(DOCUMENT))
        .with_context(|| format!("cannot read {DOCUMENT}"))?;
    let complaints = claims(&document).filter_map(|claim| {
        let source = std::fs::read_to_string(workspace.root.join(claim.file)).unwrap_or_default();
        let Claim { name, value, file } = &claim;
        (!is_true(&claim, &source)).then(|| {
            Complaint::Error(format!("{DOCUMENT}: {file} does not say `{name} = {value}`"))
        })
    });
    Ok(complaints.collect())
}

fn claims(document: &str) -> impl Iterator<Item = Claim<'_>> {
    document.lines().filter_map(|line| {
        let (claim, file) = line.split_once("` in `")?;
        let (_, claim) = claim.rsplit_once('`')?;
        let (name, value) = claim.split_once(" = ")?;
        let (file, _) = file.split_once('`')?;
        Some(Claim { name, value, file })
    })
}

fn is_true(claim: &Claim, source: &str) -> bool {
    source.lines().map(str::trim).any(|line| {
        let constant = line.contains(&format!("const {}: ", claim.name))
            && line.ends_with(&format!("= {};", claim.value));
        constant || line == format!("{}: {},", claim.name, claim.value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_claim(line: &str, source: &str, expected: Option<bool>) {
        assert_eq!(claims(line).next().map(|claim| is_true(&claim, source)), expected, "{line}");
    }

    #[test]
    fn a_claim_holds_where_the_source_says_so() {
        let line = "| Manifest | 4 MiB | `MANIFEST_MAX = 4 << 20` in `crates/a/src/b.rs` | 413 |";
        check_claim(line, "pub const MANIFEST_MAX: usize = 4 << 20;", Some(true));
        check_claim(line, "pub const MANIFEST_MAX: usize = 8 << 20;", Some(false));
        check_claim(line, "const OTHER_MANIFEST_MAX: usize = 4 << 20;", Some(false));
        check_claim(line, "", Some(false));
    }

    #[test]
    fn fields_of_defaults_count_too() {
        let line = "| Paths | 4096 | `path_max = 4096` in `crates/a/src/b.rs` |";
        check_claim(line, "            path_max: 4096,", Some(true));
        check_claim(line, "            path_max: usize,", Some(false));
    }

    #[test]
    fn other_lines_claim_nothing() {
        check_claim("Bounds on one layer, see `crates/analysis`.", "", None);
        check_claim("|---|---|", "", None);
    }
}
