//! The server's side: starts workers, feeds them, stops them.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use scanner::worker::{LayerWorkers, RunningAnalysis, WorkerError};

/// What the workers together, and each of them, may use.
#[derive(Debug, Clone)]
pub struct SandboxLimits {
    /// Workers alive at once; further layers wait.
    pub workers_max: usize,
    /// Address space of one worker, in bytes.
    pub memory_bytes_max: u64,
    /// Processor time of one worker.
    pub cpu_max: Duration,
    /// Time in which a worker that has bytes to read must get on.
    pub stall_max: Duration,
    /// Time from the blob's last byte to the answer.
    pub finish_max: Duration,
    /// Bytes of a worker's answer.
    pub answer_bytes_max: usize,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        Self {
            workers_max: 4,
            memory_bytes_max: 512 << 20,
            cpu_max: Duration::from_secs(300),
            stall_max: Duration::from_secs(30),
            finish_max: Duration::from_secs(300),
            answer_bytes_max: 64 << 20,
        }
    }
}

/// Runs each analysis in a process of its own.
#[derive(Debug)]
pub struct SandboxPool {
    executable: PathBuf,
    limits: SandboxLimits,
}

impl SandboxPool {
    /// Workers are `executable layer-worker`.
    pub fn new(executable: impl Into<PathBuf>, limits: SandboxLimits) -> Self {
        Self { executable: executable.into(), limits }
    }

    /// Workers are this very program.
    pub fn of_current_exe(limits: SandboxLimits) -> std::io::Result<Self> {
        Ok(Self::new(std::env::current_exe()?, limits))
    }
}

#[async_trait]
impl LayerWorkers for SandboxPool {
    async fn start(
        &self,
        _blob: File,
        _media_type: Option<&str>,
    ) -> Result<Box<dyn RunningAnalysis>, WorkerError> {
        Err(WorkerError::Spawn(format!("{} with {:?}", self.executable.display(), self.limits)))
    }
}
