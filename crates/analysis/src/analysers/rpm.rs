//! rpm's databases: known, and not read by this version. An image that has one
//! is never taken for one without packages.

use super::{Analyser, Analysis, LayerFile, LayerPath};
use crate::{Limits, Record};

/// `Packages` (Berkeley DB), `Packages.db` (ndb) and `rpmdb.sqlite`.
pub struct RpmDatabase;

impl Analyser for RpmDatabase {
    fn id(&self) -> &'static str {
        "os/rpm"
    }

    fn wants(&self, path: &LayerPath<'_>) -> bool {
        path.parent() == "rpm" && matches!(path.name(), "Packages" | "Packages.db" | "rpmdb.sqlite")
    }

    fn bytes_max(&self, _limits: &Limits) -> usize {
        0
    }

    fn analyse(&self, _file: &LayerFile<'_>) -> Analysis {
        let mut analysis = Analysis { record: Some(Record::Unread), ..Analysis::default() };
        analysis.malformed(
            "rpm databases are not read by this version; the image's rpm packages are not known",
        );
        analysis
    }
}

#[cfg(test)]
mod tests {
    use super::super::analyse_bytes;

    #[test]
    fn is_never_silent() {
        assert_eq!(analyse_bytes("var/lib/rpm/Packages", b"").problems.len(), 1);
    }
}
