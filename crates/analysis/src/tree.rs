//! A layer being read: each path as the latest entry left it.
