//! A throwaway PostgreSQL for tests: one cluster per test program, on a socket
//! in a folder of its own, and a database per test. It ends with the last test,
//! or with the test program however that ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The oldest version that the store takes.
const VERSION_MIN: u32 = 15;

/// Makes the cluster, says where, and waits until nobody holds its standard
/// input any more. Texts compare as people sort them, so that a column that
/// forgot to compare bytes shows.
const SCRIPT: &str = r#"
set -eu
bin=$1
umask 077
dir=$(mktemp -d)
finish() {
  "$bin/pg_ctl" stop -D "$dir/data" -m immediate >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap finish EXIT
"$bin/initdb" -D "$dir/data" -U lazaret --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
  --locale-provider=icu --icu-locale=en-US --no-sync >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
"$bin/pg_ctl" start -w -t 120 -D "$dir/data" -l "$dir/log" \
  -o "-k $dir -c listen_addresses= -c fsync=off -c max_connections=400 -c shared_buffers=64MB" >&2 </dev/null \
  || { cat "$dir/log" >&2; exit 1; }
echo "$dir"
cat >/dev/null
"#;

/// A running cluster.
pub struct Cluster {
    folder: PathBuf,
    bin: PathBuf,
    databases: AtomicU32,
    // Closed at the end, which is what the script waits for.
    stdin: Option<ChildStdin>,
    child: Child,
}

/// A database in it.
pub struct TestDatabase {
    /// Its address.
    pub url: String,
    cluster: Arc<Cluster>,
}

/// A fresh database. `None`, said loudly: there is no PostgreSQL here.
pub fn database() -> Option<TestDatabase> {
    static CLUSTER: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let Some(bin) = programs() else {
        eprintln!(
            "skipped: PostgreSQL {VERSION_MIN} or later is not installed (scripts/tools.sh postgres)"
        );
        return None;
    };
    let cluster = {
        let mut shared = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Cluster::start(bin));
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    };
    let name = format!("test_{}", cluster.databases.fetch_add(1, Ordering::Relaxed));
    cluster.psql("postgres", &format!("CREATE DATABASE {name}"));
    Some(TestDatabase { url: cluster.url(&name), cluster })
}

impl TestDatabase {
    /// Does something to the database behind the store's back; gives what
    /// `psql` printed.
    #[allow(dead_code, reason = "not every test program does")]
    pub fn psql(&self, sql: &str) -> String {
        let name = self.url.split(['/', '?']).nth(3).expect("a URL made here");
        self.cluster.psql(name, sql)
    }
}

impl Cluster {
    fn start(bin: PathBuf) -> Self {
        let mut command = match (id("-u").as_str(), have_user("postgres")) {
            // PostgreSQL does not run as root.
            ("0", true) => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--", "sh"]).env_remove("TMPDIR");
                command
            }
            _ => Command::new("sh"),
        };
        command.args(["-c", SCRIPT, "cluster"]).arg(&bin).current_dir("/");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell can be started");
        let mut folder = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut folder).expect("the script says where");
        assert!(!folder.trim().is_empty(), "PostgreSQL did not start; see above");
        Self {
            folder: folder.trim().into(),
            bin,
            databases: AtomicU32::new(0),
            stdin: child.stdin.take(),
            child,
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://lazaret@localhost/{database}?host={}", self.folder.display())
    }

    fn psql(&self, database: &str, sql: &str) -> String {
        let done = Command::new(self.bin.join("psql"))
            .args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(self.url(database))
            .output()
            .expect("psql can be started");
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Where the newest server programs are that do.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for folder in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        if let Ok(version) = folder.file_name().to_string_lossy().parse() {
            found.push((version, folder.path().join("bin")));
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path).filter(|f| f.join("pg_ctl").is_file()) {
        if let Some(version) = version(&folder) {
            found.push((version, folder));
        }
    }
    let whole = |bin: &Path| ["initdb", "pg_ctl", "psql"].iter().all(|p| bin.join(p).is_file());
    found.retain(|(version, bin)| *version >= VERSION_MIN && whole(bin));
    found.into_iter().max().map(|(_, bin)| bin)
}

/// Its major version, from `pg_ctl (PostgreSQL) 15.18 (Debian ...)`.
fn version(bin: &Path) -> Option<u32> {
    let said = Command::new(bin.join("pg_ctl")).arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    said.split_whitespace().nth(2)?.split('.').next()?.parse().ok()
}

fn id(argument: &str) -> String {
    let said = Command::new("id").arg(argument).output().expect("id can be started");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

fn have_user(name: &str) -> bool {
    Command::new("id").args(["-u", name]).output().is_ok_and(|said| said.status.success())
}
