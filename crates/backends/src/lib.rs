//! SQLite, PostgreSQL, local files, object stores, and the sandbox process behind the traits.

// `sql` is compiled once for each database, on purpose.
#![allow(clippy::duplicate_mod)]

pub mod sandbox;

pub mod advisory_db;
pub mod files;
pub mod objects;
pub mod postgres;
pub mod sqlite;
