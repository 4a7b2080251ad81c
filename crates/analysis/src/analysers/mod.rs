//! One file per kind of package evidence.
