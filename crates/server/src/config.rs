//! The configuration file. Every setting has a default, and
//! `lazaret serve --print-config` writes them all with their meaning.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use backends::objects::{Credentials, ObjectSettings};
use serde::Deserialize;
use upstream::{Guard, UpstreamSettings};

use crate::cli::ServeArgs;
use crate::database_url::DatabaseUrl;
use crate::oidc::IssuerConfig;

/// The default file, kept true by a test.
pub const DEFAULT_FILE: &str = include_str!("../lazaret.toml");

/// Where the database's address may come from, before the file.
const DATABASE_URL: &str = "LAZARET_DATABASE_URL";

/// Settings as the file has them.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    data: PathBuf,
    listen: Option<SocketAddr>,
    http: bool,
    names: Vec<String>,
    tls: TlsFile,
    content: ContentFile,
    database: DatabaseFile,
    registry: RegistryFile,
    inspection: InspectionFile,
    access: AccessFile,
    collection: CollectionFile,
    oidc: Vec<IssuerConfig>,
    upstream: UpstreamFile,
    log_format: LogFormat,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TlsFile {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ContentFile {
    url: String,
    endpoint: Option<String>,
    allow_http: bool,
    redirect: bool,
    options: Credentials,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DatabaseFile {
    url: Option<DatabaseUrl>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RegistryFile {
    absolute_locations: bool,
    sparse_images: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct InspectionFile {
    warning_on_push: bool,
    verdict_wait_ms: u64,
    workers: usize,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AccessFile {
    anonymous_pull: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CollectionFile {
    interval_secs: u64,
    grace_secs: u64,
}

impl Default for CollectionFile {
    fn default() -> Self {
        Self { interval_secs: 3600, grace_secs: registry::collect::GRACE.as_secs() }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct UpstreamFile {
    only: Vec<String>,
    local: Vec<String>,
    plain_http: Vec<String>,
    ca_file: Option<PathBuf>,
    cache_tag_ttl_secs: u64,
}

impl Default for UpstreamFile {
    fn default() -> Self {
        Self {
            only: Vec::new(),
            local: Vec::new(),
            plain_http: Vec::new(),
            ca_file: None,
            cache_tag_ttl_secs: 600,
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for File {
    fn default() -> Self {
        Self {
            data: "lazaret-data".into(),
            listen: None,
            http: false,
            names: Vec::new(),
            tls: TlsFile::default(),
            content: ContentFile::default(),
            database: DatabaseFile::default(),
            registry: RegistryFile::default(),
            inspection: InspectionFile::default(),
            access: AccessFile::default(),
            collection: CollectionFile::default(),
            oidc: Vec::new(),
            upstream: UpstreamFile::default(),
            log_format: LogFormat::Text,
        }
    }
}

impl Default for ContentFile {
    fn default() -> Self {
        Self {
            url: "file:content".into(),
            endpoint: None,
            allow_http: false,
            redirect: false,
            options: Credentials::default(),
        }
    }
}

impl Default for InspectionFile {
    fn default() -> Self {
        Self { warning_on_push: true, verdict_wait_ms: 10_000, workers: 4 }
    }
}

/// Where blobs are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A folder of this machine.
    Files(PathBuf),
    /// An object store.
    Objects(ObjectSettings),
}

/// What the server runs with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data directory.
    pub data: PathBuf,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Plain HTTP; then `listen` is a loopback address.
    pub http: bool,
    /// Further names for a certificate of our own making.
    pub names: Vec<String>,
    /// Certificate chain and key, where they are given.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Where blobs are kept.
    pub content: Content,
    /// Whether clients are sent to the object store for whole blobs.
    pub redirect_blobs: bool,
    /// The PostgreSQL database; `None` for SQLite in the data directory.
    pub database: Option<DatabaseUrl>,
    /// Whether `Location` names scheme and host.
    pub absolute_locations: bool,
    /// Whether images with missing layers are accepted.
    pub sparse_images: bool,
    /// Whether the answer to a manifest PUT carries the verdict.
    pub warning_on_push: bool,
    /// The longest that a push waits for its verdict.
    pub verdict_wait: Duration,
    /// Layers analysed at once.
    pub workers: usize,
    /// Whether everybody may pull, until a stored setting says otherwise.
    pub anonymous_pull: bool,
    /// How often garbage is collected; zero: never.
    pub collection_interval: Duration,
    /// How long a blob that no manifest needs stays.
    pub collection_grace: Duration,
    /// Issuers whose tokens are trusted.
    pub oidc: Vec<IssuerConfig>,
    /// Which other registries may be asked, and how.
    pub upstream: UpstreamSettings,
    /// How long a cached tag stands for what it stood for.
    pub cache_tag_ttl: Duration,
    /// Form of log lines.
    pub log_format: LogFormat,
}

impl Config {
    /// Merges the file, where one is named, with the command line.
    pub fn load(args: &ServeArgs) -> anyhow::Result<Self> {
        let file = match &args.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        let http = args.http || file.http;
        let listen = args
            .listen
            .or(file.listen)
            .unwrap_or_else(|| ([127, 0, 0, 1], if http { 8080 } else { 8443 }).into());
        if http && !listen.ip().is_loopback() {
            bail!(
                "plain HTTP is served on loopback only, and {listen} is not a loopback address; leave out --http or listen on 127.0.0.1"
            );
        }
        let tls = match (file.tls.certificate, file.tls.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => bail!("[tls] needs both certificate and key, or neither"),
        };
        let database = match std::env::var(DATABASE_URL).ok().filter(|url| !url.is_empty()) {
            Some(url) => Some(url.parse().with_context(|| format!("{DATABASE_URL} is no use"))?),
            None => file.database.url,
        };
        if file.inspection.workers == 0 {
            bail!("inspection.workers must be at least 1");
        }
        let data = args.data.clone().unwrap_or(file.data);
        let redirect_blobs = file.content.redirect;
        let content = content(&data, file.content)?;
        Ok(Self {
            data,
            content,
            redirect_blobs,
            listen,
            http,
            names: file.names,
            tls,
            database,
            absolute_locations: file.registry.absolute_locations,
            sparse_images: file.registry.sparse_images,
            warning_on_push: file.inspection.warning_on_push,
            verdict_wait: Duration::from_millis(file.inspection.verdict_wait_ms),
            workers: file.inspection.workers,
            anonymous_pull: file.access.anonymous_pull,
            collection_interval: Duration::from_secs(file.collection.interval_secs),
            collection_grace: Duration::from_secs(file.collection.grace_secs),
            oidc: file.oidc,
            cache_tag_ttl: Duration::from_secs(file.upstream.cache_tag_ttl_secs),
            upstream: UpstreamSettings {
                guard: Guard { only: file.upstream.only, local: file.upstream.local },
                plain_http: file.upstream.plain_http,
                ca_file: file.upstream.ca_file,
            },
            log_format: file.log_format,
        })
    }
}

fn content(data: &Path, file: ContentFile) -> anyhow::Result<Content> {
    if let Some(folder) = file.url.strip_prefix("file:") {
        if file.redirect || file.endpoint.is_some() {
            bail!(
                "content.redirect and content.endpoint are for object stores, and content.url names a folder"
            );
        }
        // An absolute path replaces the data directory.
        return Ok(Content::Files(data.join(folder.trim_start_matches("//"))));
    }
    let settings = ObjectSettings::parse(&file.url).context("content.url is of no use")?;
    Ok(Content::Objects(ObjectSettings {
        endpoint: file.endpoint,
        allow_http: file.allow_http,
        options: file.options,
        ..settings
    }))
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))?;
    toml::from_str(&text)
        .with_context(|| format!("{} is not a valid configuration", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> ServeArgs {
        ServeArgs { data: None, listen: None, http: false, config: None, print_config: false }
    }

    #[test]
    fn the_printed_file_says_the_defaults() {
        // Every setting is there, commented out; uncommented, it changes nothing.
        let uncommented: String = DEFAULT_FILE
            .lines()
            .map(|line| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(line))
            .filter(|line| {
                !["certificate", "key", "endpoint", "aws_", "ca_file", "url = \"postgres"]
                    .iter()
                    .any(|n| line.starts_with(n))
            })
            .fold(String::new(), |all, line| all + line + "\n");
        let parsed: File = toml::from_str(&uncommented).expect("the default file parses");
        let defaults = File::default();
        assert_eq!(parsed.data, defaults.data);
        assert_eq!(parsed.listen, Some(([127, 0, 0, 1], 8443).into()));
        assert_eq!(parsed.http, defaults.http);
        assert_eq!(parsed.registry.absolute_locations, defaults.registry.absolute_locations);
        assert_eq!(parsed.registry.sparse_images, defaults.registry.sparse_images);
        assert_eq!(parsed.access.anonymous_pull, defaults.access.anonymous_pull);
        assert_eq!(parsed.content.url, defaults.content.url);
        assert_eq!(parsed.content.allow_http, defaults.content.allow_http);
        assert_eq!(parsed.content.redirect, defaults.content.redirect);
        assert_eq!(parsed.inspection.warning_on_push, defaults.inspection.warning_on_push);
        assert_eq!(parsed.inspection.verdict_wait_ms, defaults.inspection.verdict_wait_ms);
        assert_eq!(parsed.inspection.workers, defaults.inspection.workers);
        assert_eq!(parsed.collection.interval_secs, defaults.collection.interval_secs);
        assert_eq!(parsed.collection.grace_secs, defaults.collection.grace_secs);
    }

    #[test]
    fn blobs_lie_where_the_url_says() {
        let check = |text: &str, expected: Result<Content, &str>| {
            let file: File = toml::from_str(text).expect("it parses");
            let said = content(Path::new("/data"), file.content);
            match (said, expected) {
                (Ok(said), Ok(expected)) => assert_eq!(said, expected, "{text}"),
                (Err(said), Err(words)) => {
                    assert!(format!("{said:#}").contains(words), "{text}: {said:#}")
                }
                (said, _) => panic!("{text}: {said:?}"),
            }
        };
        check("", Ok(Content::Files("/data/content".into())));
        check("[content]\nurl = \"file:/blobs\"", Ok(Content::Files("/blobs".into())));
        check("[content]\nurl = \"file:///blobs\"", Ok(Content::Files("/blobs".into())));
        let s3 = ObjectSettings::parse("s3://bucket/prefix").expect("an address");
        check("[content]\nurl = \"s3://bucket/prefix\"", Ok(Content::Objects(s3)));
        check("[content]\nurl = \"bucket\"", Err("names no object store"));
        check("[content]\nredirect = true", Err("content.redirect"));
    }

    #[test]
    fn plain_http_stays_on_loopback() {
        let open = ServeArgs { listen: Some(([0, 0, 0, 0], 80).into()), http: true, ..args() };
        assert!(Config::load(&open).expect_err("not loopback").to_string().contains("loopback"));
        assert!(Config::load(&ServeArgs { http: true, ..args() }).is_ok());
    }
}
