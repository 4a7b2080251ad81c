//! Use cases: assessments and sub-assessments of what was found.
//!
//! Pure: rows of the store and texts of the advisory index in, findings,
//! verdicts and Azure's sub-assessments out. Who reads them is the caller.

pub mod cause;
pub mod finding;
pub mod remediation;
pub mod sub_assessment;
pub mod verdict;

pub use cause::{Cause, CauseKind, cause_of};
pub use finding::{Finding, FindingError, Occurrence, group};
pub use sub_assessment::{AssessedImage, Code, SubAssessment, sub_assessment_name};
pub use verdict::{Verdict, aggregate};
