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

mod files;
mod unpack;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use advisories::import::{Import, ImportReport};
use advisories::segment::{CompileError, Role, compile};
use advisories::{Index, Segment, SegmentError};
use serde::{Deserialize, Serialize};

/// Format of the catalogue.
const CATALOGUE_FORMAT: u32 = 1;
const CATALOGUE: &str = "catalogue.json";
const SEGMENTS: &str = "segments";
const LOCK: &str = "import.lock";
/// Largest catalogue that is read.
const CATALOGUE_BYTES_MAX: u64 = 16 << 20;
/// Times a load starts again because an import replaced a file under it.
const LOAD_ATTEMPTS: usize = 5;

/// Why the advisory index could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AdvisoryDbError {
    /// A file operation failed.
    #[error("cannot {action} {path}: {source}")]
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
    /// A segment is damaged or of another format.
    #[error("cannot use {path}: {source}")]
    Segment {
        /// The segment.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: SegmentError,
    },
    /// A source's data could not be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

impl AdvisoryDbError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// An advisory index in a directory. Holds no file open.
#[derive(Debug, Clone)]
pub struct AdvisoryDb {
    dir: PathBuf,
}

/// What `catalogue.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Catalogue {
    format: u32,
    generation: u64,
    segments: Vec<Row>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    source: String,
    role: Role,
    file: String,
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

    /// Number of the present catalogue; raised by every import that changes
    /// something. `None`: nothing was imported yet. One small read, cheap
    /// enough to poll several times a second.
    pub fn generation(&self) -> Result<Option<u64>, AdvisoryDbError> {
        Ok(self.catalogue()?.map(|catalogue| catalogue.generation))
    }

    /// Maps every segment. An absent directory is an empty index.
    pub fn load(&self) -> Result<Index, AdvisoryDbError> {
        self.load_generation().map(|(index, _)| index)
    }

    /// Like [`AdvisoryDb::load`], with the generation that was loaded (0:
    /// nothing was imported yet), so that a poller misses no change.
    pub fn load_generation(&self) -> Result<(Index, u64), AdvisoryDbError> {
        let mut attempt = 1;
        loop {
            let Some(catalogue) = self.catalogue()? else { return Ok((Index::default(), 0)) };
            match self.map_all(&catalogue) {
                Ok(segments) => return Ok((Index::new(segments), catalogue.generation)),
                // An import in between has unlinked a file: read its catalogue.
                Err(AdvisoryDbError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && attempt < LOAD_ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Imports files and folders of upstream data, recognised by their
    /// contents; `now` is in seconds since 1970, `progress` is told what is
    /// being done, a line at a time. All of it becomes visible at once, or
    /// none. Gives one report per source, and one named `files` for what was
    /// left out.
    pub fn import(
        &self,
        paths: &[PathBuf],
        now: i64,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Vec<ImportReport>, AdvisoryDbError> {
        let _lock = self.lock()?;
        // An index that cannot be read any more must not stop its own repair.
        let index = match self.load() {
            Ok(index) => index,
            Err(error @ (AdvisoryDbError::Segment { .. } | AdvisoryDbError::Catalogue { .. })) => {
                progress(&format!("starting afresh: {error}"));
                Index::default()
            }
            Err(error) => return Err(error),
        };
        let mut import = Import::new();
        for path in paths {
            unpack::feed(path, &mut import, progress)?;
        }
        let (imported, files) = import.finish(&index, now);
        let mut reports = Vec::new();
        let mut written = Vec::new();
        for mut source in imported {
            progress(&format!("compiling {}", source.draft.source));
            let (name, role) = (source.draft.source.clone(), source.draft.role);
            let bytes = compile(source.draft)?;
            source.report.bytes = bytes.len() as u64;
            written.push(self.write_segment(name, role, &bytes)?);
            reports.push(source.report);
        }
        if !written.is_empty() {
            self.publish(written)?;
        }
        if !files.skipped.is_empty() || !files.problems.is_empty() {
            reports.push(files);
        }
        Ok(reports)
    }

    /// Writes the whole index into one file, for carrying to another site.
    pub fn pack(&self, target: &Path) -> Result<(), AdvisoryDbError> {
        let catalogue = self.catalogue()?.unwrap_or(Catalogue {
            format: CATALOGUE_FORMAT,
            generation: 0,
            segments: Vec::new(),
        });
        let rows = catalogue.segments.iter().map(|row| self.segment_path(&row.file));
        unpack::pack(target, rows)
    }

    /// Takes over every segment of a packed index; sources that it does not
    /// hold are kept.
    pub fn unpack(&self, packed: &Path) -> Result<(), AdvisoryDbError> {
        let _lock = self.lock()?;
        let mut written = Vec::new();
        for (name, bytes) in unpack::unpack(packed)? {
            let error = |source| AdvisoryDbError::Segment { path: packed.join(&name), source };
            let meta = Segment::open(bytes.clone()).map_err(error)?.meta().clone();
            written.push(self.write_segment(meta.source, meta.role, &bytes)?);
        }
        if written.is_empty() { Ok(()) } else { self.publish(written) }
    }

    fn lock(&self) -> Result<File, AdvisoryDbError> {
        let segments = self.dir.join(SEGMENTS);
        fs::create_dir_all(&segments)
            .map_err(AdvisoryDbError::io("make the directory", &segments))?;
        let path = self.dir.join(LOCK);
        let file = File::create(&path).map_err(AdvisoryDbError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(AdvisoryDbError::Busy(self.dir.clone())),
            Err(TryLockError::Error(source)) => {
                Err(AdvisoryDbError::Io { action: "lock", path, source })
            }
        }
    }

    fn catalogue(&self) -> Result<Option<Catalogue>, AdvisoryDbError> {
        let path = self.dir.join(CATALOGUE);
        let bytes = match files::read_limited(&path, CATALOGUE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(AdvisoryDbError::Io { action: "read", path, source }),
        };
        let refuse = |reason: String| AdvisoryDbError::Catalogue { path: path.clone(), reason };
        let catalogue: Catalogue =
            serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))?;
        if catalogue.format != CATALOGUE_FORMAT {
            return Err(refuse(format!(
                "it is of format {}, not {CATALOGUE_FORMAT}",
                catalogue.format
            )));
        }
        Ok(Some(catalogue))
    }

    fn map_all(&self, catalogue: &Catalogue) -> Result<Vec<Arc<Segment>>, AdvisoryDbError> {
        let open = |row: &Row| {
            let path = self.segment_path(&row.file);
            let map = files::map(&path).map_err(AdvisoryDbError::io("map", &path))?;
            let segment =
                Segment::open(map).map_err(|source| AdvisoryDbError::Segment { path, source })?;
            Ok(Arc::new(segment))
        };
        catalogue.segments.iter().map(open).collect()
    }

    /// The catalogue may come from elsewhere: only the last part of a name
    /// counts, so that no row leads out of the directory.
    fn segment_path(&self, file: &str) -> PathBuf {
        self.dir.join(SEGMENTS).join(Path::new(file).file_name().unwrap_or_default())
    }

    /// A segment's file is named by its contents, so an equal one is never
    /// written twice and a mapped one never changes.
    fn write_segment(
        &self,
        source: String,
        role: Role,
        bytes: &[u8],
    ) -> Result<Row, AdvisoryDbError> {
        let seal: String = bytes.iter().rev().take(12).map(|b| format!("{b:02x}")).collect();
        let slug: String = source
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(60)
            .collect();
        let file = format!("{slug}-{seal}.seg");
        let path = self.segment_path(&file);
        files::write_durably(&path, bytes).map_err(AdvisoryDbError::io("write", &path))?;
        Ok(Row { source, role, file })
    }

    /// Makes new segments visible. A new base drops the delta upon the old one,
    /// unless a delta came with it.
    fn publish(&self, written: Vec<Row>) -> Result<(), AdvisoryDbError> {
        // A catalogue that cannot be read is replaced.
        let old = self.catalogue().ok().flatten();
        let generation = old.as_ref().map_or(0, |c| c.generation) + 1;
        let mut rows: BTreeMap<(String, u8), Row> = BTreeMap::new();
        let key = |row: &Row| (row.source.clone(), u8::from(row.role == Role::Delta));
        let kept = old.map(|c| c.segments).unwrap_or_default();
        for row in kept.into_iter().filter(|row| self.segment_path(&row.file).exists()) {
            rows.insert(key(&row), row);
        }
        for row in written.iter().filter(|row| row.role == Role::Base) {
            rows.remove(&(row.source.clone(), 1));
        }
        rows.extend(written.into_iter().map(|row| (key(&row), row)));
        let catalogue = Catalogue {
            format: CATALOGUE_FORMAT,
            generation,
            segments: rows.into_values().collect(),
        };
        let path = self.dir.join(CATALOGUE);
        let json = serde_json::to_vec_pretty(&catalogue).map_err(|e| {
            AdvisoryDbError::Catalogue { path: path.clone(), reason: e.to_string() }
        })?;
        files::write_durably(&path, &json).map_err(AdvisoryDbError::io("replace", &path))?;
        self.remove_unnamed(&catalogue);
        Ok(())
    }

    /// Unlinks segments that no catalogue names. What cannot be removed now is
    /// removed after the next import.
    fn remove_unnamed(&self, catalogue: &Catalogue) {
        let Ok(entries) = fs::read_dir(self.dir.join(SEGMENTS)) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !catalogue.segments.iter().any(|row| *row.file == *name) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests;
