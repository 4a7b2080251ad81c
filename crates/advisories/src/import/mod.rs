//! Upstream formats, read unchanged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What an import took in, and what it left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Source id, such as `osv/PyPI`; `files` for what is no feed's format.
    pub source: String,
    /// Records taken in (CVEs, for facts).
    pub records: u64,
    /// Of these, withdrawn by the feed.
    pub withdrawn: u64,
    /// Statements (record, package, release) taken in.
    pub statements: u64,
    /// What was left out on purpose: reason and how often.
    pub skipped: BTreeMap<String, u64>,
    /// What could not be read, the first few.
    pub problems: Vec<String>,
    /// Bytes of the compiled segment.
    pub bytes: u64,
}

/// Takes documents in and gives one draft per source.
#[derive(Debug, Default)]
pub struct Import {}
