//! Use cases: push, pull, tag, delete.
