//! Use cases: analyse layers as they arrive, re-match on new advisories.
//!
//! ```text
//! upload grows --> arrivals --> worker --> layer analysis --> store
//!                                              |
//! manifest accepted --> scan: analyses merged, packages interned and matched --> image
//!                                              ^
//! advisories change --> rematch: touched packages only -------------------------+
//! ```

pub mod worker;

pub mod arrivals;
pub mod layers;

pub mod inspect;
pub mod matches;
pub mod progress;
pub mod scan;

pub mod catch_up;
pub mod rematch;
pub mod verdict;

pub use progress::{ScanEvent, ScanProgress, ScanStage};
pub use scan::{ScanError, Scanner, ScannerParts, Trigger};
pub use verdict::Verdict;
