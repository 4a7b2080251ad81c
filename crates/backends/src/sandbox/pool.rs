//! The server's side: starts workers, feeds them, stops them.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use analysis::{ANALYSER_VERSION, LayerAnalysis, LayerEncoding};
use async_trait::async_trait;
use scanner::worker::{LayerWorkers, RunningAnalysis, WorkerError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::WORKER_COMMAND;
use super::frame::{FRAME_BYTES, Frame};
use super::worker::NO_LANDLOCK;

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
    /// Time that a worker waits for more of the blob. The caller may start
    /// anew once the blob is complete.
    pub idle_max: Duration,
    /// Time from the blob's last byte to the answer.
    pub finish_max: Duration,
    /// Bytes of a worker's answer.
    pub answer_bytes_max: u64,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        Self {
            workers_max: 8,
            memory_bytes_max: 512 << 20,
            cpu_max: Duration::from_secs(300),
            stall_max: Duration::from_secs(60),
            idle_max: Duration::from_secs(120),
            finish_max: Duration::from_secs(300),
            answer_bytes_max: 64 << 20,
        }
    }
}

/// Bytes of a worker's standard error that are kept for the log.
const STDERR_BYTES_MAX: u64 = 4096;

/// Time in which a worker whose socket broke must be dead.
const DEATH_MAX: Duration = Duration::from_secs(2);

/// Runs each analysis in a process of its own.
#[derive(Debug)]
pub struct SandboxPool {
    executable: PathBuf,
    limits: SandboxLimits,
    turns: Arc<Semaphore>,
}

impl SandboxPool {
    /// Workers are `executable layer-worker ...`.
    pub fn new(executable: impl Into<PathBuf>, limits: SandboxLimits) -> Self {
        let turns = Arc::new(Semaphore::new(limits.workers_max));
        Self { executable: executable.into(), limits, turns }
    }

    /// Workers are this very program, even where its file has been replaced
    /// since it was started.
    pub fn of_current_exe(limits: SandboxLimits) -> Self {
        Self::new("/proc/self/exe", limits)
    }

    fn spawn(&self, blob: File, encoding: LayerEncoding) -> std::io::Result<(Child, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = theirs.into_std()?;
        theirs.set_nonblocking(false)?;
        let encoding = match encoding {
            LayerEncoding::Plain => "plain",
            LayerEncoding::Gzip => "gzip",
            LayerEncoding::Zstd => "zstd",
            LayerEncoding::Unknown => "unknown",
        };
        let child = Command::new(&self.executable)
            .arg(WORKER_COMMAND)
            .arg(encoding)
            .arg(self.limits.memory_bytes_max.to_string())
            .arg(self.limits.cpu_max.as_secs().max(1).to_string())
            .env_clear()
            .stdin(Stdio::from(blob))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        Ok((child, ours))
    }
}

#[async_trait]
impl LayerWorkers for SandboxPool {
    async fn start(
        &self,
        blob: File,
        media_type: Option<&str>,
    ) -> Result<Box<dyn RunningAnalysis>, WorkerError> {
        let encoding = LayerEncoding::hinted(media_type);
        let closed = |_| WorkerError::Spawn("the pool is closed".to_owned());
        let turn = self.turns.clone().acquire_owned().await.map_err(closed)?;
        let (child, socket) = self.spawn(blob, encoding).map_err(|error| {
            WorkerError::Spawn(format!("{}: {error}", self.executable.display()))
        })?;
        let (from_worker, to_worker) = socket.into_split();
        let (fed, feeding) = watch::channel(Fed::default());
        let watch = Watch {
            child,
            from_worker,
            feeding,
            partial: Vec::new(),
            limits: self.limits.clone(),
            _turn: turn,
        };
        Ok(Box::new(SandboxAnalysis {
            to_worker,
            unsent: Vec::new(),
            fed,
            task: tokio::spawn(watch.run()),
        }))
    }
}

/// How much of the blob the worker was told of.
#[derive(Debug, Clone, Copy, Default)]
struct Fed {
    available: u64,
    complete: bool,
}

struct SandboxAnalysis {
    to_worker: OwnedWriteHalf,
    /// Rest of a frame of which the socket took only a part.
    unsent: Vec<u8>,
    fed: watch::Sender<Fed>,
    task: JoinHandle<Result<LayerAnalysis, WorkerError>>,
}

impl SandboxAnalysis {
    /// Whether the socket took all that was left.
    fn flush(&mut self) -> bool {
        if let Ok(n) = self.to_worker.try_write(&self.unsent) {
            self.unsent.drain(..n);
        }
        self.unsent.is_empty()
    }
}

impl Drop for SandboxAnalysis {
    fn drop(&mut self) {
        // The child goes with the task that holds it.
        self.task.abort();
    }
}

#[async_trait]
impl RunningAnalysis for SandboxAnalysis {
    fn available(&mut self, bytes: u64) {
        if bytes <= self.fed.borrow().available {
            return;
        }
        // A full socket means that the worker has plenty to do: it hears of
        // these bytes with the next frame, or at the end. A broken one shows
        // in the task.
        if self.unsent.is_empty() || self.flush() {
            self.unsent.extend(Frame::Available(bytes).to_bytes());
            self.fed.send_modify(|fed| fed.available = bytes);
            self.flush();
        }
    }

    async fn finish(mut self: Box<Self>, total: u64) -> Result<LayerAnalysis, WorkerError> {
        let mut frames = std::mem::take(&mut self.unsent);
        frames.extend(Frame::Complete(total).to_bytes());
        self.fed.send_modify(|fed| *fed = Fed { available: total, complete: true });
        // Where the worker is gone, the task knows why.
        let _ = self.to_worker.write_all(&frames).await;
        match (&mut self.task).await {
            Ok(result) => result,
            Err(error) => Err(WorkerError::Protocol(format!("its watcher failed: {error}"))),
        }
    }
}

/// Sees one worker through to its end.
struct Watch {
    child: Child,
    from_worker: OwnedReadHalf,
    feeding: watch::Receiver<Fed>,
    /// What was read of a frame.
    partial: Vec<u8>,
    limits: SandboxLimits,
    _turn: OwnedSemaphorePermit,
}

impl Watch {
    async fn run(mut self) -> Result<LayerAnalysis, WorkerError> {
        let stderr = self.child.stderr.take();
        let complaint = tokio::spawn(read_bounded(stderr));
        let error = match self.answer().await {
            Ok(bytes) => return decode(bytes).await,
            Err(error) => error,
        };
        // One that broke its protocol may be alive still.
        let dead = self.child.wait();
        let status = match tokio::time::timeout(DEATH_MAX, dead).await {
            Ok(Ok(status)) if !matches!(error, WorkerError::TimedOut { .. }) => Some(status),
            _ => {
                let _ = self.child.kill().await;
                None
            }
        };
        let complaint = complaint.await.unwrap_or_default();
        if !complaint.is_empty() {
            tracing::warn!(stderr = ?complaint, "layer worker complained");
        }
        Err(self.death(status, complaint, error))
    }

    /// Why a worker ended without an answer.
    fn death(
        &self,
        status: Option<ExitStatus>,
        complaint: String,
        seen: WorkerError,
    ) -> WorkerError {
        if matches!(seen, WorkerError::TimedOut { .. }) {
            return seen;
        }
        // What the standard library says before it aborts.
        if complaint.contains("memory allocation of") {
            return WorkerError::MemoryExceeded { mib: self.limits.memory_bytes_max >> 20 };
        }
        match status.and_then(|status| status.signal()) {
            Some(libc::SIGXCPU | libc::SIGKILL) => WorkerError::TimedOut {
                secs: self.limits.cpu_max.as_secs(),
                what: "processor time, or killed",
            },
            Some(signal) => WorkerError::Crashed { signal },
            None => match seen {
                WorkerError::Spawn(_) if !complaint.is_empty() => WorkerError::Spawn(complaint),
                WorkerError::Protocol(seen) if !complaint.is_empty() => {
                    WorkerError::Protocol(format!("{seen}: {complaint}"))
                }
                seen => seen,
            },
        }
    }

    /// Listens until the answer, or until a limit.
    async fn answer(&mut self) -> Result<Vec<u8>, WorkerError> {
        let mut read = 0;
        let mut fed = Fed::default();
        let mut since = Instant::now();
        let mut completed: Option<Instant> = None;
        loop {
            let before = fed;
            fed = *self.feeding.borrow_and_update();
            if before.available <= read {
                // There are bytes to read again: the time for it begins now.
                since = Instant::now();
            }
            if fed.complete && completed.is_none() {
                completed = Some(Instant::now());
            }
            let (mut deadline, mut limit, mut what) = if fed.complete || fed.available > read {
                (
                    since + self.limits.stall_max,
                    self.limits.stall_max,
                    "no progress with bytes to read",
                )
            } else {
                (since + self.limits.idle_max, self.limits.idle_max, "no more of the blob arrived")
            };
            if let Some(completed) = completed
                && completed + self.limits.finish_max < deadline
            {
                (deadline, limit, what) = (
                    completed + self.limits.finish_max,
                    self.limits.finish_max,
                    "the layer takes too long",
                );
            }
            let frame = tokio::select! {
                frame = read_frame(&mut self.from_worker, &mut self.partial) => frame?,
                changed = self.feeding.changed() => {
                    if changed.is_err() {
                        return Err(WorkerError::Protocol("nobody waits for it any more".to_owned()));
                    }
                    continue;
                }
                () = sleep_until(deadline) => {
                    return Err(WorkerError::TimedOut { secs: limit.as_secs(), what });
                }
            };
            since = Instant::now();
            match frame {
                Frame::Hello(hello) => check_hello(hello)?,
                Frame::Progress(n) => read = n,
                Frame::Unfit(_) => {
                    return Err(WorkerError::Spawn("it cannot lock itself in".to_owned()));
                }
                Frame::Answer(length) => return self.read_answer(length, since).await,
                other => return Err(WorkerError::Protocol(format!("it said {other:?}"))),
            }
        }
    }

    async fn read_answer(&mut self, length: u64, since: Instant) -> Result<Vec<u8>, WorkerError> {
        if length > self.limits.answer_bytes_max {
            return Err(WorkerError::Protocol(format!("its answer has {length} bytes")));
        }
        let mut bytes = Vec::new();
        let mut answer = (&mut self.from_worker).take(length);
        let limit = self.limits.stall_max;
        match tokio::time::timeout_at(since + limit, answer.read_to_end(&mut bytes)).await {
            Ok(Ok(n)) if n as u64 == length => Ok(bytes),
            Ok(_) => Err(WorkerError::Protocol("its answer breaks off".to_owned())),
            Err(_) => Err(WorkerError::TimedOut {
                secs: limit.as_secs(),
                what: "its answer does not end",
            }),
        }
    }
}

/// Reads one frame. What was read of it stays in `partial` where this is
/// dropped half-way.
async fn read_frame(from: &mut OwnedReadHalf, partial: &mut Vec<u8>) -> Result<Frame, WorkerError> {
    loop {
        if let Ok(bytes) = <[u8; FRAME_BYTES]>::try_from(partial.as_slice()) {
            partial.clear();
            return Frame::parse(bytes)
                .ok_or_else(|| WorkerError::Protocol(format!("it sent the frame {bytes:?}")));
        }
        let left = FRAME_BYTES - partial.len();
        match (&mut *from).take(left as u64).read_buf(partial).await {
            Ok(n) if n > 0 => {}
            _ => return Err(WorkerError::Protocol("it ended without an answer".to_owned())),
        }
    }
}

fn check_hello(hello: u64) -> Result<(), WorkerError> {
    static WARNED: std::sync::Once = std::sync::Once::new();
    if hello & NO_LANDLOCK != 0 {
        WARNED.call_once(|| {
            tracing::warn!("this kernel has no landlock; layer workers are held by their system-call filter alone");
        });
    }
    match hello & !NO_LANDLOCK {
        version if version == u64::from(ANALYSER_VERSION) => Ok(()),
        version => Err(WorkerError::Protocol(format!("it is of analyser version {version}"))),
    }
}

async fn decode(bytes: Vec<u8>) -> Result<LayerAnalysis, WorkerError> {
    let read = move || LayerAnalysis::from_bytes(&bytes);
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(analysis)) => Ok(analysis),
        Ok(Err(error)) => Err(WorkerError::Protocol(error.to_string())),
        Err(error) => {
            Err(WorkerError::Protocol(format!("its answer could not be decoded: {error}")))
        }
    }
}

/// The start of a worker's standard error; the rest is read and dropped, so
/// that the worker never waits for it.
async fn read_bounded(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut bytes = Vec::new();
    let _ = (&mut from).take(STDERR_BYTES_MAX).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).trim().to_owned()
}
