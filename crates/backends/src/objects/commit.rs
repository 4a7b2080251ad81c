//! Uploads become blobs or vanish, and blobs vanish.

use futures::{StreamExt, TryStreamExt};
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions};
use oci::Digest;
use store::{StoreError, UploadId};
use uuid::Uuid;

use super::Inner;
use super::error::{found, remote};
use super::find::{Place, Pointer};
use super::session::Session;
use super::state::{Saved, Sealed, UploadState};

/// How often a conditional write that lost a race is tried.
const TRIES_MAX: usize = 5;

impl Inner {
    /// Makes a blob of an upload; its size.
    pub(super) async fn commit(
        &self,
        session: &mut Session,
        id: UploadId,
        digest: &Digest,
    ) -> Result<u64, StoreError> {
        session.drain().await?;
        if let Some(bytes) = session.small_bytes() {
            let (key, size) = (self.keys.small(digest), bytes.len() as u64);
            let put = self.client.store.put(&key, bytes.into()).await;
            put.map_err(remote(format!("store upload {id} as {digest}")))?;
            self.finder.remember(digest, Place { key, size });
            if let Some(multipart) = &session.saved().state.multipart {
                // A first part that was begun and never arrived.
                let content = self.keys.content(id.0);
                let _ = self.client.multipart.abort_multipart(&content, multipart).await;
            }
            self.remove_traces(id, session.saved()).await?;
            return Ok(size);
        }
        let size = session.seal(Some(digest)).await?;
        let kept = self.point(digest, &Pointer { content: id.0, size }).await?;
        // A discarder that came before has removed the content, or will.
        let now = Saved::load(&self.client, &self.keys, id).await?;
        if !now.is_some_and(|now| session.is_at(&now)) {
            self.unpoint(digest, id.0).await?;
            return Err(StoreError::Conflict { what: format!("upload {id}") });
        }
        if kept.content != id.0 {
            self.delete_object(&self.keys.content(id.0), "a second copy of a blob").await?;
        }
        self.finder.remember(digest, Place { key: self.keys.content(kept.content), size });
        self.remove_traces(id, session.saved()).await?;
        Ok(size)
    }

    /// Points at content, unless whole content is pointed at already. Gives
    /// what is pointed at in the end.
    async fn point(&self, digest: &Digest, pointer: &Pointer) -> Result<Pointer, StoreError> {
        let attempted = || remote(format!("point at blob {digest}"));
        let key = self.keys.pointer(digest);
        let bytes = serde_json::to_vec(pointer)
            .map_err(|error| StoreError::corrupt("pointer", error.to_string()))?;
        let mut mode = PutMode::Create;
        for _ in 0..TRIES_MAX {
            let mode_now =
                if self.client.conditional() { mode.clone() } else { PutMode::Overwrite };
            let options = PutOptions { mode: mode_now, ..PutOptions::default() };
            match self.client.store.put_opts(&key, bytes.clone().into(), options).await {
                Ok(_) => return Ok(pointer.clone()),
                Err(Error::NotImplemented { .. }) => self.client.conditions_are_unknown(),
                Err(
                    Error::AlreadyExists { .. }
                    | Error::Precondition { .. }
                    | Error::NotFound { .. },
                ) => {
                    let Some((there, version)) = self.finder.pointer(digest).await? else {
                        mode = PutMode::Create;
                        continue;
                    };
                    if there.content == pointer.content {
                        // It was us, in a try whose answer was lost.
                        return Ok(there);
                    }
                    let content = self.keys.content(there.content);
                    let content =
                        found(self.client.store.head(&content).await).map_err(attempted())?;
                    if content.is_some_and(|content| content.size == pointer.size) {
                        return Ok(there);
                    }
                    tracing::warn!(%digest, "a damaged blob is replaced by one that was just pushed");
                    mode = PutMode::Update(version);
                }
                Err(error) => return Err(attempted()(error)),
            }
        }
        Err(StoreError::Conflict { what: format!("the pointer to blob {digest}") })
    }

    /// Removes a pointer that nobody was told of.
    async fn unpoint(&self, digest: &Digest, content: Uuid) -> Result<(), StoreError> {
        if self.finder.pointer(digest).await?.is_some_and(|(there, _)| there.content == content) {
            self.delete_object(&self.keys.pointer(digest), "the pointer of a discarded upload")
                .await?;
            self.finder.deleted(digest);
        }
        Ok(())
    }

    /// Removes an upload, whatever there is of it.
    pub(super) async fn discard(&self, id: UploadId) -> Result<(), StoreError> {
        for _ in 0..TRIES_MAX {
            let Some(mut saved) = Saved::load(&self.client, &self.keys, id).await? else {
                return self.remove_folder(id).await;
            };
            if !saved.state.discarded {
                saved.state.discarded = true;
                match saved.save(&self.client, &self.keys, id).await {
                    // Somebody wrote to it, or ended it.
                    Err(StoreError::Conflict { .. }) => continue,
                    outcome => outcome?,
                }
            }
            return self.discard_marked(id, &saved.state).await;
        }
        Err(StoreError::Conflict { what: format!("upload {id}") })
    }

    async fn discard_marked(&self, id: UploadId, state: &UploadState) -> Result<(), StoreError> {
        let content = self.keys.content(id.0);
        if let Some(multipart) = &state.multipart {
            // Fails where it was completed; what it leaves otherwise, stores
            // clear away by a rule of theirs.
            if let Err(error) = self.client.multipart.abort_multipart(&content, multipart).await {
                tracing::debug!(%error, %id, "the parts of an upload cannot be dropped");
            }
        }
        if state.multipart.is_some() || state.sealed.is_some() {
            let pointed = match state.digest() {
                Some(digest) => self.finder.pointer(&digest).await?,
                None => None,
            };
            if pointed.is_none_or(|(pointer, _)| pointer.content != id.0) {
                self.delete_object(&content, "the content of a discarded upload").await?;
            }
        }
        self.remove_folder(id).await
    }

    /// Removes what tells of an upload that became a blob.
    async fn remove_traces(&self, id: UploadId, saved: &Saved) -> Result<(), StoreError> {
        // Without tails there is nothing to look for.
        match saved.state.tails.is_empty() && saved.state.sealed.is_none() {
            true => self.delete_object(&self.keys.state(id), "the state of an upload").await,
            false => self.remove_folder(id).await,
        }
    }

    /// Removes everything below `uploads/ID`, the state last.
    async fn remove_folder(&self, id: UploadId) -> Result<(), StoreError> {
        let (folder, state) = (self.keys.upload(id), self.keys.state(id));
        let listed = self.client.store.list(Some(&folder)).map_ok(|object| object.location);
        let listed: Vec<_> = listed
            .try_collect()
            .await
            .map_err(remote(format!("list what is left of upload {id}")))?;
        let tails: Vec<_> = listed.into_iter().filter(|key| *key != state).map(Ok).collect();
        let mut removed = self.client.store.delete_stream(futures::stream::iter(tails).boxed());
        while let Some(outcome) = removed.next().await {
            found(outcome).map_err(remote(format!("remove what is left of upload {id}")))?;
        }
        self.delete_object(&state, "the state of an upload").await
    }

    /// Removes a blob. The pointer goes first; a crash after that leaves an
    /// upload to be discarded, which takes the content away.
    pub(super) async fn delete(&self, digest: &Digest) -> Result<(), StoreError> {
        let small = self.keys.small(digest);
        let (small, pointer) =
            tokio::join!(self.delete_object(&small, "a blob"), self.finder.pointer(digest));
        small?;
        if let Some((pointer, _)) = pointer? {
            let id = UploadId(pointer.content);
            let sealed = Sealed { bytes: pointer.size, digest: Some(digest.to_string()) };
            let left =
                UploadState { sealed: Some(sealed), discarded: true, ..UploadState::default() };
            Saved::create(&self.client, &self.keys, id, left).await?;
            self.delete_object(&self.keys.pointer(digest), "a pointer").await?;
            self.finder.deleted(digest);
            self.delete_object(&self.keys.content(pointer.content), "the content of a blob")
                .await?;
            self.delete_object(&self.keys.state(id), "the state of a deletion").await?;
        }
        self.finder.deleted(digest);
        Ok(())
    }

    async fn delete_object(
        &self,
        key: &object_store::path::Path,
        what: &str,
    ) -> Result<(), StoreError> {
        let deleted = found(self.client.store.delete(key).await);
        deleted.map(drop).map_err(remote(format!("delete {what}")))
    }
}
