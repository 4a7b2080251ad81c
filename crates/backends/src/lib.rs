//! SQLite, PostgreSQL, local files, and the sandbox process behind the traits.

// `sql` is compiled once for each database, on purpose.
#![allow(clippy::duplicate_mod)]

pub mod sandbox;

pub mod advisory_db;
pub mod files;
pub mod postgres;
pub mod sqlite;
