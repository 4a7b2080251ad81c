//! What a check has to say.

use std::fmt;

/// One thing that is not as the house wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Complaint {
    /// Fails the check.
    Error(String),
    /// Is shown, and left to judgement.
    Warning(String),
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(text) => write!(f, "error: {text}"),
            Self::Warning(text) => write!(f, "warning: {text}"),
        }
    }
}
