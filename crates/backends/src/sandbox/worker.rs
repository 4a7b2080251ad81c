//! The worker's side: locks itself in, reads the blob, answers.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::ExitCode;

use analysis::{ANALYSER_VERSION, LayerEncoding, Limits, analyse_layer};
use rustix::io::Errno;

use super::frame::{FRAME_BYTES, Frame};
use super::lockdown::{LockdownLimits, lock_down};

/// Bit of [`Frame::Hello`] that says the kernel lacks landlock.
pub const NO_LANDLOCK: u64 = 1 << 32;

/// Bytes of the blob after which a worker says how far it is.
const PROGRESS_BYTES: u64 = 256 << 10;

/// The whole life of a worker. Call it first thing in `main`, before threads
/// or files exist, when the first argument is [`super::WORKER_COMMAND`].
pub fn worker_main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("layer worker: {message}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> Result<(), String> {
    let (encoding, limits) = arguments()?;
    let lockdown = match lock_down(&limits) {
        Ok(lockdown) => lockdown,
        Err(error) => {
            let source =
                std::error::Error::source(&error).map(|s| format!(": {s}")).unwrap_or_default();
            let _ = say(Frame::Unfit(0));
            return Err(format!("{error}{source}"));
        }
    };
    let landlock = if lockdown.landlock { 0 } else { NO_LANDLOCK };
    say(Frame::Hello(u64::from(ANALYSER_VERSION) | landlock)).map_err(|e| e.to_string())?;
    let mut blob = Blob::default();
    let analysis = analyse_layer(&mut blob, encoding, &Limits::default());
    if let Some(reason) = blob.aborted {
        return Err(reason);
    }
    let bytes = analysis.to_bytes().map_err(|e| e.to_string())?;
    say(Frame::Answer(bytes.len() as u64))
        .and_then(|()| write_all(&bytes))
        .map_err(|e| e.to_string())
}

/// `layer-worker ENCODING MEMORY_BYTES CPU_SECS`
fn arguments() -> Result<(LayerEncoding, LockdownLimits), String> {
    let mut arguments = std::env::args().skip(2);
    let encoding = match arguments.next().as_deref() {
        Some("plain") => LayerEncoding::Plain,
        Some("gzip") => LayerEncoding::Gzip,
        Some("zstd") => LayerEncoding::Zstd,
        Some("unknown") => LayerEncoding::Unknown,
        _ => return Err("is started by the server only, not by hand".to_owned()),
    };
    let mut number = || arguments.next()?.parse().ok();
    match (number(), number()) {
        (Some(memory_bytes_max), Some(cpu_secs_max)) => {
            Ok((encoding, LockdownLimits { memory_bytes_max, cpu_secs_max }))
        }
        _ => Err("its limits are no numbers".to_owned()),
    }
}

/// The blob, which may still be growing.
#[derive(Default)]
struct Blob {
    offset: u64,
    available: u64,
    complete: bool,
    reported: u64,
    aborted: Option<String>,
}

impl Blob {
    fn abort(&mut self, reason: String) -> io::Error {
        self.aborted = Some(reason.clone());
        io::Error::other(reason)
    }

    /// Waits for the server to say that there is more.
    fn wait(&mut self) -> io::Result<()> {
        let mut bytes = [0; FRAME_BYTES];
        if let Err(error) = read_exact(&mut bytes) {
            return Err(self.abort(format!("the server is gone: {error}")));
        }
        match Frame::parse(bytes) {
            Some(Frame::Available(n)) => self.available = self.available.max(n),
            Some(Frame::Complete(n)) => {
                self.available = n;
                self.complete = true;
            }
            other => return Err(self.abort(format!("the server said {other:?}"))),
        }
        Ok(())
    }
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(reason) = &self.aborted {
            return Err(io::Error::other(reason.clone()));
        }
        while self.offset >= self.available {
            if self.complete {
                return Ok(0);
            }
            if self.reported < self.offset {
                self.reported = self.offset;
                say(Frame::Progress(self.offset))?;
            }
            self.wait()?;
        }
        let want =
            buffer.len().min(usize::try_from(self.available - self.offset).unwrap_or(usize::MAX));
        let n = loop {
            match rustix::io::pread(io::stdin().as_fd(), &mut buffer[..want], self.offset) {
                Ok(n) => break n,
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.abort(format!("cannot read the blob: {error}"))),
            }
        };
        if n == 0 && want > 0 {
            return Err(self.abort("the blob is shorter than the server says".to_owned()));
        }
        self.offset += n as u64;
        if self.offset - self.reported >= PROGRESS_BYTES {
            self.reported = self.offset;
            say(Frame::Progress(self.offset))?;
        }
        Ok(n)
    }
}

fn say(frame: Frame) -> io::Result<()> {
    write_all(&frame.to_bytes())
}

/// Straight to descriptor 1: it is a socket, and buffering would hold back
/// what the server waits for.
fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(io::stdout().as_fd(), bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn read_exact(buffer: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match rustix::io::read(io::stdout().as_fd(), &mut buffer[done..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => done += n,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
