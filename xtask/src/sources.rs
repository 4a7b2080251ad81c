//! House rules for source files: a `//!` line first, no file that nobody
//! compiles, one subject a file.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;

use crate::complaint::Complaint;
use crate::workspace::Workspace;

/// Longer production code is asked whether it has one subject.
const LINES_MAX: usize = 700;

/// Checks the Rust and TypeScript sources.
pub fn check(workspace: &Workspace) -> anyhow::Result<Vec<Complaint>> {
    let mut texts = BTreeMap::new();
    for path in workspace.files.iter().filter(|p| p.ends_with(".rs") || is_typescript(p)) {
        let text = std::fs::read_to_string(workspace.root.join(path))
            .with_context(|| format!("cannot read {path}"))?;
        texts.insert(path.clone(), text);
    }
    Ok(check_texts(&texts))
}

fn check_texts(texts: &BTreeMap<String, String>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in texts {
        if path.ends_with(".rs") && !text.starts_with("//! ") {
            complaints.push(Complaint::Error(format!(
                "{path}: the first line should say what the file is about (`//! ...`)"
            )));
        }
        if is_orphan(path, texts) {
            complaints.push(Complaint::Error(format!(
                "{path}: no `mod` line names it, so nobody compiles it"
            )));
        }
        let lines = production_lines(path, text);
        if lines > LINES_MAX {
            complaints.push(Complaint::Warning(format!(
                "{path}: {lines} lines of production code; one subject a file?"
            )));
        }
    }
    complaints
}

fn is_typescript(path: &str) -> bool {
    (path.ends_with(".ts") || path.ends_with(".tsx")) && !path.ends_with(".d.ts")
}

/// Lines before the tests at the end of a Rust file; 0 for test files.
fn production_lines(path: &str, text: &str) -> usize {
    if path.contains("/tests/") || path.contains("/benches/") || path.contains(".test.") {
        return 0;
    }
    text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count()
}

/// Whether a Rust module file is declared by none of the files that could.
fn is_orphan(path: &str, texts: &BTreeMap<String, String>) -> bool {
    let Some((folder, file)) = path.rsplit_once('/') else { return false };
    let Some(stem) = file.strip_suffix(".rs") else { return false };
    let (name, parent) = match stem {
        "lib" | "main" | "build" => return false,
        "mod" => match folder.rsplit_once('/') {
            Some((above, name)) => (name, above),
            None => return false,
        },
        _ => (stem, folder),
    };
    // Cargo finds these by their place.
    if ["/tests", "/benches", "/examples", "/bin"].iter().any(|target| parent.ends_with(target)) {
        return false;
    }
    let declarations: BTreeSet<String> = ["mod ", "pub mod ", "pub(crate) mod ", "pub(super) mod "]
        .iter()
        .map(|words| format!("{words}{name};"))
        .collect();
    // One text that several modules compile names its place: `#[path = "../sql/mod.rs"]`.
    let by_path = format!("#[path = \"../{name}/{file}\"]");
    let near = folder.rsplit_once('/').map_or(folder, |(above, _)| above);
    if texts.iter().any(|(other, text)| other.starts_with(near) && text.contains(&by_path)) {
        return false;
    }
    let candidates = [
        format!("{parent}/lib.rs"),
        format!("{parent}/main.rs"),
        format!("{parent}/mod.rs"),
        format!("{parent}.rs"),
    ];
    !candidates
        .iter()
        .filter_map(|c| texts.get(c))
        .any(|text| text.lines().any(|line| declarations.contains(line.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_files(files: &[(&str, &str)], expected: &[&str]) {
        let texts =
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let found: Vec<String> = check_texts(&texts).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (complaint, part) in found.iter().zip(expected) {
            assert!(complaint.contains(part), "{complaint:?} should say {part:?}");
        }
    }

    #[test]
    fn every_file_says_what_it_is_about() {
        check_files(&[("crates/a/src/lib.rs", "//! A.\n")], &[]);
        check_files(&[("crates/a/src/lib.rs", "use b;\n")], &["first line"]);
        check_files(&[("crates/a/src/lib.rs", "//!\n")], &["first line"]);
        check_files(&[("portal/src/app.tsx", "import x;\n")], &[]);
    }

    #[test]
    fn every_module_is_compiled() {
        let lib = ("crates/a/src/lib.rs", "//! A.\npub mod deep;\nmod one;\n");
        check_files(&[lib, ("crates/a/src/one.rs", "//! 1.\n")], &[]);
        check_files(&[lib, ("crates/a/src/two.rs", "//! 2.\n")], &["two.rs: no `mod` line"]);
        let by_path = "//! B.\n#[path = \"../sql/mod.rs\"]\nmod sql;\n";
        check_files(
            &[
                ("crates/a/src/lib.rs", "//! A.\nmod b;\n"),
                ("crates/a/src/b/mod.rs", by_path),
                ("crates/a/src/sql/mod.rs", "//! SQL.\n"),
            ],
            &[],
        );
        check_files(
            &[
                lib,
                ("crates/a/src/deep/mod.rs", "//! D.\nmod x;\n"),
                ("crates/a/src/deep/x.rs", "//! X.\n"),
            ],
            &[],
        );
        check_files(
            &[lib, ("crates/a/src/deep.rs", "//! D.\n"), ("crates/a/src/deep/x.rs", "//! X.\n")],
            &["x.rs: no `mod` line"],
        );
        check_files(
            &[
                ("crates/a/tests/it/main.rs", "//! T.\nmod x;\n"),
                ("crates/a/tests/it/x.rs", "//! X.\n"),
            ],
            &[],
        );
        check_files(&[("crates/a/tests/alone.rs", "//! T.\n")], &[]);
    }

    #[test]
    fn long_production_code_is_a_warning() {
        let long = "//! L.\n".to_owned() + &"x\n".repeat(LINES_MAX);
        check_files(
            &[("crates/a/src/lib.rs", &long)],
            &["warning: crates/a/src/lib.rs: 701 lines"],
        );
        let tested = "//! L.\n#[cfg(test)]\n".to_owned() + &"x\n".repeat(LINES_MAX);
        check_files(&[("crates/a/src/lib.rs", &tested)], &[]);
    }
}
