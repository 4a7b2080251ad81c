//! The tar stream -> entries, as the runtimes read it.
