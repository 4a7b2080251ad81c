//! Which object store, and a client of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Parts of all uploads that are on their way at once, and so in memory.
const PARTS_SENDING_MAX: usize = 16;

/// How often a request is tried again that met a 5xx or no answer.
const RETRIES_MAX: usize = 5;

/// The longest that a request goes on being tried again.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest that a connection takes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that the store may say nothing, while a part is sent too.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// Who keeps the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Amazon S3 and what speaks like it.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Google,
}

/// Settings of the store's client that the environment does not give, such as
/// `aws_access_key_id`. Never printed.
#[derive(Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Credentials(pub BTreeMap<String, String>);

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Where the objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSettings {
    /// Who keeps them.
    pub provider: Provider,
    /// Bucket or container.
    pub container: String,
    /// What all names begin with; may be empty.
    pub prefix: String,
    /// Another address than the provider's own.
    pub endpoint: Option<String>,
    /// Plain HTTP to an endpoint on a loopback address.
    pub allow_http: bool,
    /// What the environment does not say.
    pub options: Credentials,
}

/// Why settings are of no use.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not an address that we know.
    #[error(
        "{0:?} names no object store; write s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or gs://BUCKET/PREFIX"
    )]
    Url(String),
    /// Plain HTTP where others could listen.
    #[error(
        "the endpoint {0} is plain HTTP, which is for loopback addresses with allow_http = true only; use https"
    )]
    PlainHttp(String),
    /// An option that the client does not have.
    #[error("the object store's client has no option {0:?}")]
    Option(String),
    /// The client refused them.
    #[error("the object store's client refuses the settings: {0}")]
    Client(#[source] object_store::Error),
}

impl ObjectSettings {
    /// Reads `s3://BUCKET/PREFIX` and its like.
    pub fn parse(url: &str) -> Result<Self, SettingsError> {
        let unknown = || SettingsError::Url(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(unknown)?;
        let provider = match scheme {
            "s3" => Provider::S3,
            "az" => Provider::Azure,
            "gs" => Provider::Google,
            _ => return Err(unknown()),
        };
        let (container, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if container.is_empty() || Path::parse(prefix.trim_matches('/')).is_err() {
            return Err(unknown());
        }
        Ok(Self {
            provider,
            container: container.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            endpoint: None,
            allow_http: false,
            options: Credentials::default(),
        })
    }

    /// A client; nothing is asked of the store yet. Credentials come from the
    /// options, then from the environment as the provider's own tools read it.
    pub fn client(&self) -> Result<ObjectClient, SettingsError> {
        if let Some(endpoint) = &self.endpoint
            && !endpoint.starts_with("https://")
            && !(self.allow_http && is_loopback(endpoint))
        {
            return Err(SettingsError::PlainHttp(endpoint.clone()));
        }
        let prefix =
            Path::parse(&self.prefix).map_err(|_| SettingsError::Url(self.prefix.clone()))?;
        match self.provider {
            Provider::S3 => self.s3(prefix),
            Provider::Azure => self.azure(prefix),
            Provider::Google => self.google(prefix),
        }
    }

    fn s3(&self, prefix: Path) -> Result<ObjectClient, SettingsError> {
        // Over TLS nobody can change a body, and each is hashed already.
        let unsigned = !self.endpoint.as_ref().is_some_and(|e| e.starts_with("http://"));
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&self.container)
            .with_unsigned_payload(unsigned)
            .with_client_options(self.client_options())
            .with_retry(retries());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        for (name, value) in &self.options.0 {
            let key = name.parse().map_err(|_| SettingsError::Option(name.clone()))?;
            builder = builder.with_config(key, value);
        }
        let client = Arc::new(builder.build().map_err(SettingsError::Client)?);
        Ok(ObjectClient::new(client.clone(), client.clone(), Some(client), prefix))
    }

    fn azure(&self, prefix: Path) -> Result<ObjectClient, SettingsError> {
        let mut builder = MicrosoftAzureBuilder::from_env()
            .with_container_name(&self.container)
            .with_client_options(self.client_options())
            .with_retry(retries());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        for (name, value) in &self.options.0 {
            let key = name.parse().map_err(|_| SettingsError::Option(name.clone()))?;
            builder = builder.with_config(key, value);
        }
        let client = Arc::new(builder.build().map_err(SettingsError::Client)?);
        Ok(ObjectClient::new(client.clone(), client.clone(), Some(client), prefix))
    }

    fn google(&self, prefix: Path) -> Result<ObjectClient, SettingsError> {
        let mut builder = GoogleCloudStorageBuilder::from_env()
            .with_bucket_name(&self.container)
            .with_client_options(self.client_options())
            .with_retry(retries());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        for (name, value) in &self.options.0 {
            let key = name.parse().map_err(|_| SettingsError::Option(name.clone()))?;
            builder = builder.with_config(key, value);
        }
        let client = Arc::new(builder.build().map_err(SettingsError::Client)?);
        Ok(ObjectClient::new(client.clone(), client.clone(), Some(client), prefix))
    }

    fn client_options(&self) -> ClientOptions {
        // No bound on a whole request: a blob leaves as fast as its reader reads.
        ClientOptions::new()
            .with_allow_http(self.allow_http)
            .with_timeout_disabled()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_read_timeout(SILENCE_TIMEOUT)
    }
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIMEOUT,
    }
}

/// Whether an address with a scheme leads to this machine.
fn is_loopback(endpoint: &str) -> bool {
    let Some((_, rest)) = endpoint.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A client and what all uses of it share. Cheap to clone.
#[derive(Clone)]
pub struct ObjectClient {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) multipart: Arc<dyn MultipartStore>,
    pub(super) signer: Option<Arc<dyn Signer>>,
    pub(super) prefix: Path,
    parts: Arc<Semaphore>,
    unconditional: Arc<AtomicBool>,
}

impl ObjectClient {
    /// Of the library's parts, which are usually one value.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        multipart: Arc<dyn MultipartStore>,
        signer: Option<Arc<dyn Signer>>,
        prefix: Path,
    ) -> Self {
        let parts = Arc::new(Semaphore::new(PARTS_SENDING_MAX));
        Self { store, multipart, signer, prefix, parts, unconditional: Arc::default() }
    }

    /// Waits until a part may be sent.
    pub(super) async fn part_turn(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes it.
        Arc::clone(&self.parts).acquire_owned().await.ok()
    }

    /// Whether writes can be conditional, as far as is known.
    pub(super) fn conditional(&self) -> bool {
        !self.unconditional.load(Ordering::Relaxed)
    }

    /// The store said that they cannot.
    pub(super) fn conditions_are_unknown(&self) {
        if !self.unconditional.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the object store knows no conditional writes: run one server over it only"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_provider_container_and_prefix() {
        let check = |url: &str, expected: Option<(Provider, &str, &str)>| {
            let parsed = ObjectSettings::parse(url).ok();
            let parsed = parsed.as_ref();
            let seen = parsed.map(|s| (s.provider, s.container.as_str(), s.prefix.as_str()));
            assert_eq!(seen, expected, "{url}");
        };
        check("s3://bucket", Some((Provider::S3, "bucket", "")));
        check("s3://bucket/", Some((Provider::S3, "bucket", "")));
        check("s3://bucket/a/b/", Some((Provider::S3, "bucket", "a/b")));
        check("az://container/p", Some((Provider::Azure, "container", "p")));
        check("gs://bucket/p", Some((Provider::Google, "bucket", "p")));
        check("s3:///p", None);
        check("s3://bucket/a//b", None);
        check("ftp://bucket", None);
        check("bucket", None);
    }

    #[test]
    fn plain_http_stays_on_loopback() {
        let check = |endpoint: &str, allow_http: bool, allowed: bool| {
            let mut settings = ObjectSettings::parse("s3://bucket").expect("an address");
            settings.endpoint = Some(endpoint.to_owned());
            settings.allow_http = allow_http;
            let refused = matches!(settings.client(), Err(SettingsError::PlainHttp(_)));
            assert_eq!(!refused, allowed, "{endpoint}");
        };
        check("https://s3.example.org", false, true);
        check("http://127.0.0.1:9000", true, true);
        check("http://[::1]:9000", true, true);
        check("http://localhost:9000/x", true, true);
        check("http://127.0.0.1:9000", false, false);
        check("http://s3.example.org", true, false);
        check("http://127.0.0.1.example.org:80", true, false);
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut settings = ObjectSettings::parse("s3://bucket").expect("an address");
        settings.options.0.insert("aws_secret_access_key".into(), "hunter2".into());
        let printed = format!("{settings:?}");
        assert!(
            printed.contains("aws_secret_access_key") && !printed.contains("hunter2"),
            "{printed}"
        );
    }
}
