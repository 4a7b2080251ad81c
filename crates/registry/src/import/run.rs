//! Runs imports: under a lease, a few at once, each from where it stands.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use access::{Permit, Principal, Pull, Push, authorise};
use futures::{StreamExt, TryStreamExt, stream};
use oci::{Digest, RepositoryName, Tag};
use store::{
    Import, ImportFailure, ImportOutcome, ImportProgress, ImportRequest, StoreError, StoredLogin,
};

use super::itself::Itself;
use super::plan::{Document, Plan, Planner};
use super::{
    IMPORT_AGE_MAX, IMPORT_ATTEMPTS_MAX, ImportError, Imports, LEASE, LEASE_RENEWED_EVERY,
    SEARCH_EVERY,
};
use crate::upstream::{Credentials, Patience, Remote, Upstream};
use crate::{ManifestPush, MountSource, Registry};

/// Blobs of one import that are fetched at once.
const BLOBS_AT_ONCE: usize = 4;

/// How far a run is, for whoever looks.
#[derive(Default)]
struct Meter(Mutex<ImportProgress>);

impl Meter {
    fn now(&self) -> MutexGuard<'_, ImportProgress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Imports {
    /// Runs what is due until the future is dropped. An import that was under
    /// way is then taken up again by the next process of this name at once, by
    /// another one when its lease has run out.
    pub async fn run_forever(&self) -> StoreError {
        let parts = &self.parts;
        if let Err(error) = parts.store.release_imports(&parts.runner).await {
            return error;
        }
        loop {
            // Closed by nobody.
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { continue };
            let now = parts.registry.now();
            match parts.store.claim_import(&parts.runner, now, now + LEASE).await {
                Ok(Some((import, login))) => {
                    let imports = self.clone();
                    tokio::spawn(async move {
                        imports.run_leased(import, login).await;
                        drop(slot);
                        imports.due.notify_one();
                    });
                }
                Ok(None) => {
                    drop(slot);
                    let _ = parts.store.forget_imports(now - IMPORT_AGE_MAX).await;
                    let _ = tokio::time::timeout(SEARCH_EVERY, self.due.notified()).await;
                }
                Err(error) => return error,
            }
        }
    }

    /// Runs one, and says so all the while.
    async fn run_leased(&self, import: Import, login: Option<StoredLogin>) {
        let parts = &self.parts;
        let meter = Meter::default();
        let outcome = tokio::select! {
            outcome = self.run(&import, login, &meter) => outcome,
            // Somebody else has it.
            () = self.keep_lease(&import, &meter) => return,
        };
        let outcome = match outcome {
            Ok(digest) => ImportOutcome::Done(digest),
            Err(error) => ImportOutcome::Failed(ImportFailure {
                code: error.code().to_owned(),
                message: error.to_string(),
            }),
        };
        let progress = *meter.now();
        // An error: the lease runs out and the import is run again, which
        // finds everything here.
        let _ = parts
            .store
            .finish_import(import.id, &parts.runner, &progress, &outcome, parts.registry.now())
            .await;
    }

    async fn keep_lease(&self, import: &Import, meter: &Meter) {
        let parts = &self.parts;
        loop {
            tokio::time::sleep(LEASE_RENEWED_EVERY).await;
            let (progress, until) = (*meter.now(), parts.registry.now() + LEASE);
            let kept = parts.store.renew_import(import.id, &parts.runner, &progress, until).await;
            if matches!(kept, Ok(false)) {
                return;
            }
        }
    }

    async fn run(
        &self,
        import: &Import,
        login: Option<StoredLogin>,
        meter: &Meter,
    ) -> Result<Digest, ImportError> {
        if import.attempts > IMPORT_ATTEMPTS_MAX {
            return Err(ImportError::Abandoned);
        }
        let (parts, request) = (&self.parts, &import.request);
        let owner = parts.principals.principal(&import.created_by).await?;
        let owner = owner.ok_or_else(|| ImportError::NoAccount(import.created_by.clone()))?;
        let mut permits = Vec::new();
        for repository in
            request.targets.iter().map(|target| &target.repository).collect::<BTreeSet<_>>()
        {
            permits.push(authorise::<Push>(&owner, repository)?);
        }
        let credentials =
            login.map(|login| Credentials { username: login.username, password: login.password });
        let remote = Remote {
            host: request.host.clone().unwrap_or_default(),
            repository: request.repository.clone(),
            credentials,
            patience: Patience::Job,
        };
        let (upstream, here): (Arc<dyn Upstream>, _) = match &request.host {
            Some(_) => (Arc::clone(&parts.upstream), None),
            None => {
                let permit = authorise::<Pull>(&owner, &request.repository)?;
                let itself = Itself { registry: parts.registry.clone(), permit: permit.clone() };
                (Arc::new(itself), Some(permit))
            }
        };
        let planner = Planner {
            upstream: &*upstream,
            remote: &remote,
            platforms: &request.platforms,
            referrers: request.referrers,
        };
        let count = permits.len() as u64;
        let plan = planner
            .plan(&request.reference, |plan| {
                let mut now = meter.now();
                now.manifests_total = plan.documents.len() as u64 * count;
                now.blobs_total = plan.blobs.len() as u64 * count;
                now.bytes_total = plan.blobs.values().sum::<u64>().saturating_mul(count);
            })
            .await?;
        let copy = Copy {
            registry: &parts.registry,
            upstream: &*upstream,
            remote: &remote,
            owner,
            here,
            meter,
        };
        for permit in &permits {
            copy.copy(permit, &plan, request).await?;
        }
        Ok(plan.documents[0].digest)
    }
}

/// One run.
struct Copy<'a> {
    registry: &'a Registry,
    upstream: &'a dyn Upstream,
    remote: &'a Remote,
    owner: Principal,
    /// The source, if it is a repository of this registry.
    here: Option<Permit<Pull>>,
    meter: &'a Meter,
}

impl Copy<'_> {
    /// Brings everything into one repository.
    async fn copy(
        &self,
        permit: &Permit<Push>,
        plan: &Plan,
        request: &ImportRequest,
    ) -> Result<(), ImportError> {
        let repository = permit.repository();
        let mine = request.targets.iter().filter(|target| target.repository == *repository);
        let tags: Vec<Tag> = mine.filter_map(|target| target.tag.clone()).collect();
        let (root, rest) = plan.documents.split_first().ok_or(ImportError::NoTarget)?;
        // Before anything is fetched, and again before the tags are set.
        self.check_free(repository, &tags, root, request.force).await?;
        stream::iter(plan.blobs.iter().map(Ok))
            .try_for_each_concurrent(BLOBS_AT_ONCE, |(digest, size)| {
                self.bring_blob(permit, digest, *size)
            })
            .await?;
        // Children and referrers were found after what leads to them.
        for document in rest.iter().rev() {
            self.push(permit, document, document.tag.iter().cloned().collect()).await?;
        }
        self.check_free(repository, &tags, root, request.force).await?;
        self.push(permit, root, tags).await
    }

    /// Whether the tags are free, or stand for this very manifest already.
    async fn check_free(
        &self,
        repository: &RepositoryName,
        tags: &[Tag],
        root: &Document,
        force: bool,
    ) -> Result<(), ImportError> {
        if force {
            return Ok(());
        }
        for tag in tags {
            let there = self.registry.metadata.manifest(repository, &tag.clone().into()).await?;
            if there.is_some_and(|manifest| manifest.digest != root.digest) {
                let (repository, tag) = (repository.clone(), tag.clone());
                return Err(ImportError::Conflict { repository, tag });
            }
        }
        Ok(())
    }

    /// A blob that is here already is not fetched, wherever the owner may read it.
    async fn bring_blob(
        &self,
        permit: &Permit<Push>,
        digest: &Digest,
        size: u64,
    ) -> Result<(), ImportError> {
        let held = self.registry.metadata.linked_blob(permit.repository(), digest).await?;
        if held.is_none() && !self.mount(permit, digest).await? {
            let blob = self.upstream.blob(self.remote, digest).await?;
            let meter = self.meter;
            let metered = blob.body.inspect_ok(|piece| meter.now().bytes += piece.len() as u64);
            // The stream borrows the meter, so it is driven here and handed on.
            let (sender, receiver) = futures::channel::mpsc::channel(1);
            let pump = metered.map(Ok).forward(sender);
            let push = self.registry.push_blob(permit, Box::pin(receiver), *digest);
            let (_, pushed) = futures::join!(pump, push);
            pushed?;
        } else {
            self.meter.now().bytes += size;
        }
        self.meter.now().blobs += 1;
        Ok(())
    }

    async fn mount(&self, permit: &Permit<Push>, digest: &Digest) -> Result<bool, ImportError> {
        let source = match &self.here {
            Some(permit) => MountSource::Repository(permit),
            None => MountSource::Any(&self.owner),
        };
        Ok(self.registry.mount_blob(permit, digest, source).await?.is_some())
    }

    async fn push(
        &self,
        permit: &Permit<Push>,
        document: &Document,
        tags: Vec<Tag>,
    ) -> Result<(), ImportError> {
        let (repository, digest) = (permit.repository(), &document.digest);
        let metadata = &self.registry.metadata;
        let held = metadata.manifest_summary(repository, digest).await?.is_some();
        // A second push of the same thing would be a second event.
        if !held || !tags.is_empty() {
            let push = ManifestPush {
                reference: (*digest).into(),
                tags,
                media_type: Some(document.media_type.clone()),
                bytes: document.bytes.clone(),
            };
            self.registry.push_manifest(permit, push).await?;
        }
        self.meter.now().manifests += 1;
        Ok(())
    }
}
