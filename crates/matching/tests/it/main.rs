//! Matching against small feeds written here, and against real ones.

mod feeds;
mod rules;
mod shared;
