//! What the scanner asks of the place where a layer's bytes are read.

use std::fs::File;

use analysis::{LayerAnalysis, LayerEncoding, Limits};
use async_trait::async_trait;

/// Starts analyses. Layers are hostile, so the real one hands them to a
/// process that can do nothing else; see [`InProcessWorkers`] for the fake.
#[async_trait]
pub trait LayerWorkers: Send + Sync {
    /// Begins to read `blob`, which may still be growing: nothing is read
    /// before [`RunningAnalysis::available`] says it is there. Waits for its
    /// turn where all workers are busy.
    async fn start(
        &self,
        blob: File,
        media_type: Option<&str>,
    ) -> Result<Box<dyn RunningAnalysis>, WorkerError>;
}

/// One analysis under way. Dropped, it stops at once and leaves nothing.
#[async_trait]
pub trait RunningAnalysis: Send {
    /// The first `bytes` bytes of the blob are now in the file. Cheap; never
    /// waits. A smaller number than before changes nothing.
    fn available(&mut self, bytes: u64);

    /// The blob is complete at `total` bytes: waits for the analysis.
    async fn finish(self: Box<Self>, total: u64) -> Result<LayerAnalysis, WorkerError>;
}

/// Why there is no analysis. Each becomes a problem of the image.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The worker could not be started or set up.
    #[error("cannot start a layer worker: {0}")]
    Spawn(String),
    /// It died by a signal, as when it breaks out of its system-call filter.
    #[error("the layer worker died by signal {signal}{}", if *.signal == 31 { " (a forbidden system call)" } else { "" })]
    Crashed {
        /// The signal's number.
        signal: i32,
    },
    /// It made no progress, or took too long altogether.
    #[error("the layer worker was stopped after {secs} s: {what}")]
    TimedOut {
        /// Seconds since the limit in question began.
        secs: u64,
        /// Which limit it was.
        what: &'static str,
    },
    /// It wanted more memory than a worker may have.
    #[error("the layer worker ran out of its {mib} MiB of memory")]
    MemoryExceeded {
        /// The limit.
        mib: u64,
    },
    /// It answered something that is no answer.
    #[error("the layer worker broke its protocol: {0}")]
    Protocol(String),
    /// The blob could not be read.
    #[error("the layer's blob could not be read: {0}")]
    Blob(#[source] std::io::Error),
}

/// Reads layers in this process, once they are complete. For tests: a hostile
/// layer is then one of the test's own making.
#[derive(Debug, Default)]
pub struct InProcessWorkers {
    /// Bounds on each layer.
    pub limits: Limits,
}

struct InProcessAnalysis {
    blob: File,
    encoding: LayerEncoding,
    limits: Limits,
}

#[async_trait]
impl LayerWorkers for InProcessWorkers {
    async fn start(
        &self,
        blob: File,
        media_type: Option<&str>,
    ) -> Result<Box<dyn RunningAnalysis>, WorkerError> {
        let encoding = LayerEncoding::hinted(media_type);
        Ok(Box::new(InProcessAnalysis { blob, encoding, limits: self.limits.clone() }))
    }
}

#[async_trait]
impl RunningAnalysis for InProcessAnalysis {
    fn available(&mut self, _bytes: u64) {}

    async fn finish(self: Box<Self>, total: u64) -> Result<LayerAnalysis, WorkerError> {
        use std::io::{Read, Seek, SeekFrom};
        let mut blob = self.blob;
        blob.seek(SeekFrom::Start(0)).map_err(WorkerError::Blob)?;
        Ok(analysis::analyse_layer(blob.take(total), self.encoding, &self.limits))
    }
}
