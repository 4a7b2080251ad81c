//! SQLite, local files, and the sandbox process behind the traits.

pub mod sandbox;

pub mod advisory_db;
pub mod files;
pub mod sqlite;
