//! House rules for all tracked text: the crate map is whole, and nothing in
//! the tree depends on one machine or one package mirror.

use crate::complaint::Complaint;
use crate::workspace::Workspace;

/// The file with the crate map.
const MAP: &str = "ARCHITECTURE.md";

/// Folders of somebody's machine. Written in halves, so that this file passes.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/."),
    concat!("/tmp/", "corpus"),
    concat!("/tmp/", "t/"),
    concat!("/fa", "rm/"),
];

/// Hosts of package registries: which mirror a machine uses is its own affair.
const REGISTRY_HOSTS: &[&str] = &[
    concat!("registry.", "npmjs.org"),
    concat!("pypi", ".org"),
    concat!("files.", "pythonhosted.org"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("proxy.", "golang.org"),
    concat!("sum.", "golang.org"),
];

/// Checks the map and every tracked file that is UTF-8 text.
pub fn check(workspace: &Workspace) -> anyhow::Result<Vec<Complaint>> {
    let map = std::fs::read_to_string(workspace.root.join(MAP)).unwrap_or_default();
    let mut complaints = check_map(&map, workspace.crates.iter().map(|c| c.folder.as_str()));
    for path in &workspace.files {
        // Binary files hold no paths that somebody wrote.
        if let Ok(text) = std::fs::read_to_string(workspace.root.join(path)) {
            complaints.extend(check_text(path, &text));
        }
    }
    Ok(complaints)
}

fn check_map<'a>(map: &str, folders: impl Iterator<Item = &'a str>) -> Vec<Complaint> {
    folders
        .filter(|folder| !map.contains(&format!("`{folder}`")))
        .map(|folder| Complaint::Error(format!("{MAP}: the code map does not name `{folder}`")))
        .collect()
}

fn check_text(path: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{path}:{}", number + 1);
        if let Some(found) = MACHINE_PATHS.iter().find(|p| names_absolute(line, p)) {
            complaints.push(Complaint::Error(format!("{place}: {found} is a path of one machine")));
        }
        if let Some(found) = REGISTRY_HOSTS.iter().find(|host| line.contains(*host)) {
            complaints.push(Complaint::Error(format!(
                "{place}: {found} is a package registry; leave the choice to the machine"
            )));
        }
        if path.ends_with("package-lock.json")
            && line.trim_start().starts_with("\"resolved\": \"http")
        {
            complaints.push(Complaint::Error(format!(
                "{place}: a lock file without download addresses works with any mirror"
            )));
        }
    }
    complaints
}

/// Whether `path` begins here, rather than ending a longer path such as `a/b/`.
fn names_absolute(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~}*)$/".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(path: &str, line: &str, expected: &str) {
        let found: Vec<String> = check_text(path, line).iter().map(ToString::to_string).collect();
        match expected {
            "" => assert_eq!(found, Vec::<String>::new()),
            part => assert!(
                found.len() == 1 && found[0].contains(part),
                "{found:?} should be one that says {part:?}"
            ),
        }
    }

    #[test]
    fn machine_paths_are_found_where_they_begin() {
        check_line("a.sh", &format!("cd {}main", MACHINE_PATHS[0]), "path of one machine");
        check_line("a.sh", &format!("OUT=\"{}\"", MACHINE_PATHS[2]), "a.sh:1");
        check_line("a.sh", &format!("cd build{}main", MACHINE_PATHS[0]), "");
        check_line("a.sh", &format!("cd $HOME{}main", MACHINE_PATHS[0]), "");
        check_line("a.sh", "cd /var/lib", "");
    }

    #[test]
    fn package_registries_are_not_named() {
        check_line(
            "a.md",
            &format!("see https://{}/project", REGISTRY_HOSTS[1]),
            "package registry",
        );
        check_line("a.rs", "\"crates.io\" is an ecosystem", "");
    }

    #[test]
    fn lock_files_hold_no_addresses() {
        check_line(
            "portal/package-lock.json",
            "  \"resolved\": \"https://mirror.example/x.tgz\",",
            "any mirror",
        );
        check_line("portal/package-lock.json", "  \"resolved\": \"../client\",", "");
        check_line("notes.json", "  \"resolved\": \"https://mirror.example/x.tgz\",", "");
    }

    #[test]
    fn the_map_names_every_crate() {
        assert_eq!(check_map("| `crates/oci` | digests |", ["crates/oci"].into_iter()), []);
        assert_eq!(check_map("crates/oci", ["crates/oci"].into_iter()).len(), 1);
        assert_eq!(
            check_map("| `crates/oci` |", ["crates/oci", "crates/store"].into_iter()).len(),
            1
        );
    }
}
