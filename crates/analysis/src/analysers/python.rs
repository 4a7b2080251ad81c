//! Installed Python distributions (PyPA, "Recording installed projects"; the
//! older egg-info of setuptools).

use packages::{Package, PackageType, ProblemKind};

use super::stanza::lines;
use super::{Analyser, Analysis, Keep, LayerFile, LayerPath, word};
use crate::Record;

/// `*.dist-info/METADATA`, `*.egg-info/PKG-INFO`, `*.egg-info`,
/// `EGG-INFO/PKG-INFO`.
pub struct PythonMetadata;

impl Analyser for PythonMetadata {
    fn id(&self) -> &'static str {
        "python/metadata"
    }

    fn wants(&self, path: &LayerPath<'_>) -> bool {
        // pip parks what it is about to remove under a leading tilde.
        let parked = path.parent().starts_with('~') || path.name().starts_with('~');
        let wanted = match path.name() {
            "METADATA" => path.parent().ends_with(".dist-info"),
            "PKG-INFO" => path.parent().ends_with(".egg-info") || path.parent() == "EGG-INFO",
            name => name.ends_with(".egg-info"),
        };
        wanted && !parked
    }

    fn recognises(&self, head: &[u8]) -> Option<Keep> {
        head.starts_with(b"Metadata-Version:").then_some(Keep::IfLinked)
    }

    fn analyse(&self, file: &LayerFile<'_>) -> Analysis {
        let (mut name, mut version) = (None, None);
        for line in lines(file.bytes) {
            // The description follows the first empty line.
            if line.is_empty() {
                break;
            }
            let Some(colon) = line.iter().position(|&b| b == b':') else { continue };
            let field = match line[..colon].to_ascii_lowercase().as_slice() {
                b"name" => &mut name,
                b"version" => &mut version,
                _ => continue,
            };
            if field.is_none() {
                *field = Some(String::from_utf8_lossy(&line[colon + 1..]).into_owned());
            }
        }
        let mut analysis = Analysis::default();
        match (name.as_deref().and_then(word), version.as_deref().and_then(word)) {
            (Some(name), Some(version)) => {
                analysis.record =
                    Some(Record::Language(Package::language(PackageType::Pypi, name, version)));
            }
            _ => analysis.malformed("Python metadata without a usable Name and Version"),
        }
        if file.cut {
            let message = format!(
                "Python metadata is longer than the {} bytes that are read",
                file.bytes.len()
            );
            analysis.problems.push((ProblemKind::LimitReached, message));
        }
        analysis
    }
}

#[cfg(test)]
mod tests {
    use super::super::analyse_bytes;
    use super::*;

    fn check(text: &str, expected: Option<(&str, &str)>) {
        let analysis = analyse_bytes("lib/x.dist-info/METADATA", text.as_bytes());
        let expected =
            expected.map(|(n, v)| Record::Language(Package::language(PackageType::Pypi, n, v)));
        assert_eq!(analysis.problems.is_empty(), expected.is_some(), "{:?}", analysis.problems);
        assert_eq!(analysis.record, expected, "{text}");
    }

    #[test]
    fn headers_end_at_the_first_empty_line() {
        check(
            "Metadata-Version: 2.1\nName: Django\nVersion: 2.2\n\nName: not\n",
            Some(("Django", "2.2")),
        );
        check("Name: x\r\nVersion: 1\r\n\r\nVersion: 2", Some(("x", "1")));
        check("Metadata-Version: 1.0\nName: x\n\nVersion: 1\n", None);
        check(&format!("Name: {}\nVersion: 1\n", "x".repeat(100_000)), None);
        check("", None);
    }

    #[test]
    fn what_pip_parked_is_left_out() {
        let wants = |path| PythonMetadata.wants(&LayerPath::new(path));
        assert!(
            wants("s/jinja2-2.egg-info/PKG-INFO")
                && wants("s/x.egg/EGG-INFO/PKG-INFO")
                && wants("s/y.egg-info")
        );
        assert!(
            !wants("s/~inja2-2.dist-info/METADATA") && !wants("s/METADATA") && !wants("s/PKG-INFO")
        );
    }
}
