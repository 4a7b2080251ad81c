//! A registry with inspected images: pushes go through the distribution API,
//! results are written as the scanner writes them, the view is a fake.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use advisories::{FindingId, Index, Severity};
use api::azure::AzureState;
use api::distribution::Authenticator;
use api::portal::view::{QueuedScan, ScanEvent, ScanProgress, ScanView};
use api::portal::{PortalState, Sessions};
use api::{Inspections, azure, portal};
use backends::files::FileBlobs;
use backends::sqlite::SqliteStore;
use http::{Method, StatusCode};
use matching::{Evidence, FixState, PackageFinding};
use oci::Digest;
use packages::{InventoryItem, Namespace, OsRelease, Package, PackageType, SourcePackage};
use serde_json::json;
use store::scan::{
    ImagePackage, ImagePlatform, ImageRecord, PackageMatch, ScanStore, StoredFinding,
};
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::app::{Answer, Call, PASSWORD, TestApp, auth_parts, basic, no_upstream};

/// What the scanner would say of itself.
pub struct FakeView {
    pub progress: Mutex<HashMap<Digest, ScanProgress>>,
    pub queue: Mutex<Vec<QueuedScan>>,
    pub events: broadcast::Sender<ScanEvent>,
}

impl ScanView for FakeView {
    fn index(&self) -> Arc<Index> {
        Arc::default()
    }
    fn progress(&self, digest: &Digest) -> Option<ScanProgress> {
        self.progress.lock().unwrap().get(digest).copied()
    }
    fn queue(&self) -> Vec<QueuedScan> {
        self.queue.lock().unwrap().clone()
    }
    fn subscribe(&self) -> broadcast::Receiver<ScanEvent> {
        self.events.subscribe()
    }
}

/// A finding to be written on a package.
#[derive(Clone, Copy)]
pub struct Found {
    pub id: u64,
    pub severity: Severity,
    pub fixed: Option<&'static str>,
    pub suppressed: bool,
}

pub fn found(id: u64, severity: Severity, fixed: Option<&'static str>) -> Found {
    Found { id, severity, fixed, suppressed: false }
}

pub struct InspectedApp {
    pub registry: TestApp,
    pub metadata: Arc<SqliteStore>,
    pub view: Arc<FakeView>,
    pub subscription: Uuid,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl InspectedApp {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = TestApp::start_in(folder.path()).await;
        let metadata =
            Arc::new(SqliteStore::open(&folder.path().join("metadata.db")).await.unwrap());
        let blobs = Arc::new(FileBlobs::open(&folder.path().join("content")).unwrap());
        let view = Arc::new(FakeView {
            progress: Mutex::default(),
            queue: Mutex::default(),
            events: broadcast::channel(64).0,
        });
        let auth = Arc::new(Authenticator::open(auth_parts(metadata.clone())).await.unwrap());
        let inspections = Arc::new(Inspections::new(
            metadata.clone(),
            metadata.clone(),
            blobs,
            view.clone(),
            registry::wall_clock(),
        ));
        let subscription = azure::subscription_id(metadata.as_ref()).await.unwrap();
        let cache = registry::Cache::new(registry::CacheParts {
            registry: (*registry.registry).clone(),
            upstream: no_upstream(),
            store: metadata.clone(),
            tag_ttl: std::time::Duration::ZERO,
        });
        let imports = registry::Imports::new(registry::ImportParts {
            registry: (*registry.registry).clone(),
            upstream: no_upstream(),
            cache: cache.clone(),
            store: metadata.clone(),
            principals: auth.clone(),
            runner: "test".into(),
        });
        let portal = portal::router(PortalState {
            auth: auth.clone(),
            accounts: metadata.clone(),
            sessions: Arc::new(Sessions::default()),
            inspections: inspections.clone(),
            imports: imports.clone(),
            cache,
            registry_name: "main".into(),
            plain_http: true,
        });
        let azure = azure::router(AzureState {
            auth,
            inspections,
            imports,
            subscription,
            registry_name: "main".into(),
            plain_http: true,
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = portal.merge(azure);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self { registry, metadata, view, subscription, address, _folder: folder }
    }

    pub fn anonymous(&self, method: Method, path: impl Into<String>) -> Call {
        Call::to(self.address, method, path)
    }

    pub fn request(&self, method: Method, path: impl Into<String>) -> Call {
        self.anonymous(method, path).header("authorization", basic("admin", PASSWORD))
    }

    pub async fn get(&self, path: impl Into<String>) -> Answer {
        self.request(Method::GET, path).send().await
    }

    /// The body of an answer that must be good.
    pub async fn json(&self, path: impl Into<String>) -> serde_json::Value {
        self.get(path).await.expect(StatusCode::OK).json()
    }

    /// Writes that an image was inspected: a Debian package for each entry.
    pub async fn inspect(&self, digest: Digest, packages: &[(&str, &[Found])]) {
        self.inspect_with(digest, packages, None, true).await;
    }

    pub async fn inspect_with(
        &self,
        digest: Digest,
        packages: &[(&str, &[Found])],
        inapplicable: Option<&str>,
        assessed: bool,
    ) {
        let image_packages: Vec<ImagePackage> =
            packages.iter().map(|(name, _)| image_package(name)).collect();
        let interned = self.metadata.intern_packages(&image_packages).await.unwrap();
        let matches: Vec<PackageMatch> = interned
            .iter()
            .zip(packages)
            .map(|(stored, (name, findings))| PackageMatch {
                package_id: stored.id,
                unassessed: (!assessed)
                    .then(|| "no advisory feed for Debian:12 is imported".into()),
                undetermined: vec![],
                findings: findings.iter().map(|f| stored_finding(name, f)).collect(),
            })
            .collect();
        let now = time::OffsetDateTime::now_utc().unix_timestamp() * 1000;
        let record = ImageRecord {
            digest,
            analyser_version: analysis::ANALYSER_VERSION,
            trigger: "push".into(),
            started_at: now - 50,
            finished_at: now,
            platform: ImagePlatform {
                os: "linux".into(),
                architecture: "amd64".into(),
                variant: None,
            },
            os: Some(OsRelease::parse(
                b"ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian GNU/Linux 12\"",
            )),
            problems: vec![],
            inapplicable: inapplicable.map(str::to_owned),
            failure: None,
            layers: vec![],
            packages: interned.iter().map(|p| p.id).zip(image_packages).collect(),
        };
        let cause = format!("first seen in {digest} (push)");
        self.metadata.save_image(&record, &matches, 1, &|_, _| cause.clone()).await.unwrap();
    }

    /// Where an image stands in the native API.
    pub fn path(&self, repository: &str, digest: &Digest) -> String {
        let repository = repository.replace('/', "~");
        format!("/api/v1/registries/main/repositories/{repository}/images/{digest}")
    }

    /// Pushes an index over images of the repository.
    pub async fn index(&self, repository: &str, tag: &str, children: &[(Digest, &str)]) -> Digest {
        let entry = |(digest, architecture): &(Digest, &str)| {
            json!({ "mediaType": oci::media_type::OCI_MANIFEST, "digest": digest, "size": 2,
                    "platform": { "os": "linux", "architecture": architecture } })
        };
        let manifests: Vec<_> = children.iter().map(entry).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": oci::media_type::OCI_INDEX, "manifests": manifests });
        let path = format!("/v2/{repository}/manifests/{tag}");
        let put = self.registry.request(Method::PUT, path);
        let put = put.header("content-type", oci::media_type::OCI_INDEX).body(index.to_string());
        put.send().await.expect(StatusCode::CREATED);
        Digest::sha256(index.to_string().as_bytes())
    }
}

fn image_package(name: &str) -> ImagePackage {
    let package = Package {
        kind: PackageType::Deb,
        name: name.to_owned(),
        version: "1.0-1".into(),
        arch: Some("amd64".into()),
        source: Some(SourcePackage { name: name.to_owned(), version: "1.0-1".into() }),
    };
    ImagePackage {
        namespace: Some(Namespace::new("Debian:12")),
        match_name: name.to_owned(),
        item: InventoryItem { package, layer: 0, path: "var/lib/dpkg/status".into(), owner: None },
        judged: true,
    }
}

fn stored_finding(package: &str, found: &Found) -> StoredFinding {
    let advisory = format!("DSA-{}-1", found.id);
    let suppressed = found.suppressed.then(|| "the distribution calls it unimportant".to_owned());
    let detail = PackageFinding {
        id: FindingId(found.id),
        severity: found.severity,
        severity_reason: "distribution rating".into(),
        state: if found.fixed.is_some() { FixState::Fixed } else { FixState::NoFix },
        patchable: found.fixed.is_some(),
        fixed_version: found.fixed.map(str::to_owned),
        cves: vec![format!("CVE-2024-{:04}", found.id)],
        advisories: vec![advisory.clone()],
        evidence: Evidence {
            feed: "debian/dsa".into(),
            advisory: advisory.clone(),
            advisory_date: None,
            rule: "fixed in a later version; 1.0-1 is lower".into(),
            installed: "1.0-1".into(),
            compared_with: found.fixed.map(str::to_owned),
            matched_name: package.to_owned(),
            scheme: "Debian".into(),
            consulted: vec![],
        },
        suppressed: suppressed.clone(),
    };
    StoredFinding {
        finding_id: found.id,
        severity: found.severity as u8,
        patchable: found.fixed.is_some(),
        suppressed,
        title: format!("Debian Security Update for {package} ({advisory})"),
        category: "Debian".into(),
        detail: serde_json::to_string(&detail).unwrap(),
    }
}
