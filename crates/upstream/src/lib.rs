//! Asks other registries: the one client behind imports, cache rules and
//! `scan registry:`.
//!
//! ```text
//! client --> guard (may this host be asked?)
//!    |   --> tokens <-- challenge (Bearer, Basic)
//!    |   --> retry (429, 5xx, Retry-After)
//!    +-----> blob (goes on after a broken connection)
//! ```

mod blob;
mod body;
mod challenge;
mod client;
mod guard;
pub mod login;
mod retry;
mod tokens;

pub use client::{HttpUpstream, SetupError, UpstreamSettings};
pub use guard::Guard;
