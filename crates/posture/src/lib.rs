//! Use cases: assessments and sub-assessments of what was found.
