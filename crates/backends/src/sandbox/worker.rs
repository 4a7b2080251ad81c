//! The worker's side: locks itself in, reads the blob, answers.

use std::process::ExitCode;

/// The whole life of a worker. Call it first thing in `main`, before threads
/// or files exist.
pub fn worker_main() -> ExitCode {
    ExitCode::FAILURE
}
