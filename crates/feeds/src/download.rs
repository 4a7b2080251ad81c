//! Fetches files, unchanged ones not twice.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Client, StatusCode};
use tokio::io::AsyncWriteExt;

use crate::Source;

/// Largest file that is taken, in bytes; the largest real one has some 300 MB.
const FILE_BYTES_MAX: u64 = 2 << 30;

/// A server that cannot be connected to within this time is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that is silent for so long is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a source could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server could not be reached, or broke off.
    #[error("cannot fetch {url}")]
    Http {
        /// The address.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The server answered something else.
    #[error("{url} answers {status}")]
    Status {
        /// The address.
        url: String,
        /// The answer.
        status: StatusCode,
    },
    /// The file is larger than any real one.
    #[error("{url} is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge {
        /// The address.
        url: String,
    },
    /// The file could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What became of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downloaded {
    /// These files are new.
    Files(Vec<PathBuf>),
    /// Nothing changed since the last time.
    Unchanged,
}

/// Fetches into a directory, where it also keeps fingerprints.
pub struct Downloader {
    client: Client,
    directory: PathBuf,
}

impl Downloader {
    /// Keeps what it fetches below `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent("lazaret")
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()?;
        Ok(Self { client, directory: directory.into() })
    }

    /// Fetches every file of a source. A branch that is not published (404)
    /// is passed over where the source has others.
    pub async fn fetch(
        &self,
        source: &Source,
        mut progress: impl FnMut(u64),
    ) -> Result<Downloaded, DownloadError> {
        let directory = self.directory.join(source.id.replace('/', "-"));
        tokio::fs::create_dir_all(&directory).await.map_err(written(&directory))?;
        let mut files = Vec::new();
        let mut changed = false;
        for (url, name) in source.files {
            let path = directory.join(name);
            match self.fetch_file(url, &path, &mut progress).await {
                Ok(new) => {
                    changed |= new;
                    files.push(path);
                }
                Err(DownloadError::Status { status: StatusCode::NOT_FOUND, .. })
                    if source.files.len() > 1 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(if changed { Downloaded::Files(files) } else { Downloaded::Unchanged })
    }

    async fn fetch_file(
        &self,
        url: &str,
        path: &Path,
        progress: &mut impl FnMut(u64),
    ) -> Result<bool, DownloadError> {
        let fingerprint_path = path.with_extension("fingerprint");
        let fingerprint = match path.exists() {
            true => tokio::fs::read_to_string(&fingerprint_path).await.unwrap_or_default(),
            false => String::new(),
        };
        let mut request = self.client.get(url);
        for (name, value) in fingerprint.lines().filter_map(|line| line.split_once(' ')) {
            let header = if name == "etag" { IF_NONE_MATCH } else { IF_MODIFIED_SINCE };
            request = request.header(header, value);
        }
        let failed = |source| DownloadError::Http { url: url.to_owned(), source };
        let mut response = request.send().await.map_err(failed)?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(false);
        }
        if !response.status().is_success() {
            return Err(DownloadError::Status { url: url.to_owned(), status: response.status() });
        }
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|v: &reqwest::header::HeaderValue| v.to_str().ok())
        };
        let mut fingerprint = String::new();
        for (word, value) in [("etag", header(ETAG)), ("modified", header(LAST_MODIFIED))] {
            if let Some(value) = value {
                fingerprint.push_str(&format!("{word} {value}\n"));
            }
        }
        // Under another name until it is whole, so that half a file is never imported.
        let partial = path.with_extension("partial");
        let mut file = tokio::fs::File::create(&partial).await.map_err(written(&partial))?;
        let mut size = 0;
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            size += chunk.len() as u64;
            if size > FILE_BYTES_MAX {
                return Err(DownloadError::TooLarge { url: url.to_owned() });
            }
            file.write_all(&chunk).await.map_err(written(&partial))?;
            progress(chunk.len() as u64);
        }
        file.flush().await.map_err(written(&partial))?;
        tokio::fs::rename(&partial, path).await.map_err(written(path))?;
        tokio::fs::write(&fingerprint_path, fingerprint)
            .await
            .map_err(written(&fingerprint_path))?;
        Ok(true)
    }
}

fn written(path: &Path) -> impl FnOnce(std::io::Error) -> DownloadError {
    let path = path.to_owned();
    move |source| DownloadError::Write { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    /// Answers each connection with the next text; gives what was asked.
    async fn serve(answers: Vec<&'static str>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/f", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let n = stream.read(&mut request).await.unwrap();
                asked.push(String::from_utf8_lossy(&request[..n]).to_lowercase());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        });
        (address, task)
    }

    #[tokio::test]
    async fn an_unchanged_file_is_not_fetched_twice() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (url, server) = serve(vec![
            "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n",
        ])
        .await;
        let directory = tempfile::tempdir().unwrap();
        let downloader = Downloader::new(directory.path()).unwrap();
        let path = directory.path().join("f.json");
        assert!(downloader.fetch_file(&url, &path, &mut |_| {}).await.unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "hello");
        assert!(!downloader.fetch_file(&url, &path, &mut |_| {}).await.unwrap());
        assert!(server.await.unwrap()[1].contains("if-none-match: \"1\""));
    }

    #[tokio::test]
    async fn a_refusal_names_the_address() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (url, _server) =
            serve(vec!["HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"]).await;
        let directory = tempfile::tempdir().unwrap();
        let downloader = Downloader::new(directory.path()).unwrap();
        let error = downloader
            .fetch_file(&url, &directory.path().join("f"), &mut |_| {})
            .await
            .unwrap_err();
        assert!(error.to_string().contains(&url), "{error}");
        assert!(!directory.path().join("f").exists());
    }
}
