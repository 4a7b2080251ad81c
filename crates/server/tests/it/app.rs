//! A server in a temporary directory, and what a client does with it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::image::{Blob, Image, sha256};

/// The admin's password in every test.
pub const PASSWORD: &str = "correct horse";

/// The configuration file of the server.
const SETTINGS: &str = "lazaret.toml";

/// Longest wait for something that happens in the background.
const SOON: Duration = Duration::from_secs(20);

/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running server.
pub struct App {
    child: Child,
    url: String,
    client: Client,
    dir: tempfile::TempDir,
}

impl App {
    /// Starts with an empty data directory.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts with these settings beside the usual arguments.
    pub fn start_with(settings: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join(SETTINGS), settings).expect("a file");
        Self::start_in(dir)
    }

    /// Starts over a PostgreSQL database.
    pub fn start_over(database: &str) -> Self {
        Self::start_with(&format!("[database]\nurl = \"{database}\"\n"))
    }

    /// Starts a second server with the same settings, database and content.
    pub fn start_beside(&self) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::copy(self.dir.path().join(SETTINGS), dir.path().join(SETTINGS)).expect("a file");
        std::fs::create_dir(dir.path().join("data")).expect("a folder");
        let content = self.dir.path().join("data/content");
        std::os::unix::fs::symlink(content, dir.path().join("data/content")).expect("a link");
        Self::start_in(dir)
    }

    fn start_in(dir: tempfile::TempDir) -> Self {
        let (child, url) = spawn(dir.path());
        Self { child, url, client: client(), dir }
    }

    /// Kills the server without warning and starts it again on the same data.
    pub fn crash_and_restart(&mut self) {
        self.child.kill().expect("a running server");
        self.child.wait().expect("a killed server");
        (self.child, self.url) = spawn(self.dir.path());
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends the server without warning, for good.
    pub fn end(&mut self) {
        self.child.kill().expect("a running server");
        self.child.wait().expect("a killed server");
    }

    /// Answers to GET requests of the distribution API that were good.
    pub async fn gets_answered(&self) -> u64 {
        let metrics = self.get("/metrics").await.text().await.expect("text");
        let is_one = |line: &&str| {
            line.starts_with("lazaret_http_requests_total{")
                && [r#"route="/v2/{*path}""#, r#"method="GET""#, r#"status="200""#]
                    .iter()
                    .all(|label| line.contains(label))
        };
        let count = |line: &str| line.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok());
        metrics.lines().filter(is_one).filter_map(count).sum()
    }

    /// Holds the server up without ending it.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill runs");
        assert!(sent.success(), "{name}");
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> &str {
        self.url.strip_prefix("http://").expect("plain HTTP")
    }

    /// The directory that holds the data directory and is free for files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The advisory index of the server.
    pub fn db(&self) -> PathBuf {
        self.dir.path().join("data/advisories")
    }

    /// Imports a file as an operator would, beside the running server.
    pub fn import(&self, file: &Path) {
        let db = self.db();
        let arguments = ["advisories", "import", text(file), "--db", text(&db), "--format", "json"];
        let output = lazaret(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// GET as admin.
    pub async fn get(&self, path: &str) -> Response {
        let request = self.client.get(format!("{}{path}", self.url));
        request.basic_auth("admin", Some(PASSWORD)).send().await.expect("an answer")
    }

    /// DELETE as admin, of something that is there.
    pub async fn delete(&self, path: &str) {
        let request = self.client.delete(format!("{}{path}", self.url));
        let answer = request.basic_auth("admin", Some(PASSWORD)).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{path}");
    }

    /// PUT of a JSON document as admin.
    pub async fn put(&self, path: &str, body: &Value) -> Response {
        let request = self.client.put(format!("{}{path}", self.url)).json(body);
        request.basic_auth("admin", Some(PASSWORD)).send().await.expect("an answer")
    }

    /// POST of a JSON document as admin.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        let request = self.client.post(format!("{}{path}", self.url)).json(body);
        request.basic_auth("admin", Some(PASSWORD)).send().await.expect("an answer")
    }

    /// Looks again and again until something holds.
    pub async fn wait_until<F: Future<Output = bool>>(&self, mut holds: impl FnMut() -> F) {
        let until = Instant::now() + SOON;
        while !holds().await {
            assert!(Instant::now() < until, "it never came to that");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Reads a document until it is as expected.
    pub async fn wait_for(&self, path: &str, expected: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + SOON;
        loop {
            let document = self.json(path).await;
            if expected(&document) {
                return document;
            }
            assert!(Instant::now() < until, "{path}: {document}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits for the end of an import.
    pub async fn wait_for_import(&self, id: &str) -> Value {
        let ended = |import: &Value| import["state"] == "done" || import["state"] == "failed";
        self.wait_for(&format!("/api/v1/imports/{id}"), ended).await
    }

    /// Waits until an image was inspected.
    pub async fn wait_for_scan(&self, repository: &str, digest: &str) -> Value {
        let path = image_path(repository, digest);
        self.wait_for(&path, |image| image["scan"]["state"] == "done").await
    }

    /// A request as admin.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        request.basic_auth("admin", Some(PASSWORD))
    }

    /// GET of a JSON document that is there.
    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON")
    }

    /// Pushes blobs that the repository lacks, then the manifest; gives the
    /// answer to the latter.
    pub async fn push(&self, repository: &str, reference: &str, image: &Image) -> Response {
        for blob in image.blobs() {
            self.push_blob(repository, blob).await;
        }
        self.put_manifest(repository, reference, &image.media_type, image.manifest.clone()).await
    }

    /// Pushes a blob that the repository may hold already.
    pub async fn push_blob(&self, repository: &str, blob: &Blob) {
        let path = format!("/v2/{repository}/blobs/{}", blob.digest);
        let there = self.client.head(format!("{}{path}", self.url));
        let there = there.basic_auth("admin", Some(PASSWORD)).send().await.expect("an answer");
        if there.status() == StatusCode::OK {
            return;
        }
        let begun = self.client.post(format!("{}/v2/{repository}/blobs/uploads/", self.url));
        let begun = begun.basic_auth("admin", Some(PASSWORD)).send().await.expect("an answer");
        assert_eq!(begun.status(), StatusCode::ACCEPTED);
        let location = begun.headers()["location"].to_str().expect("text").to_owned();
        let join = if location.contains('?') { '&' } else { '?' };
        let put = self.client.put(format!("{}{location}{join}digest={}", self.url, blob.digest));
        let put = put.basic_auth("admin", Some(PASSWORD)).body(blob.bytes.clone());
        assert_eq!(put.send().await.expect("an answer").status(), StatusCode::CREATED);
    }

    /// PUT of a manifest or an index.
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Response {
        let put = self.client.put(format!("{}/v2/{repository}/manifests/{reference}", self.url));
        let put = put.basic_auth("admin", Some(PASSWORD)).header("Content-Type", media_type);
        put.body(bytes).send().await.expect("an answer")
    }

    /// The image's page in the native API.
    pub async fn image(&self, repository: &str, digest: &str) -> Value {
        self.json(&image_path(repository, digest)).await
    }

    /// Titles of its open findings.
    pub async fn findings(&self, repository: &str, digest: &str) -> Vec<Value> {
        let page = self.json(&format!("{}/findings", image_path(repository, digest))).await;
        page["items"].as_array().expect("a list").clone()
    }

    /// Waits for a number of findings.
    pub async fn wait_for_findings(&self, repository: &str, digest: &str, number: usize) {
        let until = Instant::now() + SOON;
        loop {
            let found = self.findings(repository, digest).await.len();
            if found == number {
                return;
            }
            assert!(Instant::now() < until, "{found} findings, expected {number}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What the history of an image says, newest first.
    pub async fn history(&self, repository: &str, digest: &str) -> Value {
        self.json(&format!("{}/history", image_path(repository, digest))).await
    }

    /// Layers that workers have read since the start.
    pub async fn layers_read(&self) -> u64 {
        let metrics = self.get("/metrics").await.text().await.expect("text");
        let line = metrics.lines().find_map(|l| l.strip_prefix("lazaret_layers_read_total "));
        line.and_then(|n| n.parse().ok()).expect("the counter")
    }

    /// A file with credentials for `registry:` targets.
    pub fn auth_file(&self) -> PathBuf {
        use base64::Engine;
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("admin:{PASSWORD}"));
        let path = self.dir.path().join("auth.json");
        let document = json!({ "auths": { self.host(): { "auth": auth } } });
        std::fs::write(&path, document.to_string()).expect("a file");
        path
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lazaret"))
        .args(["serve", "--http", "--listen", "127.0.0.1:0", "--data"])
        .arg(dir.join("data"))
        .arg("--config")
        .arg(dir.join(SETTINGS))
        .env("LAZARET_ADMIN_PASSWORD", PASSWORD)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("its standard output");
    BufReader::new(stdout).read_line(&mut line).expect("its first line");
    let url = line.trim().rsplit(' ').next().expect("an address").to_owned();
    assert!(url.starts_with("http://"), "{line}");
    (child, url)
}

fn client() -> Client {
    // The provider is chosen once for the process; later calls change nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::new()
}

/// Where the native API has an image.
pub fn image_path(repository: &str, digest: &str) -> String {
    let repository = repository.replace('/', "~");
    format!("/api/v1/registries/main/repositories/{repository}/images/{digest}")
}

/// Runs the command line.
pub fn lazaret(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lazaret")).args(arguments).output().expect("it runs")
}

/// Runs the command line with an environment and an input.
pub fn lazaret_with(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
    use std::io::Write;
    let mut child = Command::new(env!("CARGO_BIN_EXE_lazaret"))
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("a pipe");
    child.wait_with_output().expect("it ends")
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The digest under which a manifest is stored.
pub fn digest_of(bytes: &[u8]) -> String {
    sha256(bytes)
}
