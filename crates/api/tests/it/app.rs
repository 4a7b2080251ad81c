//! A server in a temporary directory, and a client that sees every header.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use access::{Kind, Role, RoleScope};
use api::distribution::auth::AuthParts;
use api::distribution::auth::federation::Federation;
use api::distribution::{Authenticator, DistributionState, PushVerdict, router};
use argon2::password_hash::PasswordHasher;
use axum::body::Body;
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use backends::files::FileBlobs;
use backends::sqlite::SqliteStore;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use oci::Digest;
use registry::{PushedManifest, Registry, RegistryObserver, UploadOpener};
use serde_json::Value;
use store::{Account, AccountRecord, AccountStore, RoleAssignment, Secret, UploadId};
use time::OffsetDateTime;

pub const PASSWORD: &str = "correct horse";

/// Writes down what the registry tells.
#[derive(Default)]
pub struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
    fn push(&self, event: String) {
        self.0.lock().unwrap().push(event);
    }
}

impl RegistryObserver for Recorder {
    fn upload_started(&self, upload: UploadOpener) {
        assert!(upload.open().unwrap().is_some());
        self.push("started".into());
    }
    fn upload_grew(&self, _: UploadId, size: u64) {
        self.push(format!("grew {size}"));
    }
    fn blob_committed(&self, _: UploadId, _: &Digest, size: u64) {
        self.push(format!("committed {size}"));
    }
    fn upload_dropped(&self, _: UploadId) {
        self.push("dropped".into());
    }
    fn manifest_pushed(&self, manifest: &PushedManifest) {
        self.push(format!("pushed {} by {}", manifest.repository, manifest.by));
    }
    fn pulled(&self, pulled: &registry::Pulled) {
        self.push(format!("pulled {}", pulled.repository));
    }
}

struct Verdict;

#[async_trait::async_trait]
impl PushVerdict for Verdict {
    async fn verdict(&self, manifest: &PushedManifest) -> Option<String> {
        (manifest.repository.as_str() == "judged").then(|| "2 critical: \"log4j\"\r\n".to_owned())
    }
}

/// Other registries, of which none is asked.
pub fn no_upstream() -> Arc<dyn registry::upstream::Upstream> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Arc::new(upstream::HttpUpstream::new(Default::default()).unwrap())
}

pub struct TestApp {
    pub address: SocketAddr,
    pub registry: Arc<Registry>,
    pub events: Arc<Recorder>,
    pub metadata: Arc<SqliteStore>,
    pub auth: Arc<Authenticator>,
    _folder: Option<tempfile::TempDir>,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::trusting(Federation::default()).await
    }

    /// With issuers that are trusted.
    pub async fn trusting(federation: Federation) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let app = Self::start_with(folder.path(), federation).await;
        Self { _folder: Some(folder), ..app }
    }

    /// On what an earlier server left behind.
    pub async fn start_in(folder: &Path) -> Self {
        Self::start_with(folder, Federation::default()).await
    }

    async fn start_with(folder: &Path, federation: Federation) -> Self {
        let metadata = Arc::new(SqliteStore::open(&folder.join("metadata.db")).await.unwrap());
        let blobs = Arc::new(FileBlobs::open(&folder.join("content")).unwrap());
        let events = Arc::new(Recorder::default());
        let registry =
            Registry::new(blobs, metadata.clone(), events.clone(), registry::wall_clock());
        registry.recover(true).await.unwrap();
        let registry = Arc::new(registry);
        for (name, role) in [("admin", Some(Role::Owner)), ("guest", None)] {
            let account = account(name, Kind::Account, role.map(|role| (role, "/")));
            metadata.create_account(&account).await.unwrap();
        }
        let auth = Arc::new(
            Authenticator::open(AuthParts { federation, ..auth_parts(metadata.clone()) })
                .await
                .unwrap(),
        );
        let cache = registry::Cache::new(registry::CacheParts {
            registry: (*registry).clone(),
            upstream: no_upstream(),
            store: metadata.clone(),
            tag_ttl: std::time::Duration::ZERO,
        });
        let state = DistributionState {
            cache,
            registry: registry.clone(),
            auth: auth.clone(),
            verdict: Some(Arc::new(Verdict)),
            plain_http: true,
            absolute_locations: false,
            redirect_blobs: false,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service: IntoMakeServiceWithConnectInfo<_, SocketAddr> = router(state.clone())
            .merge(api::acr::router(state))
            .into_make_service_with_connect_info();
        tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self { address, registry, events, metadata, auth, _folder: None }
    }

    /// A request as the administrator.
    pub fn request(&self, method: Method, path: impl Into<String>) -> Call {
        self.anonymous(method, path).header("authorization", basic("admin", PASSWORD))
    }

    /// A request without credentials.
    pub fn anonymous(&self, method: Method, path: impl Into<String>) -> Call {
        Call::to(self.address, method, path)
    }

    pub async fn get(&self, path: impl Into<String>) -> Answer {
        self.request(Method::GET, path).send().await
    }
    pub async fn head(&self, path: impl Into<String>) -> Answer {
        self.request(Method::HEAD, path).send().await
    }
    pub async fn post(&self, path: impl Into<String>) -> Answer {
        self.request(Method::POST, path).send().await
    }
    pub async fn delete(&self, path: impl Into<String>) -> Answer {
        self.request(Method::DELETE, path).send().await
    }

    /// Pushes a blob in one request.
    pub async fn blob(&self, repository: &str, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.request(Method::POST, path).body(bytes).send().await.expect(StatusCode::CREATED);
        digest
    }

    pub async fn put_manifest(&self, repository: &str, reference: &str, json: &Value) -> Answer {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let request =
            self.request(Method::PUT, path).header("content-type", oci::media_type::OCI_MANIFEST);
        request.body(json.to_string()).send().await
    }

    /// Pushes an image with one layer and gives its digest.
    pub async fn image(&self, repository: &str, tag: &str, layer: &'static str) -> Digest {
        let json = image(self.blob(repository, "{}").await, self.blob(repository, layer).await);
        self.put_manifest(repository, tag, &json).await.expect(StatusCode::CREATED);
        Digest::sha256(json.to_string().as_bytes())
    }
}

pub fn image(config: Digest, layer: Digest) -> Value {
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": oci::media_type::OCI_MANIFEST,
        "config": { "mediaType": oci::media_type::OCI_CONFIG, "digest": config, "size": 2 },
        "layers": [{ "mediaType": oci::media_type::OCI_LAYER, "digest": layer, "size": 5 }],
    })
}

/// The registry that tests stand before.
pub fn registry_scope() -> RoleScope {
    RoleScope::registry("s", "default", "main")
}

/// What an authenticator takes, with every setting at its default.
pub fn auth_parts(metadata: Arc<SqliteStore>) -> AuthParts {
    AuthParts {
        accounts: metadata.clone(),
        settings: metadata,
        registry: registry_scope(),
        anonymous_pull: false,
        federation: Federation::default(),
    }
}

/// An account with [`PASSWORD`] and perhaps a role.
pub fn account(name: &str, kind: Kind, role: Option<(Role, &str)>) -> AccountRecord {
    let created_at = OffsetDateTime::UNIX_EPOCH;
    AccountRecord {
        account: Account {
            name: name.into(),
            kind,
            display_name: name.into(),
            enabled: true,
            scope_map: None,
            generation: 1,
            created_at,
            last_used_at: None,
        },
        secrets: vec![Secret {
            name: "password".into(),
            hash: cheap_hash(),
            created_at,
            expires_at: None,
        }],
        roles: role
            .into_iter()
            .map(|(role, scope)| RoleAssignment {
                role: role.id().into(),
                scope: scope.into(),
                created_at,
            })
            .collect(),
        actions: vec![],
    }
}

/// Of [`PASSWORD`], with parameters that cost no time: a hash carries its own.
pub fn cheap_hash() -> String {
    let params = argon2::Params::new(8, 1, 1, None).unwrap();
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    argon2.hash_password(PASSWORD.as_bytes()).unwrap().to_string()
}

pub fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

pub struct Call {
    address: SocketAddr,
    request: http::request::Builder,
    body: Body,
}

impl Call {
    /// A request without credentials to any server.
    pub fn to(address: SocketAddr, method: Method, path: impl Into<String>) -> Self {
        let request = Request::builder().method(method).uri(path.into());
        Self { address, request, body: Body::empty() }
    }
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        // The last one counts, so that a test can replace the credentials.
        self.request.headers_mut().unwrap().remove(name);
        self.request = self.request.header(name, value.to_string());
        self
    }
    pub fn body(self, body: impl Into<Body>) -> Self {
        Self { body: body.into(), ..self }
    }
    pub async fn send(mut self) -> Answer {
        if !self.request.headers_ref().unwrap().contains_key("host") {
            self.request = self.request.header("host", self.address.to_string());
        }
        let stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let answer = sender.send_request(self.request.body(self.body).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.json()["errors"][0]["code"], code, "{self:?}");
        self
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|v| v.to_str().unwrap()).unwrap_or_default()
    }
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }
}
