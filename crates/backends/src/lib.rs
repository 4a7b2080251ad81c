//! SQLite, local files, and the sandbox process behind the traits.

pub mod sandbox;
