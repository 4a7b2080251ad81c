//! os-release files (freedesktop.org, os-release(5)).

use packages::{OsRelease, ProblemKind};

use super::{Analyser, Analysis, Keep, LayerFile, LayerPath};
use crate::{Limits, Record};

/// `etc/os-release`, `usr/lib/os-release`, and whatever else is called so: a
/// link may lead to it.
pub struct OsReleaseFile;

/// Real ones have half a kilobyte.
const OS_RELEASE_BYTES_MAX: usize = 64 << 10;

impl Analyser for OsReleaseFile {
    fn id(&self) -> &'static str {
        "os/os-release"
    }

    fn wants(&self, path: &LayerPath<'_>) -> bool {
        path.name().contains("os-release")
    }

    fn recognises(&self, head: &[u8]) -> Option<Keep> {
        let first =
            [&b"ID="[..], b"NAME=", b"PRETTY_NAME="].iter().any(|key| head.starts_with(key));
        (first && head.windows(3).any(|w| w == b"ID=")).then_some(Keep::Always)
    }

    fn bytes_max(&self, _limits: &Limits) -> usize {
        OS_RELEASE_BYTES_MAX
    }

    fn analyse(&self, file: &LayerFile<'_>) -> Analysis {
        let mut analysis = Analysis {
            record: Some(Record::OsRelease(OsRelease::parse(file.bytes))),
            ..Analysis::default()
        };
        if file.cut {
            let message =
                format!("os-release is longer than the {OS_RELEASE_BYTES_MAX} bytes that are read");
            analysis.problems.push((ProblemKind::LimitReached, message));
        }
        analysis
    }
}

#[cfg(test)]
mod tests {
    use super::super::analyse_bytes;
    use super::*;

    #[test]
    fn reads_the_file() {
        let analysis = analyse_bytes("etc/os-release", b"ID=alpine\nVERSION_ID=3.18.4\n");
        let Some(Record::OsRelease(os)) = analysis.record else { panic!("{analysis:?}") };
        assert_eq!((os.id.as_str(), os.version_id.as_deref()), ("alpine", Some("3.18.4")));
    }

    #[test]
    fn knows_it_by_its_first_bytes() {
        assert_eq!(OsReleaseFile.recognises(b"NAME=x\nID=y\n"), Some(Keep::Always));
        assert_eq!(OsReleaseFile.recognises(b"#!/bin/sh\nID=y\n"), None);
    }
}
