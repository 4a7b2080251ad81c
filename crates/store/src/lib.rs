//! Storage traits, in-memory version, and the suite every backend passes.
