//! Use cases: analyse layers as they arrive, re-match on new advisories.

pub mod worker;
