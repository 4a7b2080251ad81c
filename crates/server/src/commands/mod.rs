//! The subcommands beside `serve`.

pub mod admin;
pub mod advisories;
pub mod explain;
pub mod import;
pub mod inventory;
pub mod matching;
pub mod report;
pub mod scan;
pub mod table;
pub mod update;
pub mod versions;

use std::path::PathBuf;
use std::sync::Arc;

use ::advisories::Index;
use anyhow::Context;
use backends::advisory_db::AdvisoryDb;

use crate::cli::DbArgs;

/// The advisory index below a data directory.
pub const ADVISORIES_DIR: &str = "advisories";

/// The data directory where none is named.
pub const DATA_DIR: &str = "lazaret-data";

impl DbArgs {
    /// The directory asked for, or the one in the default data directory.
    pub fn directory(&self) -> PathBuf {
        self.db.clone().unwrap_or_else(|| {
            let data =
                std::env::var_os("LAZARET_DATA").map_or_else(|| DATA_DIR.into(), PathBuf::from);
            data.join(ADVISORIES_DIR)
        })
    }

    /// The index in force there.
    pub fn load(&self) -> anyhow::Result<Arc<Index>> {
        let directory = self.directory();
        let index = AdvisoryDb::open(&directory).load().with_context(|| {
            format!("cannot read the advisory index in {}", directory.display())
        })?;
        if index.feeds().is_empty() {
            tracing::warn!(
                "the advisory index in {} is empty, so nothing can be assessed; fill it with `lazaret advisories import`",
                directory.display()
            );
        }
        Ok(Arc::new(index))
    }
}
