//! Layers are read by a process that can do nothing else.

mod pool;
mod worker;

pub use pool::{SandboxLimits, SandboxPool};
pub use worker::worker_main;

/// First argument with which the server's binary is started as a worker:
/// its `main` then calls [`worker_main`] before anything else.
pub const WORKER_COMMAND: &str = "layer-worker";
