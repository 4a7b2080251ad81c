//! One file per kind of package evidence.
//!
//! What a file is goes by its path alone, except that a database may lie
//! anywhere and be reached through a link: then its first bytes tell.

mod apk;
mod dpkg;
mod node;
mod os_release;
mod python;
mod rpm;
mod stanza;
mod unread;

use packages::ProblemKind;

use crate::limits::WORD_BYTES_MAX;
use crate::{Limits, Record};

pub use unread::UnreadKind;

/// Reads one kind of package evidence, such as the dpkg status file.
///
/// Pure: bytes in, records out. The layer walk reads files and applies limits;
/// an analyser sees neither network nor clock.
pub trait Analyser: Send + Sync {
    /// Stable id, such as `os/dpkg`.
    fn id(&self) -> &'static str;
    /// Cheap test on the path alone, called for every file of a layer.
    fn wants(&self, path: &LayerPath<'_>) -> bool;
    /// Whether a file of any name is to be kept because of its first bytes.
    fn recognises(&self, _head: &[u8]) -> Option<Keep> {
        None
    }
    /// Bytes it is handed at most.
    fn bytes_max(&self, limits: &Limits) -> usize {
        limits.metadata_bytes_max
    }
    /// Broken records become problems beside the packages, so that one bad
    /// line never hides the rest of an image.
    fn analyse(&self, file: &LayerFile<'_>) -> Analysis;
}

/// How long a file that only its bytes gave away is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// For good: a link may lead to it.
    Always,
    /// While the layer is read: only a hard link can give it its real name.
    IfLinked,
}

/// A path inside a layer, clean and relative.
#[derive(Debug, Clone, Copy)]
pub struct LayerPath<'a> {
    whole: &'a str,
    name: &'a str,
    parent: &'a str,
}

impl<'a> LayerPath<'a> {
    /// Takes a clean path: no leading slash, no empty, `.` or `..` names.
    pub fn new(whole: &'a str) -> Self {
        let (parents, name) = whole.rsplit_once('/').unwrap_or(("", whole));
        let parent = parents.rsplit_once('/').map_or(parents, |(_, parent)| parent);
        Self { whole, name, parent }
    }

    /// All of it.
    pub fn as_str(&self) -> &'a str {
        self.whole
    }

    /// Its last name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The name of the directory it lies in; empty at the root.
    pub fn parent(&self) -> &'a str {
        self.parent
    }
}

/// One file of a layer.
#[derive(Debug)]
pub struct LayerFile<'a> {
    /// Where it lies.
    pub path: LayerPath<'a>,
    /// Its bytes, or as many as the analyser takes.
    pub bytes: &'a [u8],
    /// Whether bytes are missing at its end.
    pub cut: bool,
}

/// What an analyser made of a file.
#[derive(Debug, Default)]
pub struct Analysis {
    /// What it holds; `None` where it is nothing after all.
    pub record: Option<Record>,
    /// What could not be read of it.
    pub problems: Vec<(ProblemKind, String)>,
}

/// Problems listed of one file; the rest is counted.
const FILE_PROBLEMS_MAX: usize = 10;

impl Analysis {
    fn malformed(&mut self, message: impl Into<String>) {
        self.problems.push((ProblemKind::MalformedMetadata, message.into()));
    }

    /// Folds what is beyond [`FILE_PROBLEMS_MAX`] into one line.
    fn bounded(mut self) -> Self {
        let more = self.problems.len().saturating_sub(FILE_PROBLEMS_MAX);
        if more > 0 {
            self.problems.truncate(FILE_PROBLEMS_MAX);
            self.malformed(format!("{more} more records are malformed"));
        }
        self
    }
}

/// Every analyser, in the order in which they are asked.
pub const ALL: [&dyn Analyser; 8] = [
    &os_release::OsReleaseFile,
    &dpkg::DpkgDatabase,
    &dpkg::DpkgFileList,
    &apk::ApkDatabase,
    &rpm::RpmDatabase,
    &python::PythonMetadata,
    &node::PackageJson,
    &unread::UnreadMetadata,
];

/// The analyser that wants a file by its path.
pub fn for_path(path: &LayerPath<'_>) -> Option<&'static dyn Analyser> {
    ALL.into_iter().find(|analyser| analyser.wants(path))
}

/// The analyser that knows a file by its first bytes.
pub fn for_head(head: &[u8]) -> Option<(&'static dyn Analyser, Keep)> {
    ALL.into_iter().find_map(|analyser| Some((analyser, analyser.recognises(head)?)))
}

/// Whether a path may be that of a language package's metadata, of content
/// that is not read or of an executable, so that it is worth knowing which
/// distribution package owns it.
pub fn wants_owner(path: &str) -> bool {
    let path = LayerPath::new(path);
    python::PythonMetadata.wants(&path)
        || node::PackageJson.wants(&path)
        || unread::UnreadMetadata.wants(&path)
        || may_be_executable(&path)
}

/// Where distributions put executables: all that is below `bin`, `sbin` or
/// `libexec`, and below `lib` what is named as programs and shared objects are.
fn may_be_executable(path: &LayerPath<'_>) -> bool {
    let mut folders = path.as_str().split('/').rev().skip(1);
    let name = path.name();
    // Not LICENSE and RECORD, which lie there by the thousand.
    let program = !name.contains('.') && name.contains(|c: char| c.is_ascii_lowercase());
    let named_so = program || name.contains(".so");
    folders.any(|folder| match folder {
        "bin" | "sbin" | "libexec" => true,
        "lib" | "lib32" | "lib64" | "libx32" => named_so,
        _ => false,
    })
}

/// A name or version as metadata writes it: `None` where it is empty or beyond
/// all reason.
fn word(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text.len() <= WORD_BYTES_MAX).then(|| text.to_owned())
}

#[cfg(test)]
pub(crate) fn analyse_bytes(path: &str, bytes: &[u8]) -> Analysis {
    let path = LayerPath::new(path);
    let analyser = for_path(&path).unwrap_or_else(|| panic!("nobody wants {}", path.as_str()));
    analyser.analyse(&LayerFile { path, bytes, cut: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<&str>) {
        assert_eq!(for_path(&LayerPath::new(path)).map(Analyser::id), expected, "{path}");
    }

    #[test]
    fn each_file_has_one_reader() {
        check("etc/os-release", Some("os/os-release"));
        check("usr/lib/os-release", Some("os/os-release"));
        check("var/lib/dpkg/status", Some("os/dpkg"));
        check("usr/share/dpkg-db/status", Some("os/dpkg"));
        check("var/lib/dpkg/status.d/tzdata", Some("os/dpkg"));
        check("var/lib/dpkg/status.d/tzdata.md5sums", Some("os/dpkg-files"));
        check("var/lib/dpkg/info/libc6:amd64.list", Some("os/dpkg-files"));
        check("lib/apk/db/installed", Some("os/apk"));
        check("var/lib/rpm/rpmdb.sqlite", Some("os/rpm"));
        check("a/site-packages/x-1.dist-info/METADATA", Some("python/metadata"));
        check("a/x.egg-info", Some("python/metadata"));
        check("app/node_modules/x/package.json", Some("node/package-json"));
        check("app/package.json", None);
        check("usr/share/java/x.jar", Some("unread/metadata"));
        check("usr/bin/status", Some("os/dpkg"));
        check("usr/bin/bash", None);
    }

    #[test]
    fn owners_are_known_of_what_may_be_evidence() {
        for path in [
            "bin/x",
            "usr/sbin/x.real",
            "usr/libexec/docker/cli-plugins/compose",
            "usr/lib/go-1.19/pkg/tool/linux_amd64/link",
            "usr/lib/x86_64-linux-gnu/librsvg-2.so.2.48.0",
            "usr/share/java/x.jar",
            "usr/lib/python3/dist-packages/x.egg-info",
        ] {
            assert!(wants_owner(path), "{path}");
        }
        for path in [
            "usr/share/doc/bash/copyright",
            "usr/lib/python3/os.py",
            "usr/lib/x/RECORD",
            "etc/bin.conf",
        ] {
            assert!(!wants_owner(path), "{path}");
        }
    }

    #[test]
    fn ids_are_distinct() {
        let ids: std::collections::BTreeSet<_> = ALL.iter().map(|analyser| analyser.id()).collect();
        assert_eq!(ids.len(), ALL.len());
    }
}
