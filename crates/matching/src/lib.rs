//! Inventory + advisories -> findings, each with its evidence.
//!
//! Pure: no I/O, no clock. A verdict has three values: affected (a finding),
//! not affected (nothing), undetermined (a reason, shown to the user).

pub mod assess;
mod claim;
pub mod delegation;
pub mod explain;
pub mod finding;
pub mod package;
pub mod status;

pub use assess::{Assessment, Delegated, ImageFinding, UndeterminedItem, assess};
pub use delegation::is_delegated;
pub use explain::{Answer, Explanation, Outcome, explain};
pub use finding::{Evidence, FixState, PackageFinding, PackageVerdict, Undetermined};
pub use package::match_package;
pub use status::{Status, Tally, status_of};
