//! Dependency rows: a crate uses rows below its own, never its own or above.

use crate::complaint::Complaint;
use crate::workspace::Crate;

/// From the top: what composes, edges, use cases, storage traits, pure crates.
const ROWS: &[&[&str]] = &[
    &["server"],
    &["api", "backends", "feeds", "upstream"],
    &["registry", "scanner", "posture"],
    &["store"],
    &["analysis", "matching"],
    &["advisories", "kql", "access"],
    &["packages"],
    &["oci", "sendfile"],
];

/// Without I/O, async, clock or randomness.
const PURE: &[&str] = &["analysis", "matching", "advisories", "kql", "access", "packages", "oci"];

/// What would let a pure crate wait, look at the world or roll dice.
const IMPURE: &[&str] = &[
    "async-trait",
    "axum",
    "futures",
    "getrandom",
    "hyper",
    "rand",
    "reqwest",
    "rustix",
    "sqlx",
    "tokio",
    "uuid",
];

/// Libraries that belong to a few crates, so that the rest can be read without knowing them.
const CONFINED: &[(&str, &[&str])] = &[
    ("anyhow", &["server", "xtask"]),
    ("axum", &["api", "server"]),
    ("clap", &["server"]),
    ("landlock", &["backends", "server"]),
    ("memmap2", &["backends", "sendfile"]),
    ("sqlx", &["backends"]),
    ("utoipa", &["api"]),
];

const VERSION: &str = "0.0.0";

/// Checks each crate's name, version and dependencies.
pub fn check(crates: &[Crate]) -> Vec<Complaint> {
    crates.iter().flat_map(|krate| check_crate(krate, crates)).collect()
}

fn check_crate(krate: &Crate, crates: &[Crate]) -> Vec<Complaint> {
    let name = krate.name.as_str();
    let mut errors = Vec::new();
    let expected_folder = if name == "xtask" { name.to_owned() } else { format!("crates/{name}") };
    if krate.folder != expected_folder {
        errors.push(format!(
            "{name} lives in {}, its folder should be {expected_folder}",
            krate.folder
        ));
    }
    if krate.version != VERSION {
        errors.push(format!("{name} has version {}, every crate has {VERSION}", krate.version));
    }

    let is_member = |dependency: &str| crates.iter().any(|c| c.name == dependency);
    let members = krate.dependencies.iter().filter(|d| is_member(d));
    if name == "xtask" {
        errors.extend(
            members.map(|d| {
                format!("xtask uses {d}; it stands outside the rows and uses none of them")
            }),
        );
    } else if let Some(row) = row_of(name) {
        for dependency in members {
            match row_of(dependency) {
                Some(below) if below > row => {}
                Some(same) if same == row => errors.push(format!(
                    "{name} uses {dependency} of its own row; let `server` wire them by events"
                )),
                _ => errors.push(format!(
                    "{name} uses {dependency} of a row above; move what it needs down"
                )),
            }
        }
    } else {
        errors.push(format!("{name} stands in no row; give it one in xtask/src/rows.rs and a line in ARCHITECTURE.md"));
    }
    if krate.dev_dependencies.iter().any(|d| d == "server") {
        errors.push(format!("tests of {name} use server; such a test belongs into server"));
    }

    for dependency in &krate.dependencies {
        if PURE.contains(&name) && IMPURE.contains(&dependency.as_str()) {
            errors.push(format!("{name} is pure and uses {dependency}"));
        }
        if let Some((_, owners)) = CONFINED.iter().find(|(confined, _)| confined == dependency)
            && !owners.contains(&name)
        {
            errors.push(format!(
                "{name} uses {dependency}, which belongs to {} only",
                owners.join(" and ")
            ));
        }
    }
    errors.into_iter().map(Complaint::Error).collect()
}

/// Position from the top; higher numbers are lower rows.
fn row_of(name: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn krate(name: &str, dependencies: &[&str]) -> Crate {
        Crate {
            name: name.into(),
            version: VERSION.into(),
            folder: if name == "xtask" { name.into() } else { format!("crates/{name}") },
            dependencies: dependencies.iter().map(|d| (*d).to_owned()).collect(),
            dev_dependencies: Vec::new(),
        }
    }

    /// The complaints about `subject`, among some well-behaved crates.
    fn complaints(subject: Crate) -> Vec<String> {
        let mut crates: Vec<Crate> =
            ["oci", "packages", "store", "registry", "scanner", "matching", "server"]
                .iter()
                .filter(|name| **name != subject.name)
                .map(|name| krate(name, &[]))
                .collect();
        crates.push(subject);
        check(&crates)
            .into_iter()
            .map(|complaint| match complaint {
                Complaint::Error(text) | Complaint::Warning(text) => text,
            })
            .collect()
    }

    fn check_one(subject: Crate, expected: &str) {
        let found = complaints(subject);
        match expected {
            "" => assert_eq!(found, Vec::<String>::new()),
            part => assert!(
                found.len() == 1 && found[0].contains(part),
                "{found:?} should be one that says {part:?}"
            ),
        }
    }

    #[test]
    fn a_crate_uses_lower_rows_only() {
        check_one(krate("scanner", &["store", "oci", "tokio"]), "");
        check_one(krate("scanner", &["registry"]), "of its own row");
        check_one(krate("store", &["scanner"]), "of a row above");
        check_one(krate("oci", &["server"]), "of a row above");
        check_one(krate("newcomer", &[]), "stands in no row");
        check_one(krate("xtask", &["oci"]), "outside the rows");
    }

    #[test]
    fn pure_crates_neither_wait_nor_look_around() {
        check_one(krate("matching", &["packages", "serde"]), "");
        check_one(krate("matching", &["tokio"]), "is pure");
        check_one(krate("oci", &["getrandom"]), "is pure");
    }

    #[test]
    fn some_libraries_stay_where_they_are() {
        check_one(krate("backends", &["sqlx"]), "");
        check_one(krate("registry", &["sqlx"]), "belongs to backends only");
        check_one(krate("registry", &["anyhow"]), "belongs to server and xtask only");
    }

    #[test]
    fn tests_may_look_down_from_anywhere_but_not_at_server() {
        let store = krate("store", &[]);
        check_one(
            Crate { dev_dependencies: vec!["scanner".into(), "sqlx".into()], ..store.clone() },
            "",
        );
        check_one(
            Crate { dev_dependencies: vec!["server".into()], ..store },
            "belongs into server",
        );
    }

    #[test]
    fn folder_and_version_are_the_house_s() {
        check_one(
            Crate { folder: "crates/storage".into(), ..krate("store", &[]) },
            "should be crates/store",
        );
        check_one(
            Crate { version: "0.1.0".into(), ..krate("store", &[]) },
            "every crate has 0.0.0",
        );
    }
}
