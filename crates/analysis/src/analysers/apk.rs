//! apk's database of installed packages (Alpine wiki, "Apk spec").

use packages::{Package, PackageType, ProblemKind, SourcePackage};

use super::stanza::{lines, stanzas};
use super::{Analyser, Analysis, Keep, LayerFile, LayerPath, wants_owner, word};
use crate::{Limits, Record};

/// `lib/apk/db/installed`, which newer releases keep under `usr/` or `var/`.
pub struct ApkDatabase;

impl Analyser for ApkDatabase {
    fn id(&self) -> &'static str {
        "os/apk"
    }

    fn wants(&self, path: &LayerPath<'_>) -> bool {
        path.name() == "installed"
    }

    fn recognises(&self, head: &[u8]) -> Option<Keep> {
        (head.starts_with(b"C:Q1") || head.starts_with(b"C:Q2")).then_some(Keep::Always)
    }

    fn bytes_max(&self, limits: &Limits) -> usize {
        limits.database_bytes_max
    }

    fn analyse(&self, file: &LayerFile<'_>) -> Analysis {
        let mut analysis = Analysis::default();
        let (mut packages, mut owned) = (Vec::new(), Vec::new());
        for stanza in stanzas(file.bytes) {
            match read(stanza, &mut owned) {
                Ok(package) => packages.push(package),
                Err(reason) => analysis.malformed(format!("an apk record is malformed: {reason}")),
            }
        }
        if file.cut {
            let message =
                format!("apk database is longer than the {} bytes that are read", file.bytes.len());
            analysis.problems.push((ProblemKind::LimitReached, message));
        }
        analysis.record = Some(Record::Apk { packages, owned });
        analysis.bounded()
    }
}

/// One record: `K:value` lines, of which `F:` names a folder and the `R:`
/// behind it the files in it.
fn read(stanza: &[u8], owned: &mut Vec<(String, String)>) -> Result<Package, &'static str> {
    let (mut name, mut version, mut arch, mut origin) = (None, None, None, None);
    let mut folder = "";
    let mut files = Vec::new();
    for line in lines(stanza) {
        let [key, b':', value @ ..] = line else { continue };
        let Ok(value) = std::str::from_utf8(value) else { continue };
        let field = match key {
            b'P' => &mut name,
            b'V' => &mut version,
            b'A' => &mut arch,
            b'o' => &mut origin,
            b'F' => {
                folder = value.trim_matches('/');
                continue;
            }
            b'R' => {
                let path =
                    if folder.is_empty() { value.to_owned() } else { format!("{folder}/{value}") };
                if wants_owner(&path) {
                    files.push(path);
                }
                continue;
            }
            _ => continue,
        };
        *field = field.or(Some(value));
    }
    let name = name.and_then(word).ok_or("it has no usable P:")?;
    let version = version.and_then(word).ok_or("it has no usable V:")?;
    owned.extend(files.into_iter().map(|path| (path, name.clone())));
    let source = origin.and_then(word).map(|name| SourcePackage { name, version: version.clone() });
    Ok(Package { kind: PackageType::Apk, name, version, arch: arch.and_then(word), source })
}

#[cfg(test)]
mod tests {
    use super::super::analyse_bytes;
    use super::*;

    fn check(text: &str, expected: &[&str], problems: usize) -> Vec<(String, String)> {
        let analysis = analyse_bytes("lib/apk/db/installed", text.as_bytes());
        assert_eq!(analysis.problems.len(), problems, "{:?}", analysis.problems);
        let Some(Record::Apk { packages, owned }) = analysis.record else { panic!("no record") };
        let found: Vec<String> = packages
            .iter()
            .map(|p| {
                format!(
                    "{} {} {} {}",
                    p.name,
                    p.version,
                    p.arch.as_deref().unwrap_or("-"),
                    p.source_name()
                )
            })
            .collect();
        assert_eq!(found, expected, "{text}");
        owned
    }

    #[test]
    fn reads_records() {
        check(
            "C:Q1x\nP:musl\nV:1.2.3-r4\nA:x86_64\no:musl\n\nP:b\nV:1\no:c\n",
            &["musl 1.2.3-r4 x86_64 musl", "b 1 - c"],
            0,
        );
        check("P:a\nV:1\n\nP:\nV:\n\nP:b\n\nV:2\n\n", &["a 1 - a"], 3);
    }

    #[test]
    fn files_have_owners() {
        let text = "P:py3-six\nV:1\nF:usr/lib/python3.11/site-packages/six-1.dist-info\nR:METADATA\nZ:Q1x\nR:RECORD\n";
        let owned = check(text, &["py3-six 1 - py3-six"], 0);
        let path = "usr/lib/python3.11/site-packages/six-1.dist-info/METADATA";
        assert_eq!(owned, [(path.to_owned(), "py3-six".to_owned())]);
    }
}
