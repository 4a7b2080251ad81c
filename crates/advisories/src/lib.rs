//! Parses OSV and distribution feeds into one Advisory; the compiled index.
//!
//! Pure: bytes in, records and segments out. Who opens files, maps memory and
//! knows the time is the caller (`backends::advisory_db`).
//!
//! ```text
//! feed file --import--> Record --segment::compile--> bytes --Segment::open--> Index
//! ```

pub mod change;
pub mod check;
pub mod finding_id;
pub mod import;
pub mod index;
pub mod names;
pub mod range;
pub mod record;
pub mod segment;
pub mod severity;

pub use change::IndexDelta;
pub use check::{Check, Link};
pub use finding_id::FindingId;
pub use import::{Import, ImportReport};
pub use index::{CveFacts, Epss, FeedStatus, Index, Kev};
pub use record::{Affected, Event, FixPlan, Record, Stance};
pub use segment::{Segment, SegmentError};
pub use severity::{CvssVector, Severity};
