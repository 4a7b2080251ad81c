//! The registry's use cases over real stores.

mod collect;
mod soak;
mod world;
