//! Every layer of the hostile images, each in a worker of half the usual
//! memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backends::sandbox::{SandboxLimits, SandboxPool};
use scanner::worker::LayerWorkers;

use crate::workers::{children, run};

/// Well above what a layer may take, well below what the pool allows.
const MEMORY_BYTES: u64 = 256 << 20;

/// Layers whose distinct blobs are worth reading: an image of 10,000 layers
/// has a hundred alike.
const BLOBS_PER_CASE_MAX: usize = 40;

pub fn hostile_layers_stay_within_bounds() {
    let folder =
        std::env::var_os("LAZARET_CORPUS").map(|corpus| PathBuf::from(corpus).join("hostile"));
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        eprintln!("skipped: LAZARET_CORPUS names no folder with hostile images");
        return;
    };
    let limits = SandboxLimits {
        memory_bytes_max: MEMORY_BYTES,
        workers_max: 1,
        ..SandboxLimits::default()
    };
    let pool = SandboxPool::new(std::env::current_exe().expect("this program"), limits);
    let (peak, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let watcher = std::thread::spawn({
        let (peak, done) = (peak.clone(), done.clone());
        move || watch(&peak, &done)
    });
    let mut cases: Vec<_> =
        std::fs::read_dir(&folder).expect("cases").flatten().map(|entry| entry.path()).collect();
    cases.sort();
    for case in cases {
        let mut blobs: Vec<_> =
            std::fs::read_dir(case.join("blobs/sha256")).into_iter().flatten().flatten().collect();
        blobs.sort_by_key(std::fs::DirEntry::file_name);
        peak.store(0, Ordering::Relaxed);
        let begun = Instant::now();
        let (mut good, mut with_problems) = (0, 0);
        // Manifests and configurations are as hostile as layers: all blobs
        // are read as if they were layers.
        for blob in blobs.iter().take(BLOBS_PER_CASE_MAX) {
            let file = std::fs::File::open(blob.path()).expect("a blob");
            let total = file.metadata().expect("its size").len();
            let end = run(async { pool.start(file, None).await?.finish(total).await });
            let analysis = end.unwrap_or_else(|error| panic!("{}: {error}", blob.path().display()));
            if analysis.problems.is_empty() { good += 1 } else { with_problems += 1 }
        }
        eprintln!(
            "{}: {good} blobs read, {with_problems} with problems, {:?}, peak {} MiB",
            case.file_name().unwrap_or_default().display(),
            begun.elapsed(),
            peak.load(Ordering::Relaxed) >> 10
        );
    }
    done.store(true, Ordering::Relaxed);
    watcher.join().expect("watched");
}

/// Peak resident memory of this process's children, in KiB.
fn watch(peak: &AtomicU64, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        for pid in children() {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib =
                high.and_then(|text| text.trim().split(' ').next()?.parse().ok()).unwrap_or(0);
            peak.fetch_max(kib, Ordering::Relaxed);
        }
        #[expect(clippy::disallowed_methods, reason = "samples memory at an interval")]
        std::thread::sleep(Duration::from_millis(20));
    }
}
