//! Workers as the scanner uses them.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use analysis::{LayerEncoding, Limits, analyse_layer};
use backends::sandbox::{SandboxLimits, SandboxPool};
use scanner::worker::{LayerWorkers, RunningAnalysis, WorkerError};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(future)
}

fn pool(limits: SandboxLimits) -> SandboxPool {
    SandboxPool::new(std::env::current_exe().expect("this program"), limits)
}

/// A layer with a dpkg database and a few megabytes that do not compress.
fn layer() -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(encoder);
    let mut file = |path: &str, body: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, body).expect("memory");
    };
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as u8
    };
    file("noise", &(0..2_000_000).map(|_| noise()).collect::<Vec<u8>>());
    file(
        "var/lib/dpkg/status",
        b"Package: canary\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n",
    );
    archive.into_inner().and_then(flate2::write::GzEncoder::finish).expect("memory")
}

fn blob_file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    file
}

pub fn a_growing_file_is_followed() {
    let layer = layer();
    let expected = analyse_layer(layer.as_slice(), LayerEncoding::Gzip, &Limits::default());
    assert!(expected.evidence.iter().any(|evidence| evidence.path == "var/lib/dpkg/status"));
    let found = run(async {
        let pool = pool(SandboxLimits::default());
        let named = tempfile::NamedTempFile::new().expect("a file");
        let mut writer = named.reopen().expect("the file");
        let mut running =
            pool.start(named.reopen().expect("the file"), Some(GZIP)).await.expect("starts");
        let mut written = 0;
        for chunk in layer.chunks(100_000) {
            writer.write_all(chunk).expect("written");
            written += chunk.len() as u64;
            running.available(written);
            running.available(written / 2);
            tokio::task::yield_now().await;
        }
        running.finish(written).await
    });
    assert_eq!(found.expect("an analysis"), expected);
}

/// Processes whose parent is this one.
pub fn children() -> Vec<u32> {
    let own = std::process::id().to_string();
    let stat = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let text = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let (_, behind) = text.rsplit_once(')')?;
        let mut words = behind.split_whitespace();
        let (state, parent) = (words.next()?, words.next()?);
        (parent == own && state != "Z").then_some(pid)
    };
    std::fs::read_dir("/proc").expect("proc").flatten().filter_map(stat).collect()
}

pub fn a_dropped_analysis_leaves_no_process() {
    run(async {
        let pool = pool(SandboxLimits::default());
        let mut running = pool.start(blob_file(&layer()), Some(GZIP)).await.expect("starts");
        running.available(10);
        assert_eq!(children().len(), 1, "a worker runs");
        drop(running);
        let begun = Instant::now();
        while !children().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(10), "the worker is still there");
            tokio::task::yield_now().await;
        }
    });
}

/// A pool whose workers are a shell script.
fn scripted(folder: &Path, script: &str, limits: SandboxLimits) -> SandboxPool {
    let path = folder.join("worker.sh");
    // Closed before it is run: a file open for writing cannot be.
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
        .expect("made executable");
    SandboxPool::new(path, limits)
}

fn failure_of(script: &str, limits: SandboxLimits) -> WorkerError {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = scripted(folder.path(), script, limits);
    let end = run(async { pool.start(blob_file(b"x"), None).await?.finish(1).await });
    end.expect_err("no analysis")
}

pub fn a_worker_that_hangs_is_stopped() {
    let limits =
        SandboxLimits { stall_max: Duration::from_millis(200), ..SandboxLimits::default() };
    let begun = Instant::now();
    let error = failure_of("exec /bin/sleep 600", limits);
    assert!(matches!(error, WorkerError::TimedOut { .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

pub fn a_blob_that_stops_growing_frees_its_worker() {
    let limits = SandboxLimits {
        workers_max: 1,
        idle_max: Duration::from_millis(200),
        ..SandboxLimits::default()
    };
    let layer = layer();
    run(async {
        let pool = pool(limits);
        let mut stalled = pool.start(blob_file(&layer), Some(GZIP)).await.expect("starts");
        stalled.available(10);
        let second = pool.start(blob_file(&layer), Some(GZIP)).await.expect("gets the turn");
        let found = second.finish(layer.len() as u64).await.expect("an analysis");
        assert_eq!(found.problems, []);
        let error = stalled.finish(layer.len() as u64).await.expect_err("was stopped");
        assert!(matches!(error, WorkerError::TimedOut { .. }), "{error:?}");
    });
}

pub fn deaths_are_told_apart() {
    let end = |script| failure_of(script, SandboxLimits::default());
    let error = end("kill -SEGV $$");
    assert!(matches!(error, WorkerError::Crashed { signal: 11 }), "{error:?}");
    let error = end("kill -SYS $$");
    assert!(matches!(error, WorkerError::Crashed { signal: 31 }), "{error:?}");
    assert!(error.to_string().contains("forbidden system call"));
    let error = end("echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$");
    assert!(matches!(error, WorkerError::MemoryExceeded { mib: 512 }), "{error:?}");
    let error = end("kill -XCPU $$");
    assert!(matches!(error, WorkerError::TimedOut { .. }), "{error:?}");
    let error = end("echo nonsense, at some length");
    assert!(matches!(error, WorkerError::Protocol(_)), "{error:?}");
    let error = end("echo reason >&2; exit 1");
    assert!(
        matches!(&error, WorkerError::Protocol(message) if message.contains("reason")),
        "{error:?}"
    );
    let pool = SandboxPool::new("/nonexistent/worker", SandboxLimits::default());
    let error = run(pool.start(blob_file(b""), None)).err().expect("no worker");
    assert!(matches!(error, WorkerError::Spawn(_)), "{error:?}");
}

pub fn turns_are_taken() {
    let limits = SandboxLimits { workers_max: 1, ..SandboxLimits::default() };
    let layer = layer();
    run(async {
        let pool = pool(limits);
        let first = pool.start(blob_file(&layer), Some(GZIP)).await.expect("starts");
        let waiting = pool.start(blob_file(&layer), Some(GZIP));
        tokio::pin!(waiting);
        let early = futures_poll_once(waiting.as_mut()).await;
        assert!(early.is_none(), "the second waits for its turn");
        first.finish(layer.len() as u64).await.expect("an analysis");
        waiting.await.expect("gets its turn");
    });
}

/// The future's value if it is ready now.
async fn futures_poll_once<T>(
    future: std::pin::Pin<&mut (impl Future<Output = T> + ?Sized)>,
) -> Option<T> {
    let mut future = Some(future);
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.take().map(|future| future.poll(context)) {
            Some(std::task::Poll::Ready(value)) => Some(value),
            _ => None,
        })
    })
    .await
}

pub fn starting_is_quick() {
    let layer = {
        let mut archive = tar::Builder::new(Vec::new());
        archive.finish().expect("memory");
        archive.into_inner().expect("memory")
    };
    run(async {
        let pool = pool(SandboxLimits::default());
        let mut times = Vec::new();
        for _ in 0..20 {
            let blob = blob_file(&layer);
            let begun = Instant::now();
            let running: Box<dyn RunningAnalysis> = pool.start(blob, None).await.expect("starts");
            running.finish(layer.len() as u64).await.expect("an analysis");
            times.push(begun.elapsed());
        }
        times.sort();
        eprintln!(
            "an empty layer, from start to answer: median {:?}, worst {:?}",
            times[10], times[19]
        );
        assert!(times[10] < Duration::from_secs(1));
    });
}
