//! Parses OSV and distribution feeds into one Advisory; the compiled index.
