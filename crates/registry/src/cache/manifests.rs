//! Manifests through the cache: by digest, by tag, fresh or stale.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use access::{Permit, Pull};
use futures::stream::{self, TryStreamExt};
use oci::media_type::is_foreign_layer;
use oci::{Digest, Manifest, Reference, RepositoryName, Tag};
use store::StoredManifest;

use super::{ByTag, CHECKED_TAGS_MAX, Cache, CacheError, Checked, FAILURE_TTL, FILLS_MAX};
use crate::ManifestPush;
use crate::upstream::{Remote, RemoteManifest, UpstreamError};

/// Blobs of one image that are fetched at once in the background.
const FILL_BLOBS_AT_ONCE: usize = 3;

/// A manifest from the cache.
#[derive(Debug, Clone)]
pub struct CachedManifest {
    /// The manifest.
    pub manifest: StoredManifest,
    /// Why it may not be the newest, if upstream could not be asked.
    pub stale: Option<String>,
}

/// What a tag stands for, by upstream's word or without it.
#[derive(Debug, Clone)]
pub(super) struct TagAnswer {
    digest: Digest,
    stale: Option<String>,
}

/// An image that is being fetched whole.
pub(super) struct Fill {
    manifest: RemoteManifest,
    /// Tags that are to point at it when it is here.
    tags: Vec<Tag>,
}

impl Cache {
    /// A manifest of a repository that is a copy of `remote`. It counts as a
    /// pull if `pull` is set, as a look otherwise.
    pub async fn manifest(
        &self,
        permit: &Permit<Pull>,
        remote: &Remote,
        reference: &Reference,
        pull: bool,
    ) -> Result<CachedManifest, CacheError> {
        let (digest, tag, stale) = match reference {
            Reference::Digest(digest) => (*digest, None, None),
            Reference::Tag(tag) => {
                let answer = self.resolve(permit, remote, tag).await?;
                (answer.digest, Some(tag), answer.stale)
            }
        };
        let found = match self.manifest_by_digest(permit, remote, &digest, tag).await {
            Ok(manifest) => CachedManifest { manifest, stale },
            // Upstream has moved the tag and does not hand the new image out.
            Err(CacheError::Upstream(error)) if tag.is_some() => {
                let Some(manifest) = self.local(permit, reference).await? else {
                    return Err(error.into());
                };
                CachedManifest { manifest, stale: Some(error.to_string()) }
            }
            Err(error) => return Err(error),
        };
        if pull {
            self.inner.registry.note_pull(permit, &found.manifest.digest, reference);
        }
        Ok(found)
    }

    /// What a tag stands for. Upstream is asked once in a while; what it does
    /// not say, what is here says.
    async fn resolve(
        &self,
        permit: &Permit<Pull>,
        remote: &Remote,
        tag: &Tag,
    ) -> Result<TagAnswer, CacheError> {
        let key: ByTag = (permit.repository().clone(), tag.clone());
        let checked = {
            let all = self.inner.checked.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(&key).filter(|checked| Instant::now() < checked.until).cloned()
        };
        if let Some(Checked { digest, stale, .. }) = checked {
            return Ok(TagAnswer { digest, stale });
        }
        let held = self.local(permit, &tag.clone().into()).await?.map(|manifest| manifest.digest);
        let (cache, remote, own) = (self.clone(), remote.clone(), key.clone());
        let flight = self.inner.tags.join(key, move || async move {
            let answer = cache.inner.upstream.resolve(&remote, &own.1.clone().into()).await;
            let (answer, ttl) = match (answer, held) {
                (Ok(digest), _) => (TagAnswer { digest, stale: None }, cache.inner.tag_ttl),
                // Never an error for what is here.
                (Err(error), Some(digest)) => {
                    let stale = Some(error.to_string());
                    (TagAnswer { digest, stale }, cache.inner.tag_ttl.min(FAILURE_TTL))
                }
                (Err(error), None) => return Err(error),
            };
            cache.remember(own, &answer, ttl);
            Ok(answer)
        });
        Ok(flight.await.unwrap_or_else(|| Err(interrupted(&tag.to_string())))?)
    }

    fn remember(&self, key: ByTag, answer: &TagAnswer, ttl: Duration) {
        let mut all = self.inner.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= CHECKED_TAGS_MAX {
            all.clear();
        }
        let TagAnswer { digest, stale } = answer.clone();
        all.insert(key, Checked { digest, stale, until: Instant::now() + ttl });
    }

    async fn manifest_by_digest(
        &self,
        permit: &Permit<Pull>,
        remote: &Remote,
        digest: &Digest,
        tag: Option<&Tag>,
    ) -> Result<StoredManifest, CacheError> {
        let repository = permit.repository();
        if let Some(manifest) = self.local(permit, &(*digest).into()).await? {
            if let Some(tag) = tag {
                self.move_tag(permit, &manifest, tag).await?;
            }
            return Ok(manifest);
        }
        if let Some(manifest) = self.being_filled(repository, digest, tag) {
            return Ok(stored(manifest));
        }
        let (cache, remote, digest) = (self.clone(), remote.clone(), *digest);
        let (own, reference) = (repository.clone(), Reference::Digest(digest));
        let tags: Vec<Tag> = tag.into_iter().cloned().collect();
        let flight = self.inner.manifests.join((repository.clone(), digest), move || async move {
            // It may have come between the look and this request: what is no
            // longer being fetched is here, so the order counts.
            if let Some(manifest) = cache.come_meanwhile(&own, digest).await {
                return Ok(manifest);
            }
            let manifest = cache.inner.upstream.manifest(&remote, &reference).await?;
            cache.adopt(own, remote, manifest.clone(), tags).await;
            Ok(manifest)
        });
        let manifest = flight.await.unwrap_or_else(|| Err(interrupted(&digest.to_string())))?;
        // Somebody else may have asked for it by another tag.
        self.being_filled(repository, &digest, tag);
        Ok(stored(manifest))
    }

    async fn come_meanwhile(
        &self,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Option<RemoteManifest> {
        if let Some(manifest) = self.being_filled(repository, &digest, None) {
            return Some(manifest);
        }
        let held = self.inner.registry.metadata.manifest(repository, &digest.into()).await;
        let StoredManifest { digest, media_type, bytes, .. } = held.ok().flatten()?;
        Some(RemoteManifest { digest, media_type, bytes })
    }

    /// Lets a tag point at what is here already.
    async fn move_tag(
        &self,
        permit: &Permit<Pull>,
        manifest: &StoredManifest,
        tag: &Tag,
    ) -> Result<(), CacheError> {
        let held = self.local(permit, &tag.clone().into()).await?;
        if held.is_some_and(|held| held.digest == manifest.digest) {
            return Ok(());
        }
        let manifest = RemoteManifest {
            digest: manifest.digest,
            media_type: manifest.media_type.clone(),
            bytes: manifest.bytes.clone(),
        };
        self.push(permit.repository(), &manifest, vec![tag.clone()]).await;
        Ok(())
    }

    /// The bytes of an image on its way, which is to have this tag, too.
    fn being_filled(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        tag: Option<&Tag>,
    ) -> Option<RemoteManifest> {
        let mut fills = self.inner.fills.lock().unwrap_or_else(PoisonError::into_inner);
        let fill = fills.get_mut(&(repository.clone(), *digest))?;
        fill.tags.extend(tag.filter(|tag| !fill.tags.contains(tag)).cloned());
        Some(fill.manifest.clone())
    }

    /// Makes a manifest one of the repository: an index at once, since its
    /// platforms may be missing; an image when all its blobs are here.
    async fn adopt(
        &self,
        repository: RepositoryName,
        remote: Remote,
        manifest: RemoteManifest,
        tags: Vec<Tag>,
    ) {
        let media_type = Some(manifest.media_type.as_str()).filter(|t| !t.is_empty());
        let image = match Manifest::parse(&manifest.bytes, media_type) {
            Ok(Manifest::Image(image)) => image,
            // What cannot be read is served as it is and kept by nobody: the
            // refusal is logged.
            Ok(Manifest::Index(_)) | Err(_) => {
                return self.push(&repository, &manifest, tags).await;
            }
        };
        let key = (repository.clone(), manifest.digest);
        {
            let mut fills = self.inner.fills.lock().unwrap_or_else(PoisonError::into_inner);
            if fills.contains_key(&key) || fills.len() >= FILLS_MAX {
                return;
            }
            fills.insert(key.clone(), Fill { manifest: manifest.clone(), tags });
        }
        let own = image.layers.iter().filter(|layer| !is_foreign_layer(&layer.media_type));
        let blobs: Vec<_> = std::iter::once(&image.config).chain(own).map(|b| b.digest).collect();
        let (cache, slots) = (self.clone(), self.inner.fill_slots.clone());
        tokio::spawn(async move {
            let _slot = slots.acquire_owned().await;
            let brought = stream::iter(blobs.into_iter().map(Ok))
                .try_for_each_concurrent(FILL_BLOBS_AT_ONCE, |blob| {
                    let (cache, repository, remote) = (&cache, &repository, &remote);
                    async move { cache.bring(repository, remote, &blob).await }
                })
                .await;
            if let Err(error) = brought {
                tracing::warn!(%repository, digest = %key.1, %error, "an image was not cached");
                cache.inner.fills.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                return;
            }
            cache.finish_fill(&key, &manifest).await;
        });
    }

    /// Pushes with all the tags that were asked for until there are no more.
    async fn finish_fill(&self, key: &(RepositoryName, Digest), manifest: &RemoteManifest) {
        let mut first = true;
        loop {
            let tags = {
                let mut fills = self.inner.fills.lock().unwrap_or_else(PoisonError::into_inner);
                let tags = match fills.get_mut(key) {
                    Some(fill) => std::mem::take(&mut fill.tags),
                    None => Vec::new(),
                };
                if tags.is_empty() && !first {
                    fills.remove(key);
                    return;
                }
                tags
            };
            self.push(&key.0, manifest, tags).await;
            first = false;
        }
    }

    async fn push(&self, repository: &RepositoryName, manifest: &RemoteManifest, tags: Vec<Tag>) {
        let Ok(permit) = self.writer(repository) else { return };
        let push = ManifestPush {
            reference: manifest.digest.into(),
            tags,
            media_type: Some(manifest.media_type.clone()).filter(|t| !t.is_empty()),
            bytes: manifest.bytes.clone(),
        };
        if let Err(error) = self.inner.registry.push_manifest(&permit, push).await {
            let digest = manifest.digest;
            tracing::warn!(%repository, %digest, %error, "a manifest was not cached");
        }
    }
}

fn stored(manifest: RemoteManifest) -> StoredManifest {
    let RemoteManifest { digest, media_type, bytes } = manifest;
    StoredManifest { digest, media_type, bytes, unreadable: None }
}

fn interrupted(what: &str) -> UpstreamError {
    UpstreamError::BrokeOff {
        host: "the cache".to_owned(),
        what: what.to_owned(),
        why: "the task that asked upstream died".to_owned(),
    }
}
