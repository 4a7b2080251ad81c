//! `store::PolicyStore`, a trait a file.

mod attributes;
pub(super) mod deletion;
mod retention;
mod settings;
pub(super) mod trash;
mod usage;

pub(super) use deletion::Locks;
