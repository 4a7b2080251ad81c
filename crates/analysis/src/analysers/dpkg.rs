//! dpkg's databases: `status`, distroless `status.d`, and file lists
//! (dpkg(1), deb-control(5)).

use packages::{Package, PackageType, ProblemKind, SourcePackage};

use super::stanza::{lines, stanzas};
use super::{Analyser, Analysis, Keep, LayerFile, LayerPath, wants_owner, word};
use crate::{Limits, Record};

/// `var/lib/dpkg/status` and the files of `var/lib/dpkg/status.d`.
pub struct DpkgDatabase;

impl Analyser for DpkgDatabase {
    fn id(&self) -> &'static str {
        "os/dpkg"
    }

    fn wants(&self, path: &LayerPath<'_>) -> bool {
        let list = path.name().ends_with(".md5sums") || path.name().ends_with(".list");
        path.name() == "status" || (path.parent() == "status.d" && !list)
    }

    fn recognises(&self, head: &[u8]) -> Option<Keep> {
        // apt's lists of what could be installed have no Status.
        let found = head.starts_with(b"Package: ") && head.windows(9).any(|w| w == b"\nStatus: ");
        found.then_some(Keep::Always)
    }

    fn bytes_max(&self, limits: &Limits) -> usize {
        limits.database_bytes_max
    }

    fn analyse(&self, file: &LayerFile<'_>) -> Analysis {
        let single = file.path.parent() == "status.d";
        let mut analysis = Analysis::default();
        let mut packages = Vec::new();
        for stanza in stanzas(file.bytes) {
            let control = Control::read(stanza);
            match control.package(single) {
                Ok(Some(package)) => packages.push(package),
                Ok(None) => {}
                Err(reason) => analysis.malformed(format!("a dpkg record is malformed: {reason}")),
            }
        }
        if single && packages.is_empty() && analysis.problems.is_empty() {
            analysis.malformed("the file names no installed package");
        }
        if file.cut {
            let message = format!(
                "dpkg database is longer than the {} bytes that are read",
                file.bytes.len()
            );
            analysis.problems.push((ProblemKind::LimitReached, message));
        }
        analysis.record =
            Some(if single { Record::DpkgControl(packages) } else { Record::DpkgStatus(packages) });
        analysis.bounded()
    }
}

/// The fields that matter of one record.
#[derive(Default)]
struct Control<'a> {
    package: Option<&'a str>,
    status: Option<&'a str>,
    version: Option<&'a str>,
    architecture: Option<&'a str>,
    source: Option<&'a str>,
}

impl<'a> Control<'a> {
    fn read(stanza: &'a [u8]) -> Self {
        let mut control = Self::default();
        for line in lines(stanza) {
            let Some(colon) = line.iter().position(|&b| b == b':') else { continue };
            let (key, value) = (&line[..colon], &line[colon + 1..]);
            let field = match key.to_ascii_lowercase().as_slice() {
                b"package" => &mut control.package,
                b"status" => &mut control.status,
                b"version" => &mut control.version,
                b"architecture" => &mut control.architecture,
                b"source" => &mut control.source,
                _ => continue,
            };
            *field = field.or(std::str::from_utf8(value).ok().map(str::trim));
        }
        control
    }

    /// The package, where it is installed. `single`: a file of status.d, which
    /// holds a control file as it was in the deb, without a Status.
    fn package(&self, single: bool) -> Result<Option<Package>, &'static str> {
        // "want flag state": only the state says what is on disk.
        match self.status {
            Some(status) if status.rsplit(' ').next() != Some("installed") => return Ok(None),
            None if !single => return Err("it has no Status"),
            _ => {}
        }
        let name = self.package.and_then(word).ok_or("it has no usable Package")?;
        let version = self.version.and_then(word).ok_or("it has no usable Version")?;
        let source = self.source(&name, &version).ok_or("its Source is not usable")?;
        let arch = self.architecture.and_then(word);
        Ok(Some(Package { kind: PackageType::Deb, name, version, arch, source: Some(source) }))
    }

    /// `Source: NAME` or `Source: NAME (VERSION)`; the package itself where
    /// there is none.
    fn source(&self, name: &str, version: &str) -> Option<SourcePackage> {
        let Some(text) = self.source.filter(|text| !text.is_empty()) else {
            return Some(SourcePackage { name: name.to_owned(), version: version.to_owned() });
        };
        let (source, rest) = text.split_once(' ').unwrap_or((text, ""));
        let inner = rest.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        Some(SourcePackage {
            name: word(source)?,
            version: inner.and_then(word).unwrap_or_else(|| version.to_owned()),
        })
    }
}

/// `info/NAME.list`, `info/NAME.md5sums` and `status.d/NAME.md5sums`: which
/// deb a file belongs to. Only what may be evidence itself is kept.
pub struct DpkgFileList;

impl Analyser for DpkgFileList {
    fn id(&self) -> &'static str {
        "os/dpkg-files"
    }

    fn wants(&self, path: &LayerPath<'_>) -> bool {
        let list = path.name().ends_with(".md5sums") || path.name().ends_with(".list");
        list && matches!(path.parent(), "info" | "status.d")
    }

    fn analyse(&self, file: &LayerFile<'_>) -> Analysis {
        let name = file.path.name();
        let (stem, sums) = match name.strip_suffix(".md5sums") {
            Some(stem) => (stem, true),
            None => (name.strip_suffix(".list").unwrap_or(name), false),
        };
        let owner = stem.split(':').next().unwrap_or(stem).to_owned();
        let mut paths = Vec::new();
        for line in lines(file.bytes) {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            // "HASH  PATH" or "/PATH".
            let path = if sums {
                line.split_once(' ').map_or("", |(_, path)| path.trim_start())
            } else {
                line
            };
            let path = path.trim_start_matches("./").trim_start_matches('/');
            if wants_owner(path) {
                paths.push(path.to_owned());
            }
        }
        let record = (!paths.is_empty()).then_some(Record::DpkgFiles { owner, paths });
        Analysis { record, problems: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::analyse_bytes;
    use super::*;

    /// `name version arch source source-version` of each package.
    fn check(path: &str, text: &str, expected: &[&str], problems: usize) {
        let analysis = analyse_bytes(path, text.as_bytes());
        let Some(Record::DpkgStatus(packages) | Record::DpkgControl(packages)) = &analysis.record
        else {
            panic!("{analysis:?}")
        };
        let found: Vec<String> = packages
            .iter()
            .map(|p| {
                let arch = p.arch.as_deref().unwrap_or("-");
                format!(
                    "{} {} {arch} {} {}",
                    p.name,
                    p.version,
                    p.source_name(),
                    p.source_version()
                )
            })
            .collect();
        assert_eq!(found, expected, "{text}");
        assert_eq!(analysis.problems.len(), problems, "{:?}", analysis.problems);
    }

    const STATUS: &str = "var/lib/dpkg/status";

    #[test]
    fn only_what_is_installed_counts() {
        let record = |state: &str| {
            format!("Package: a\nStatus: {state}\nArchitecture: all\nVersion: 1-1\n\n")
        };
        check(STATUS, &record("install ok installed"), &["a 1-1 all a 1-1"], 0);
        check(STATUS, &record("hold ok installed"), &["a 1-1 all a 1-1"], 0);
        check(STATUS, &record("deinstall ok config-files"), &[], 0);
        check(STATUS, &record("install ok not-installed"), &[], 0);
        check(STATUS, "Package: a\nVersion: 1\n", &[], 1);
    }

    #[test]
    fn the_source_may_have_another_name_and_version() {
        let record = |source: &str| {
            format!("Package: a\nStatus: install ok installed\nVersion: 1\nSource: {source}\n")
        };
        check(STATUS, &record("b"), &["a 1 - b 1"], 0);
        check(STATUS, &record("b (2:3-4)"), &["a 1 - b 2:3-4"], 0);
    }

    #[test]
    fn continuation_lines_are_no_fields() {
        let text = "Package: a\nStatus: install ok installed\nVersion: 1\nDescription: x\n Version: 9\n Package: z\n";
        check(STATUS, text, &["a 1 - a 1"], 0);
    }

    #[test]
    fn one_bad_record_hides_no_other() {
        let text = "Package: a\nStatus: install ok installed\n\nPackage: b\nStatus: install ok installed\nVersion: 2\n";
        check(STATUS, text, &["b 2 - b 2"], 1);
    }

    #[test]
    fn status_d_needs_no_status() {
        check(
            "var/lib/dpkg/status.d/base",
            "Package: base\nVersion: 1\nArchitecture: amd64\n",
            &["base 1 amd64 base 1"],
            0,
        );
        check("var/lib/dpkg/status.d/junk", "\u{1}\u{2}", &[], 1);
        check("var/lib/dpkg/status.d/empty", "", &[], 1);
    }

    #[test]
    fn lists_keep_what_may_be_evidence() {
        let list =
            "/.\n/usr\n/usr/lib/python3/dist-packages/six-1.egg-info/PKG-INFO\n/usr/share/x\n";
        let sums = "d41d8  usr/lib/python3/dist-packages/six-1.egg-info/PKG-INFO\n";
        for (path, text) in [
            ("var/lib/dpkg/info/python3-six.list", list),
            ("var/lib/dpkg/info/python3-six:all.md5sums", sums),
        ] {
            let expected = Record::DpkgFiles {
                owner: "python3-six".to_owned(),
                paths: vec!["usr/lib/python3/dist-packages/six-1.egg-info/PKG-INFO".to_owned()],
            };
            assert_eq!(analyse_bytes(path, text.as_bytes()).record, Some(expected));
        }
        let expected = Record::DpkgFiles { owner: "bash".into(), paths: vec!["bin/bash".into()] };
        let list = analyse_bytes("var/lib/dpkg/info/bash.list", b"/.\n/bin/bash\n/etc/skel\n");
        assert_eq!(list.record, Some(expected));
        assert_eq!(analyse_bytes("var/lib/dpkg/info/doc.list", b"/.\n/usr/share\n").record, None);
    }
}
