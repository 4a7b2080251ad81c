//! The workspace as cargo and git see it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};
use serde::Deserialize;

/// Crates and tracked files.
pub struct Workspace {
    /// Folder of the virtual manifest.
    pub root: PathBuf,
    /// Members, `xtask` included.
    pub crates: Vec<Crate>,
    /// Paths that git tracks and that exist, relative to the root.
    pub files: Vec<String>,
}

/// A workspace member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crate {
    pub name: String,
    pub version: String,
    /// Its folder, relative to the root.
    pub folder: String,
    /// Names it uses in production code or build scripts.
    pub dependencies: Vec<String>,
    /// Names only its tests use.
    pub dev_dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

impl Workspace {
    /// Asks cargo and git.
    pub fn read() -> anyhow::Result<Self> {
        let metadata: Metadata = serde_json::from_slice(&output(
            "cargo",
            &["metadata", "--no-deps", "--format-version", "1"],
        )?)
        .context("cargo metadata printed something else than its JSON")?;
        let root = metadata.workspace_root;
        let crates = metadata
            .packages
            .into_iter()
            .map(|package| Crate::from_cargo(package, &root))
            .collect();
        let listed = output("git", &["ls-files", "-z"])?;
        let files = String::from_utf8_lossy(&listed)
            .split('\0')
            .filter(|path| !path.is_empty() && root.join(path).is_file())
            .map(str::to_owned)
            .collect();
        Ok(Self { root, crates, files })
    }
}

impl Crate {
    fn from_cargo(package: Package, root: &std::path::Path) -> Self {
        let (dev, production): (Vec<Dependency>, Vec<Dependency>) =
            package.dependencies.into_iter().partition(|d| d.kind.as_deref() == Some("dev"));
        let folder = package.manifest_path.parent().unwrap_or(root);
        Self {
            name: package.name,
            version: package.version,
            folder: folder.strip_prefix(root).unwrap_or(folder).display().to_string(),
            dependencies: production.into_iter().map(|d| d.name).collect(),
            dev_dependencies: dev.into_iter().map(|d| d.name).collect(),
        }
    }
}

fn output(program: &str, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let line = format!("{program} {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .current_dir(crate::root())
        .output()
        .with_context(|| format!("cannot start {line}"))?;
    if !output.status.success() {
        bail!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}
