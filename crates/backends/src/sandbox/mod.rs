//! Layers are read by a process that can do nothing else.
//!
//! The server starts itself anew as a worker, with the blob as descriptor 0
//! and one end of a socket pair as descriptor 1:
//!
//! ```text
//!  server (pool.rs)                          worker (worker.rs)
//!  start ---------- spawn ------------------> lock_down (lockdown.rs)
//!        <--------- hello: version, landlock
//!  available(n) --- available n ------------> preads up to n, analyses
//!        <--------- progress: bytes read
//!  finish(total) -- complete total ---------> reads to the end
//!        <--------- answer: the analysis
//!  drop ----------- kill
//! ```
//!
//! From `lock_down` on the worker can read descriptor 0, speak on descriptor
//! 1, complain on descriptor 2, and ask for memory; any other system call kills
//! it. What it answers is foreign bytes like any other.

mod frame;
mod lockdown;
mod pool;
mod worker;

pub use lockdown::{Lockdown, LockdownError, LockdownLimits, lock_down};
pub use pool::{SandboxLimits, SandboxPool};
pub use worker::worker_main;

/// First argument with which the server's binary is started as a worker:
/// its `main` then calls [`worker_main`] before anything else.
pub const WORKER_COMMAND: &str = "layer-worker";
