//! A process that locks itself in as a worker does and then misbehaves.

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, Stdio};

use backends::sandbox::{LockdownLimits, lock_down};

/// SIGSYS: killed by the system-call filter.
const FORBIDDEN: i32 = 31;

/// The misbehaviour of that name, from behind the lock.
pub fn run(what: &str) -> ExitCode {
    let parent = std::os::unix::process::parent_id();
    let limits = LockdownLimits { memory_bytes_max: 256 << 20, cpu_secs_max: 10 };
    if let Err(error) = lock_down(&limits) {
        eprintln!("cannot lock in: {error}");
        return ExitCode::from(9);
    }
    let done = match what {
        "compute" => {
            let words: std::collections::HashMap<u64, String> =
                (0..10_000).map(|n| (n, n.to_string())).collect();
            black_box(words).len() == 10_000
        }
        "read a file" => std::fs::read("/etc/passwd").is_ok(),
        "write a file" => std::fs::write("/tmp/from-the-sandbox", "x").is_ok(),
        "list a folder" => std::fs::read_dir("/").is_ok(),
        "tcp" => std::net::TcpStream::connect("127.0.0.1:1").is_ok(),
        "unix socket" => std::os::unix::net::UnixStream::connect("/run/x").is_ok(),
        "start a program" => Command::new("/bin/true").status().is_ok(),
        "start a thread" => std::thread::Builder::new().spawn(|| ()).is_ok(),
        "kill the parent" => {
            let parent = rustix::process::Pid::from_raw(parent as i32).expect("a parent");
            rustix::process::kill_process(parent, rustix::process::Signal::HUP).is_ok()
        }
        "lift a limit" => {
            let none = rustix::process::Rlimit { current: None, maximum: None };
            rustix::process::setrlimit(rustix::process::Resource::As, none).is_ok()
        }
        "read standard error" => {
            let mut byte = [0];
            rustix::io::read(std::io::stderr(), &mut byte).is_ok()
        }
        "take too much memory" => {
            let mut all: Vec<Vec<u8>> = Vec::new();
            for _ in 0..64 {
                all.push(black_box(vec![1; 8 << 20]));
            }
            !all.is_empty()
        }
        other => panic!("no probe is called {other}"),
    };
    // The probe's own answer, so that a refusal reads otherwise than a death.
    if done { ExitCode::SUCCESS } else { ExitCode::from(7) }
}

fn probe(what: &str) -> std::process::Output {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["probe", what])
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("starts")
}

pub fn what_is_forbidden_kills() {
    for what in [
        "read a file",
        "write a file",
        "list a folder",
        "tcp",
        "unix socket",
        "start a program",
        "start a thread",
        "kill the parent",
        "lift a limit",
        "read standard error",
    ] {
        let output = probe(what);
        assert_eq!(output.status.signal(), Some(FORBIDDEN), "{what}: {output:?}");
    }
    assert!(!std::path::Path::new("/tmp/from-the-sandbox").exists());
}

pub fn what_a_worker_needs_is_allowed() {
    let output = probe("compute");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

pub fn memory_is_bounded() {
    let output = probe("take too much memory");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("memory allocation of"), "{output:?}");
    assert_eq!(output.status.signal(), Some(6), "it aborts by its own signal: {output:?}");
}
