//! Real object stores on loopback: versitygw (S3) and Azurite.
//! They come from `scripts/tools.sh objects`; what is missing is skipped loudly.

// Not everybody who includes this file uses every server.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use backends::objects::ObjectSettings;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use tempfile::TempDir;

/// The account that Azurite has built in, as its documentation gives it.
const AZURITE_ACCOUNT: &str = "devstoreaccount1";
const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Bucket or container of every test.
const BUCKET: &str = "lazaret";

/// Time in which a server must be up.
const START_MAX: Duration = Duration::from_secs(60);

/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often a port that somebody else took meanwhile is replaced.
const STARTS_MAX: usize = 3;

/// A running object store with one empty bucket. Ended when it is dropped.
pub struct Server {
    child: Child,
    /// What reaches it.
    pub settings: ObjectSettings,
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An S3 server.
pub fn s3() -> Option<Server> {
    let program = tool("bin/versitygw")?;
    start("s3", |port, folder| {
        std::fs::create_dir_all(folder.path().join("buckets").join(BUCKET)).expect("a bucket");
        std::fs::create_dir_all(folder.path().join("versions")).expect("a folder");
        let mut command = Command::new(&program);
        command.args(["--port", &format!("127.0.0.1:{port}"), "--access", "access"]);
        command.args(["--secret", "correct-horse", "--quiet", "--keep-alive", "posix"]);
        command.arg(folder.path().join("buckets"));
        let options = [
            ("aws_access_key_id", "access"),
            ("aws_secret_access_key", "correct-horse"),
            ("aws_region", "us-east-1"),
        ];
        (command, format!("http://127.0.0.1:{port}"), own(&options))
    })
}

/// An Azure Blob Storage server.
pub fn azure() -> Option<Server> {
    let program = tool("azurite/node_modules/.bin/azurite-blob")?;
    let server = start("az", |port, folder| {
        let mut command = Command::new(&program);
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--silent"]);
        command.args(["--skipApiVersionCheck", "--disableTelemetry", "--location"]);
        command.arg(folder.path());
        let options = [
            ("azure_storage_account_name", AZURITE_ACCOUNT),
            ("azure_storage_account_key", AZURITE_KEY),
        ];
        (command, format!("http://127.0.0.1:{port}/{AZURITE_ACCOUNT}"), own(&options))
    })?;
    make_container(&server.settings);
    Some(server)
}

type Options = Vec<(String, String)>;

fn own(options: &[(&str, &str)]) -> Options {
    options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A program that the test scripts install.
fn tool(path: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("LAZARET_CACHE").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
        Some(cache.or_else(home)?.join("lazaret"))
    })?;
    let program = cache.join(path);
    if !program.exists() {
        println!("skipped: {path} is not installed (scripts/tools.sh objects)");
        return None;
    }
    Some(program)
}

fn start(
    scheme: &str,
    command: impl Fn(u16, &TempDir) -> (Command, String, Options),
) -> Option<Server> {
    for _ in 0..STARTS_MAX {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let (mut command, endpoint, options) = command(port, &folder);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the server starts");
        let until = Instant::now() + START_MAX;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        while child.try_wait().expect("a child").is_none() {
            if TcpStream::connect(address).is_ok() {
                let mut settings =
                    ObjectSettings::parse(&format!("{scheme}://{BUCKET}/some/prefix"))
                        .expect("one");
                settings.endpoint = Some(endpoint);
                settings.allow_http = true;
                settings.options.0.extend(options);
                return Some(Server { child, settings, _folder: folder });
            }
            assert!(Instant::now() < until, "the server for {scheme}:// does not come up");
            wait(LOOK_EVERY);
        }
    }
    panic!("the server for {scheme}:// ends at once");
}

fn wait(time: Duration) {
    // Nobody tells when a foreign program listens.
    #[allow(clippy::disallowed_methods)]
    std::thread::sleep(time);
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// "Create Container" of Azure's REST interface, signed with the shared key;
/// the library that the store uses makes none.
fn make_container(settings: &ObjectSettings) {
    let endpoint = settings.endpoint.as_deref().expect("one");
    let authority = endpoint.strip_prefix("http://").and_then(|e| e.split('/').next());
    let authority = authority.expect("host and port");
    let (date, version) = ("Sun, 22 Nov 2026 00:00:00 GMT", "2021-08-06");
    let signed = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{version}\n/{AZURITE_ACCOUNT}/{AZURITE_ACCOUNT}/{BUCKET}\nrestype:container"
    );
    let key = STANDARD.decode(AZURITE_KEY).expect("base64");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("a key of any length");
    mac.update(signed.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let request = format!(
        "PUT /{AZURITE_ACCOUNT}/{BUCKET}?restype=container HTTP/1.1\r\nhost: {authority}\r\nx-ms-date: {date}\r\nx-ms-version: {version}\r\ncontent-length: 0\r\nconnection: close\r\nauthorization: SharedKey {AZURITE_ACCOUNT}:{signature}\r\n\r\n"
    );
    let mut connection = TcpStream::connect(authority).expect("it listens");
    connection.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}
