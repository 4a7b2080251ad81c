//! Many clients of two servers push, mount, delete, untag and cancel while
//! collectors run all the time and nothing has a grace time.
//!
//! Blobs are few and shared by all, so that everybody gets in everybody's way.
//! Each manifest belongs to one client, which alone deletes it and notes what
//! the registry said yes to: the model. In the end every manifest of the model
//! is pulled whole, and nothing else is there: no link, row or file.
//!
//! `LAZARET_SOAK_EVENTS=100000` makes it long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use access::{Delete, Pull, Push};
use oci::{Algorithm, Digest, Reference, RepositoryName, Tag};
use registry::{CollectError, DeleteError, MountSource, PullError, PushManifestError};
use store::collect::CollectFigures;
use time::Duration;

use crate::world::{INDEX, MANIFEST, World, admin, body, image, index, name, permit};

const EVENTS: u64 = 4000;
const CLIENTS: u64 = 12;
const REPOSITORIES: u64 = 5;
/// Contents that everybody pushes.
const CONTENTS: u64 = 100;
/// Manifests that a client keeps at most, so that blobs fall out of use.
const KEPT_MAX: usize = 6;
/// A manifest push is tried again with what the registry says is missing.
const PUSH_ATTEMPTS: usize = 8;

/// xorshift: the same choices in every run, whatever becomes of their order.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[derive(Default)]
struct Counts {
    events: AtomicU64,
    pushes: AtomicU64,
    starved: AtomicU64,
    mounts: AtomicU64,
    deletes: AtomicU64,
    untags: AtomicU64,
    cancels: AtomicU64,
    pulls: AtomicU64,
    runs: AtomicU64,
    busy: AtomicU64,
    freed: AtomicU64,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A manifest that the registry has said yes to.
#[derive(Debug, Clone)]
struct Kept {
    bytes: Vec<u8>,
    blobs: Vec<(Digest, usize)>,
    tag: Option<String>,
}

type Model = BTreeMap<(RepositoryName, Digest), Kept>;

fn content(number: u64) -> Vec<u8> {
    // From a few bytes to more than one batch of an upload would be slow; a few KiB do.
    let size = 10 + (number * number * 7) as usize % 5000;
    (0..size).map(|i| (number as usize * 31 + i) as u8).collect()
}

struct Client {
    world: Arc<World>,
    counts: Arc<Counts>,
    random: Random,
    id: u64,
    number: u64,
    model: Model,
}

impl Client {
    fn repository(&mut self) -> RepositoryName {
        name(&format!("soak/r{}", self.random.below(REPOSITORIES)))
    }

    async fn run(mut self, events: u64) -> Model {
        while self.counts.events.fetch_add(1, Ordering::Relaxed) < events {
            match self.random.below(20) {
                _ if self.model.len() > KEPT_MAX => self.delete().await,
                0..=6 => self.push().await,
                7..=9 => self.delete().await,
                10 => self.untag().await,
                11..=12 => self.delete_blob().await,
                13..=14 => self.mount().await,
                15 => self.orphan().await,
                16 => self.cancel().await,
                17 => self.push_index().await,
                18 => self.pull().await,
                _ => collect(&self.world, &self.counts).await,
            }
        }
        self.model
    }

    /// Gets a blob into the repository as a client would: asks, mounts or uploads.
    async fn provide(&mut self, repository: &RepositoryName, number: u64) -> (Digest, usize) {
        let content = content(number);
        let digest = Digest::sha256(&content);
        if self.random.one_in(2)
            && self.world.registry.blob_size(&permit::<Pull>(repository), &digest).await.is_ok()
        {
            return (digest, content.len());
        }
        let push = permit::<Push>(repository);
        if self.random.one_in(2) {
            let principal = admin();
            let source = MountSource::Any(&principal);
            if self.world.registry.mount_blob(&push, &digest, source).await.unwrap().is_some() {
                add(&self.counts.mounts);
                return (digest, content.len());
            }
        }
        self.world.registry.push_blob(&push, body(&content), digest).await.unwrap();
        (digest, content.len())
    }

    async fn push(&mut self) {
        let repository = self.repository();
        let numbers: Vec<u64> =
            (0..2 + self.random.below(3)).map(|_| self.random.below(CONTENTS)).collect();
        let mut blobs = Vec::new();
        for number in &numbers {
            blobs.push(self.provide(&repository, *number).await);
        }
        self.number += 1;
        let bytes = image(&blobs, &format!("client {} number {}", self.id, self.number));
        let tag = self.random.one_in(2).then(|| format!("c{}-{}", self.id, self.random.below(4)));
        for _ in 0..PUSH_ATTEMPTS {
            match self.world.push_manifest(&repository, &bytes, MANIFEST, tag.as_deref()).await {
                Ok(digest) => {
                    add(&self.counts.pushes);
                    return self.keep(repository, digest, Kept { bytes, blobs, tag });
                }
                // Collected before the manifest came: there is no grace time.
                Err(PushManifestError::UnknownBlobs(missing)) => {
                    for number in &numbers {
                        if missing.contains(&Digest::sha256(&content(*number))) {
                            let content = content(*number);
                            let digest = Digest::sha256(&content);
                            let push = permit::<Push>(&repository);
                            self.world
                                .registry
                                .push_blob(&push, body(&content), digest)
                                .await
                                .unwrap();
                        }
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
        add(&self.counts.starved);
    }

    async fn push_index(&mut self) {
        let repository = self.repository();
        let children: Vec<(Digest, usize)> = self
            .model
            .iter()
            .filter(|((r, _), _)| *r == repository)
            .take(2)
            .map(|((_, digest), kept)| (*digest, kept.bytes.len()))
            .collect();
        self.number += 1;
        let bytes = index(&children, &format!("client {} number {}", self.id, self.number));
        let digest = self.world.push_manifest(&repository, &bytes, INDEX, None).await.unwrap();
        self.keep(repository, digest, Kept { bytes, blobs: vec![], tag: None });
    }

    fn keep(&mut self, repository: RepositoryName, digest: Digest, kept: Kept) {
        // The tag has moved away from whatever had it.
        for ((r, _), other) in &mut self.model {
            if *r == repository && kept.tag.is_some() && other.tag == kept.tag {
                other.tag = None;
            }
        }
        self.model.insert((repository, digest), kept);
    }

    fn any(&mut self) -> Option<(RepositoryName, Digest)> {
        let nth = self.random.below(self.model.len().max(1) as u64) as usize;
        self.model.keys().nth(nth).cloned()
    }

    async fn delete(&mut self) {
        let Some((repository, digest)) = self.any() else { return };
        let reference = Reference::Digest(digest);
        let permit = permit::<Delete>(&repository);
        self.world.registry.delete_manifest(&permit, &reference).await.unwrap();
        self.model.remove(&(repository, digest));
        add(&self.counts.deletes);
    }

    async fn untag(&mut self) {
        let tagged = self.model.iter_mut().find(|(_, kept)| kept.tag.is_some());
        let Some(((repository, _), kept)) = tagged else { return };
        let tag = Tag::parse(&kept.tag.take().unwrap()).unwrap();
        let permit = permit::<Delete>(repository);
        self.world.registry.delete_manifest(&permit, &Reference::Tag(tag)).await.unwrap();
        add(&self.counts.untags);
    }

    async fn delete_blob(&mut self) {
        let repository = self.repository();
        let digest = Digest::sha256(&content(self.random.below(CONTENTS)));
        match self.world.registry.delete_blob(&permit::<Delete>(&repository), &digest).await {
            Ok(()) => add(&self.counts.deletes),
            Err(DeleteError::UnknownBlob(_) | DeleteError::BlobInUse(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    async fn mount(&mut self) {
        let (from, to) = (self.repository(), self.repository());
        let digest = Digest::sha256(&content(self.random.below(CONTENTS)));
        let (from, to) = (permit::<Pull>(&from), permit::<Push>(&to));
        let source = MountSource::Repository(&from);
        if self.world.registry.mount_blob(&to, &digest, source).await.unwrap().is_some() {
            add(&self.counts.mounts);
        }
    }

    async fn orphan(&mut self) {
        let (repository, number) = (self.repository(), self.random.below(CONTENTS));
        self.world.push_blob(&repository, &content(number)).await;
    }

    /// Begins an upload and leaves it, or cancels it.
    async fn cancel(&mut self) {
        let repository = self.repository();
        let permit = permit::<Push>(&repository);
        let upload = self.world.registry.start_upload(&permit, Algorithm::Sha256).await.unwrap();
        let content = content(self.random.below(CONTENTS));
        self.world.registry.append(&permit, upload.id, None, body(&content)).await.unwrap();
        if self.random.one_in(2) {
            self.world.registry.cancel_upload(&permit, upload.id).await.unwrap();
        }
        add(&self.counts.cancels);
    }

    async fn pull(&mut self) {
        let Some(key) = self.any() else { return };
        check(&self.world, &key, &self.model[&key]).await;
        add(&self.counts.pulls);
    }
}

async fn collect(world: &World, counts: &Counts) {
    match world.collect(Duration::ZERO).await {
        Ok(figures) => {
            add(&counts.runs);
            counts.freed.fetch_add(figures.blobs, Ordering::Relaxed);
            assert_eq!(figures.failed, 0);
        }
        Err(CollectError::Busy { .. }) => add(&counts.busy),
        Err(error) => panic!("{error}"),
    }
}

/// A manifest of the model is pulled whole.
async fn check(world: &World, (repository, digest): &(RepositoryName, Digest), kept: &Kept) {
    let reference = Reference::Digest(*digest);
    let found = world.registry.pull_manifest(&permit(repository), &reference).await;
    assert_eq!(found.unwrap().bytes, kept.bytes, "{digest} of {repository}");
    for (blob, _) in &kept.blobs {
        let served = world.pulled_blob(repository, blob).await;
        assert_eq!(served, Some(*blob), "blob of {digest} in {repository}");
    }
    if let Some(tag) = &kept.tag {
        let reference = Reference::Tag(Tag::parse(tag).unwrap());
        let found = world.registry.find_manifest(&permit(repository), &reference).await.unwrap();
        assert_eq!(found.digest, *digest, "{tag} of {repository}");
    }
}

/// Nothing but the model is there.
async fn check_nothing_else(world: &World, model: &Model) {
    let repositories: BTreeSet<_> = model.keys().map(|(repository, _)| repository).collect();
    let stored = world.metadata.repositories(None, 1000).await.unwrap();
    assert_eq!(stored.iter().collect::<BTreeSet<_>>(), repositories);
    let needed: BTreeSet<Digest> =
        model.values().flat_map(|kept| kept.blobs.iter().map(|(digest, _)| *digest)).collect();
    assert_eq!(world.files().await.into_iter().collect::<BTreeSet<_>>(), needed, "files");
    for repository in repositories {
        let of_it = |(r, _): &&(RepositoryName, Digest)| r == repository;
        let expected: Vec<Digest> = model.keys().filter(of_it).map(|(_, digest)| *digest).collect();
        let manifests = world.metadata.manifests(repository, None, u32::MAX).await.unwrap();
        assert_eq!(manifests.iter().map(|m| m.digest).collect::<Vec<_>>(), expected);
        for number in 0..CONTENTS {
            let digest = Digest::sha256(&content(number));
            let needed = model.iter().any(|((r, _), kept)| {
                r == repository && kept.blobs.iter().any(|(d, _)| *d == digest)
            });
            let held = match world.registry.blob_size(&permit(repository), &digest).await {
                Ok(_) => true,
                Err(PullError::UnknownBlob(_)) => false,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(held, needed, "{digest} in {repository}");
        }
    }
    for number in 0..CONTENTS {
        let digest = Digest::sha256(&content(number));
        let row = world.metadata.standing(&digest, 10).await.unwrap().blob;
        assert_eq!(row.is_some(), needed.contains(&digest), "row of {digest}");
    }
    assert_eq!(world.metadata.condemned_blobs(None, 10).await.unwrap(), []);
    assert_eq!(world.metadata.uploads().await.unwrap(), []);
    assert_eq!(world.blobs.uploads().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn collecting_beside_everything_loses_nothing_and_leaves_nothing() {
    let events: u64 =
        std::env::var("LAZARET_SOAK_EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(EVENTS);
    let folder = tempfile::tempdir().unwrap();
    let one = Arc::new(World::open(folder.path()).await);
    let two = Arc::new(one.again(folder.path()).await);
    let (counts, began) = (Arc::new(Counts::default()), Instant::now());

    let done = Arc::new(AtomicBool::new(false));
    let collectors: Vec<_> = [one.clone(), two.clone()]
        .into_iter()
        .map(|world| {
            let (counts, done) = (counts.clone(), done.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    collect(&world, &counts).await;
                    // Who finds another one at it need not ask again at once.
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|id| {
            let client = Client {
                world: if id % 2 == 0 { one.clone() } else { two.clone() },
                counts: counts.clone(),
                random: Random(0x9e37_79b9_7f4a_7c15 ^ (id + 1)),
                id,
                number: 0,
                model: Model::new(),
            };
            tokio::spawn(client.run(events))
        })
        .collect();
    let mut model = Model::new();
    for client in clients {
        model.extend(client.await.unwrap());
    }
    done.store(true, Ordering::Relaxed);
    for collector in collectors {
        collector.await.unwrap();
    }

    // Long enough for the uploads that were left.
    one.clock.advance(Duration::hours(25));
    let last = one.collect(Duration::ZERO).await.unwrap();
    let again = two.collect(Duration::ZERO).await.unwrap();
    assert_eq!(again, CollectFigures::default(), "one run finds everything");
    for (key, kept) in &model {
        check(&two, key, kept).await;
    }
    check_nothing_else(&one, &model).await;
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{events} events in {:.1?}: {} images pushed ({} given up), {} mounts, {} deletes, {} untags, {} uploads left or cancelled, \
         {} pulls, {} collections ({} found another one), {} blobs freed; {} manifests in the model; last run: {last:?}",
        began.elapsed(),
        get(&counts.pushes),
        get(&counts.starved),
        get(&counts.mounts),
        get(&counts.deletes),
        get(&counts.untags),
        get(&counts.cancels),
        get(&counts.pulls),
        get(&counts.runs),
        get(&counts.busy),
        get(&counts.freed),
        model.len()
    );
    assert!(get(&counts.freed) > events / 100, "the collectors met the clients");
    assert!(get(&counts.pushes) > events / 10, "the clients were not starved");
}
