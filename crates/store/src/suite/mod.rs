//! The same cases for every backend.
