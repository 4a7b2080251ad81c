//! `lazaret serve`: opens storage, wires the parts, serves until told to stop.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use access::{Kind, Role, RoleScope};
use anyhow::{Context, bail};
use api::Inspections;
use api::azure::AzureState;
use api::distribution::auth::AuthParts;
use api::distribution::{Authenticator, DistributionState};
use api::portal::PortalState;
use backends::advisory_db::AdvisoryDb;
use backends::sandbox::{SandboxLimits, SandboxPool};
use registry::webhooks::Webhooks;
use registry::{Cache, CacheParts, ImportParts, Imports, Registry};
use scanner::{Scanner, ScannerParts};
use store::{Account, AccountRecord, AccountStore, CreateAccount, RoleAssignment, Secret};
use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use upstream::HttpUpstream;

use crate::collector;
use crate::commands::ADVISORIES_DIR;
use crate::config::Config;
use crate::listener::Listener;
use crate::notify;
use crate::oidc;
use crate::router::{self, Parts};
use crate::storage::Storage;
use crate::tls::{self, Certificates};
use crate::webhook_sender::HttpSender;
use crate::wiring;

/// Name of the registry of a fresh install.
pub const REGISTRY: &str = "main";

/// Name of the account that the first start makes.
const ADMIN: &str = "admin";

/// Where its password may come from.
const ADMIN_PASSWORD: &str = "LAZARET_ADMIN_PASSWORD";

/// How often the advisory index is looked at for a new generation.
const ADVISORIES_POLL: Duration = Duration::from_millis(200);

/// The longest that the start waits for the advisory index to be in force: a
/// push before that would be judged by none. Matching a large registry again
/// goes on in the background.
const FIRST_ADVISORIES_WAIT: Duration = Duration::from_secs(5);

/// Wait before imports are looked for again after an error of the database.
const IMPORTS_RETRY_AFTER: Duration = Duration::from_secs(5);

/// How often retention is applied and deleted manifests are purged.
const POLICIES_EVERY: Duration = Duration::from_secs(24 * 3600);

/// The first time after the start, so that a server that is started anew each
/// day does it at all.
const POLICIES_FIRST: Duration = Duration::from_secs(15 * 60);

/// Serves until SIGTERM or SIGINT.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let now = OffsetDateTime::now_utc();
    let _lock = claim(&config.data)?;
    let Storage { database: storage, blobs } = Storage::open(&config).await?;
    let first_password = ensure_admin(&*storage, now).await?;

    let tls = if config.http { None } else { Some(load_tls(&config, now)?) };
    let listener =
        Listener::bind(config.listen, tls.as_ref().map(|t| Arc::clone(&t.config))).await?;
    let address = listener.address()?;
    let url =
        format!("{}://{}", if config.http { "http" } else { "https" }, host(&config, address));

    let stop = CancellationToken::new();
    let limits = SandboxLimits { workers_max: config.workers, ..SandboxLimits::default() };
    let workers = SandboxPool::of_current_exe(limits);
    let clock: Arc<dyn Fn() -> i64 + Send + Sync> = Arc::new(unix_millis);
    let scanner = Scanner::new(ScannerParts {
        scans: storage.clone(),
        registry: storage.clone(),
        blobs: blobs.clone(),
        workers: Arc::new(workers),
        clock: Arc::clone(&clock),
    });
    let (notifier, events) = notify::channel();
    let (observer, view) = wiring::wire(&scanner, notifier, Arc::clone(&clock), stop.clone());
    let registry = Registry::new(blobs.clone(), storage.clone(), observer, registry::wall_clock())
        .with_sparse_images(config.sparse_images)
        .with_collector_lock(collector::lock(&config, &*storage));
    let recovered = registry
        .recover(!storage.is_shared())
        .await
        .context("cannot clear up after the last run")?;
    tracing::info!(?recovered, "uploads of the last run");

    let subscription = api::azure::subscription_id(&*storage)
        .await
        .context("cannot read the subscription's id")?;
    let registry_scope = api::azure::registry_scope(subscription, REGISTRY);
    let auth = AuthParts {
        accounts: storage.clone(),
        settings: storage.clone(),
        federation: oidc::federation(&config.oidc, &registry_scope)?,
        registry: registry_scope,
        anonymous_pull: config.anonymous_pull,
    };
    let auth = Arc::new(Authenticator::open(auth).await.context("cannot open the accounts")?);
    let upstream = Arc::new(HttpUpstream::new(config.upstream.clone())?);
    let cache = Cache::new(CacheParts {
        registry: registry.clone(),
        upstream: upstream.clone(),
        store: storage.clone(),
        tag_ttl: config.cache_tag_ttl,
    });
    cache.reload().await.context("cannot read the cache rules")?;
    let imports = Imports::new(ImportParts {
        registry: registry.clone(),
        upstream,
        cache: cache.clone(),
        store: storage.clone(),
        principals: auth.clone(),
        runner: runner(&config.data),
    });
    let verdicts = wiring::Verdicts {
        scanner: scanner.clone(),
        wait: config.verdict_wait,
        announce: config.warning_on_push,
        portal: url.clone(),
    };
    let distribution = DistributionState {
        registry: Arc::new(registry.clone()),
        cache: cache.clone(),
        auth: Arc::clone(&auth),
        verdict: Some(Arc::new(verdicts)),
        plain_http: config.http,
        absolute_locations: config.absolute_locations,
        redirect_blobs: config.redirect_blobs,
    };
    let inspections = Arc::new(Inspections::new(
        storage.clone(),
        storage.clone(),
        blobs,
        view,
        registry::wall_clock(),
    ));
    let registry_name: Arc<str> = REGISTRY.into();
    let webhooks = Webhooks::new(
        storage.clone(),
        Arc::new(HttpSender::new()?),
        registry::wall_clock(),
        api::azure::registry_id(subscription, REGISTRY).into(),
    );
    let portal = PortalState {
        auth: Arc::clone(&auth),
        accounts: storage.clone(),
        sessions: Arc::default(),
        inspections: Arc::clone(&inspections),
        imports: imports.clone(),
        cache: cache.clone(),
        registry_name: Arc::clone(&registry_name),
        plain_http: config.http,
    };
    let azure = AzureState {
        auth,
        inspections,
        imports: imports.clone(),
        subscription,
        registry_name,
        plain_http: config.http,
    };
    let parts =
        Parts { distribution, portal, azure, storage: storage.clone(), scanner: scanner.clone() };
    let router = router::build(parts)?;

    let tasks = Tasks { stop: stop.clone() };
    let db = AdvisoryDb::open(config.data.join(ADVISORIES_DIR));
    let (in_force, first) = oneshot::channel();
    tasks.run(follow_advisories(db, scanner.clone(), in_force));
    tasks.run(async move { scanner.catch_up_forever().await });
    let flushed = registry.clone();
    let pulls = registry.clone();
    tasks.run(async move { pulls.flush_pulls_forever().await });
    tasks.run(apply_policies(registry.clone()));
    tasks.run(collector::collect_forever(
        registry,
        config.collection_interval,
        config.collection_grace,
    ));
    tokio::spawn(notify::deliver(webhooks.clone(), stop.clone()));
    let drained = CancellationToken::new();
    let recording = tokio::spawn(notify::record(webhooks, events, drained.clone()));
    tasks.run(run_imports(imports));
    tasks.run(follow_rules(cache));

    // An error either way is logged where it happened; serving goes on without.
    let _ = tokio::time::timeout(FIRST_ADVISORIES_WAIT, first).await;
    announce(&url, tls.and_then(|t| t.ca_file).as_deref(), first_password.as_deref());
    tokio::spawn(stop_on_signal(stop.clone()));
    listener.serve(router, stop).await;
    if let Err(error) = flushed.flush_pulls().await {
        tracing::warn!(%error, "the last pull times cannot be written");
    }
    // What the last requests told is written down before the database closes.
    drained.cancel();
    let _ = recording.await;
    storage.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Makes the data directory and sees to it that no other server uses it.
pub fn claim(data: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(data)
        .with_context(|| format!("cannot make the data directory {}", data.display()))?;
    fs::set_permissions(data, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot protect the data directory {}", data.display()))?;
    let path = data.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another server is using {}; stop it or name another --data", data.display())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Makes the admin account on the first start; gives its password if it was
/// made up here.
async fn ensure_admin(
    accounts: &dyn AccountStore,
    now: OffsetDateTime,
) -> anyhow::Result<Option<String>> {
    if !accounts.accounts(None, None, 1).await.context("cannot read the accounts")?.is_empty() {
        return Ok(None);
    }
    let given = std::env::var(ADMIN_PASSWORD).ok().filter(|p| !p.is_empty());
    let password = match &given {
        Some(password) => password.clone(),
        // 122 random bits in a form that can be typed.
        None => uuid::Uuid::new_v4().simple().to_string(),
    };
    let hash = {
        let password = password.clone();
        tokio::task::spawn_blocking(move || {
            api::distribution::auth::passwords::hash_password(&password)
        })
        .await?
    };
    let secret = Secret {
        name: "password".to_owned(),
        hash: hash.context("cannot hash the admin password")?,
        created_at: now,
        expires_at: None,
    };
    let account = Account {
        name: ADMIN.to_owned(),
        kind: Kind::Account,
        display_name: ADMIN.to_owned(),
        enabled: true,
        scope_map: None,
        generation: now.unix_timestamp(),
        created_at: now,
        last_used_at: None,
    };
    let owner = RoleAssignment {
        role: Role::Owner.id().to_owned(),
        scope: RoleScope::root().as_str().to_owned(),
        created_at: now,
    };
    let record =
        AccountRecord { account, secrets: vec![secret], roles: vec![owner], actions: vec![] };
    let made = accounts.create_account(&record).await.context("cannot make the admin account")?;
    // Of several servers that start at once, one has made it.
    Ok((made == CreateAccount::Created && given.is_none()).then_some(password))
}

fn load_tls(config: &Config, now: OffsetDateTime) -> anyhow::Result<tls::Tls> {
    let directory: PathBuf = config.data.join("tls");
    let mut names = tls::default_names(config.listen.ip());
    names.extend(config.names.iter().cloned());
    let certificates = match &config.tls {
        Some((certificate, key)) => Certificates::Given { certificate, key },
        None => Certificates::Own { directory: &directory },
    };
    tls::load(&certificates, &names, now)
}

/// The name that links carry: the operator's first, else where we listen.
fn host(config: &Config, address: std::net::SocketAddr) -> String {
    match config.names.first() {
        Some(name) => format!("{name}:{}", address.port()),
        None if address.ip().is_unspecified() => format!("localhost:{}", address.port()),
        None => address.to_string(),
    }
}

/// What the person who starts the server needs to know, on standard output.
fn announce(url: &str, ca_file: Option<&Path>, first_password: Option<&str>) {
    println!("Lazaret is ready at {url}");
    if let Some(file) = ca_file {
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        println!("Certificate authority that clients must trust: {}", file.display());
    }
    if let Some(password) = first_password {
        println!("Admin account: {ADMIN}, password: {password} (shown only now)");
    }
}

/// Puts each new generation of the advisory index in force.
async fn follow_advisories(db: AdvisoryDb, scanner: Scanner, first: oneshot::Sender<()>) {
    let mut first = Some(first);
    let mut loaded: Option<Option<u64>> = None;
    let mut failing = false;
    loop {
        match next_generation(&db, loaded).await {
            Ok(Some((generation, index))) => match scanner.put_in_force(Arc::new(index)).await {
                Ok(done) => {
                    tracing::info!(
                        generation,
                        packages = done.packages,
                        images = done.images,
                        "advisories are in force"
                    );
                    loaded = Some(generation);
                    failing = false;
                    if let Some(first) = first.take() {
                        let _ = first.send(());
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "new advisories cannot be put in force; trying again");
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
            },
            Ok(None) => {}
            Err(error) if !failing => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the advisory index cannot be read; the last one stays in force"
                );
                failing = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(ADVISORIES_POLL).await;
    }
}

async fn next_generation(
    db: &AdvisoryDb,
    loaded: Option<Option<u64>>,
) -> anyhow::Result<Option<(Option<u64>, advisories::Index)>> {
    let db = db.clone();
    tokio::task::spawn_blocking(move || {
        let generation = db.generation()?;
        if loaded == Some(generation) {
            return Ok(None);
        }
        Ok(Some((generation, db.load()?)))
    })
    .await?
}

/// Names this process among those that may share a database, the same after a
/// restart, so that it takes its own imports up again at once.
fn runner(data: &Path) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let data = fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
    format!("{}:{}", host.trim(), data.display())
}

async fn follow_rules(cache: Cache) {
    loop {
        let error = cache.reload_forever().await;
        tracing::error!(%error, "cache rules cannot be read; the last ones stay in force");
    }
}

async fn run_imports(imports: Imports) {
    loop {
        let error = imports.run_forever().await;
        tracing::error!(%error, "imports cannot be run; trying again");
        tokio::time::sleep(IMPORTS_RETRY_AFTER).await;
    }
}

/// Retention once a day, and what was put away for long enough goes.
async fn apply_policies(registry: Registry) {
    let mut wait = POLICIES_FIRST;
    loop {
        tokio::time::sleep(wait).await;
        wait = POLICIES_EVERY;
        match registry.apply_retention("retention", false).await {
            Ok(report) => tracing::info!(
                repositories = report.repositories,
                deleted = report.deleted,
                tags = report.tags,
                kept = report.kept.len(),
                "retention was applied"
            ),
            Err(error) => {
                tracing::warn!(%error, "retention cannot be applied; tried again tomorrow")
            }
        }
        match registry.purge_deleted().await {
            Ok(0) => {}
            Ok(purged) => tracing::info!(purged, "deleted manifests are gone for good"),
            Err(error) => tracing::warn!(%error, "deleted manifests cannot be purged"),
        }
    }
}

/// Background work that ends with the server.
struct Tasks {
    stop: CancellationToken,
}

impl Tasks {
    fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }
}

async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("stopping; requests in flight may end");
    stop.cancel();
}

/// Unix time in milliseconds.
fn unix_millis() -> i64 {
    let now = OffsetDateTime::now_utc();
    now.unix_timestamp() * 1000 + i64::from(now.millisecond())
}
