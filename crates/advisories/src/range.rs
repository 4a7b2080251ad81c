//! Whether a version lies in a range of affected versions.
