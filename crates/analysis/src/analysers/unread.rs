//! Content that names packages and is not read by this version. Whoever finds
//! it says so, so that an image is never clean because nobody looked.

use serde::{Deserialize, Serialize};

use super::{Analyser, Analysis, LayerFile, LayerPath};
use crate::{Limits, Record};

/// What the content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum UnreadKind {
    /// A jar, war or ear, or a plugin of that shape.
    JavaArchive,
    /// A gemspec among those of installed gems.
    Gem,
    /// Composer's record of what it installed.
    Composer,
    /// What a .NET application was published with.
    DotNet,
    /// conda's record of one package.
    Conda,
    /// An executable with Go's build information.
    GoProgram,
    /// An executable with the package list of cargo-auditable.
    RustProgram,
    /// An executable beyond [`Limits::executable_bytes_max`].
    LargeExecutable,
}

impl UnreadKind {
    /// One, and several of them, for messages.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::JavaArchive => ("Java archive", "Java archives"),
            Self::Gem => ("Ruby gem", "Ruby gems"),
            Self::Composer => ("list of PHP packages", "lists of PHP packages"),
            Self::DotNet => ("list of .NET packages", "lists of .NET packages"),
            Self::Conda => ("conda package", "conda packages"),
            Self::GoProgram => ("Go program", "Go programs"),
            Self::RustProgram => ("Rust program", "Rust programs"),
            Self::LargeExecutable => ("very large executable", "very large executables"),
        }
    }
}

/// Last parts of the names of Java archives, in lower case.
const JAVA_ENDINGS: [&str; 9] = ["jar", "war", "ear", "par", "sar", "nar", "kar", "hpi", "jpi"];

/// Every kind of file that its path gives away.
pub struct UnreadMetadata;

impl Analyser for UnreadMetadata {
    fn id(&self) -> &'static str {
        "unread/metadata"
    }

    fn wants(&self, path: &LayerPath<'_>) -> bool {
        kind_of(path).is_some()
    }

    fn bytes_max(&self, _limits: &Limits) -> usize {
        4
    }

    fn analyse(&self, file: &LayerFile<'_>) -> Analysis {
        let kind = kind_of(&file.path).filter(|kind| match kind {
            // A Java archive may start with a script that runs it.
            UnreadKind::JavaArchive => {
                file.bytes.starts_with(b"PK\x03\x04") || file.bytes.starts_with(b"#!")
            }
            _ => true,
        });
        Analysis { record: kind.map(Record::UnreadContent), ..Analysis::default() }
    }
}

fn kind_of(path: &LayerPath<'_>) -> Option<UnreadKind> {
    let (stem, ending) = path.name().rsplit_once('.')?;
    if JAVA_ENDINGS.iter().any(|java| ending.eq_ignore_ascii_case(java)) {
        return Some(UnreadKind::JavaArchive);
    }
    let folder = |name: &str| path.as_str().split('/').rev().skip(1).take(2).any(|up| up == name);
    match ending {
        // Default gems lie one folder deeper.
        "gemspec" if folder("specifications") => Some(UnreadKind::Gem),
        "json" if stem == "installed" && path.parent() == "composer" => Some(UnreadKind::Composer),
        "json" if path.parent() == "conda-meta" => Some(UnreadKind::Conda),
        "json" if stem.ends_with(".deps") => Some(UnreadKind::DotNet),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::analyse_bytes;
    use super::*;

    fn check(path: &str, bytes: &[u8], expected: Option<UnreadKind>) {
        let analysis = analyse_bytes(path, bytes);
        assert_eq!(analysis.record, expected.map(Record::UnreadContent), "{path}");
        assert_eq!(analysis.problems, [], "{path}");
    }

    #[test]
    fn names_tell_what_is_there() {
        let zip = b"PK\x03\x04...";
        check("app/lib/x.jar", zip, Some(UnreadKind::JavaArchive));
        check("app/X.WAR", zip, Some(UnreadKind::JavaArchive));
        check("app/run.jar", b"#!/bin/sh\nexec java", Some(UnreadKind::JavaArchive));
        check("app/x.jar", b"of honey", None);
        check("app/x.jar", b"", None);
        let gems = "usr/local/bundle/specifications";
        check(&format!("{gems}/rack-2.gemspec"), b"", Some(UnreadKind::Gem));
        check(&format!("{gems}/default/json-2.gemspec"), b"", Some(UnreadKind::Gem));
        check("app/vendor/composer/installed.json", b"{}", Some(UnreadKind::Composer));
        check("app/web.deps.json", b"{}", Some(UnreadKind::DotNet));
        check("opt/conda/conda-meta/numpy-1-py39.json", b"{}", Some(UnreadKind::Conda));
    }

    #[test]
    fn look_alikes_are_nobodys() {
        for path in ["a/rack/rack.gemspec", "a/installed.json", "a/deps.json", "conda-meta/history"]
        {
            assert!(!UnreadMetadata.wants(&LayerPath::new(path)), "{path}");
        }
    }
}
