//! Installed npm packages: the `package.json` of each folder that stands
//! directly in a `node_modules`.

use packages::{Package, PackageType, ProblemKind};
use serde::Deserialize;
use serde_json::Value;

use super::{Analyser, Analysis, Keep, LayerFile, LayerPath, word};
use crate::Record;

/// `node_modules/NAME/package.json` and `node_modules/@SCOPE/NAME/package.json`.
/// A project's own manifest, test fixtures inside a package and lock files
/// name nothing that is installed.
pub struct PackageJson;

impl Analyser for PackageJson {
    fn id(&self) -> &'static str {
        "node/package-json"
    }

    fn wants(&self, path: &LayerPath<'_>) -> bool {
        if path.name() != "package.json" {
            return false;
        }
        let mut up = path.as_str().rsplit('/').skip(1);
        let (Some(folder), Some(parent)) = (up.next(), up.next()) else { return false };
        let hidden = folder.starts_with('.') || folder.starts_with('@');
        let installed = parent == "node_modules"
            || (parent.starts_with('@') && up.next() == Some("node_modules"));
        installed && !hidden
    }

    fn recognises(&self, head: &[u8]) -> Option<Keep> {
        let named = head.starts_with(b"{") && head.windows(6).any(|w| w == b"\"name\"");
        named.then_some(Keep::IfLinked)
    }

    fn analyse(&self, file: &LayerFile<'_>) -> Analysis {
        let mut analysis = Analysis::default();
        if file.cut {
            let message =
                format!("package.json is longer than the {} bytes that are read", file.bytes.len());
            analysis.problems.push((ProblemKind::LimitReached, message));
            return analysis;
        }
        let bytes = file.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file.bytes);
        match serde_json::from_slice::<Manifest>(bytes) {
            Ok(Manifest { name: Value::String(name), version: Value::String(version) }) => {
                match (word(&name), word(&version)) {
                    (Some(name), Some(version)) => {
                        analysis.record = Some(Record::Language(Package::language(
                            PackageType::Npm,
                            name,
                            version,
                        )));
                    }
                    _ => analysis.malformed(
                        "package.json has a name or version that is empty or absurdly long",
                    ),
                }
            }
            // Without both it marks a module type, not a package.
            Ok(_) => {}
            Err(error) => analysis.malformed(format!("package.json is not readable: {error}")),
        }
        analysis
    }
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    name: Value,
    #[serde(default)]
    version: Value,
}

#[cfg(test)]
mod tests {
    use super::super::analyse_bytes;
    use super::*;

    fn check(json: &str, expected: Option<(&str, &str)>, problems: usize) {
        let analysis = analyse_bytes("node_modules/x/package.json", json.as_bytes());
        assert_eq!(analysis.problems.len(), problems, "{:?}", analysis.problems);
        let expected =
            expected.map(|(n, v)| Record::Language(Package::language(PackageType::Npm, n, v)));
        assert_eq!(analysis.record, expected, "{json}");
    }

    #[test]
    fn name_and_version_make_a_package() {
        check(
            r#"{"name":"@a/b","version":"1.0.0","dependencies":{"c":"^2"}}"#,
            Some(("@a/b", "1.0.0")),
            0,
        );
        check("\u{feff}{\"name\":\"a\",\"version\":\"1\"}", Some(("a", "1")), 0);
        check(r#"{"type":"module"}"#, None, 0);
        check(r#"{"name":"a","version":7}"#, None, 0);
        check("{", None, 1);
        check(&format!("{{\"name\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)), None, 1);
        check(
            &format!(
                r#"{{"name":"a","version":"1","x":{}{}}}"#,
                "[".repeat(9_000),
                "]".repeat(9_000)
            ),
            Some(("a", "1")),
            0,
        );
    }

    #[test]
    fn only_what_is_installed_is_wanted() {
        let wants = |path| PackageJson.wants(&LayerPath::new(path));
        assert!(wants("app/node_modules/a/package.json"));
        assert!(wants("usr/local/lib/node_modules/npm/node_modules/@npmcli/fs/package.json"));
        assert!(wants("node_modules/.pnpm/a@1/node_modules/a/package.json"));
        assert!(!wants("package.json") && !wants("app/package.json"));
        assert!(
            !wants("app/node_modules/a/test/package.json")
                && !wants("app/node_modules/.cache/package.json")
        );
        assert!(!wants("app/node_modules/@a/package.json"));
    }
}
