//! The layer sandbox from outside: this very program is its worker.
//!
//! A harness of its own, since a worker must be locked in before any thread
//! exists. Arguments other than the worker's choose tests by name.

mod hostile;
mod probe;
mod workers;

use std::process::ExitCode;

/// Name and body of every test.
const TESTS: [(&str, fn()); 11] = [
    ("what_is_forbidden_kills", probe::what_is_forbidden_kills),
    ("what_a_worker_needs_is_allowed", probe::what_a_worker_needs_is_allowed),
    ("memory_is_bounded", probe::memory_is_bounded),
    ("a_growing_file_is_followed", workers::a_growing_file_is_followed),
    ("a_dropped_analysis_leaves_no_process", workers::a_dropped_analysis_leaves_no_process),
    ("a_worker_that_hangs_is_stopped", workers::a_worker_that_hangs_is_stopped),
    (
        "a_blob_that_stops_growing_frees_its_worker",
        workers::a_blob_that_stops_growing_frees_its_worker,
    ),
    ("deaths_are_told_apart", workers::deaths_are_told_apart),
    ("turns_are_taken", workers::turns_are_taken),
    ("starting_is_quick", workers::starting_is_quick),
    ("hostile_layers_stay_within_bounds", hostile::hostile_layers_stay_within_bounds),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some(backends::sandbox::WORKER_COMMAND) => return backends::sandbox::worker_main(),
        Some("probe") => return probe::run(&arguments.next().unwrap_or_default()),
        _ => {}
    }
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let list = std::env::args().any(|argument| argument == "--list");
    let mut failed = 0;
    for (name, test) in TESTS {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        if list {
            println!("{name}: test");
            continue;
        }
        let ok = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        failed += u32::from(!ok);
    }
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
