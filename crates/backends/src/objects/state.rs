//! Where an upload stands, as an object that any server can read.

use object_store::{Error, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use oci::Digest;
use serde::{Deserialize, Serialize};
use store::{StoreError, UploadId};
use uuid::Uuid;

use super::client::ObjectClient;
use super::error::{found, remote};
use super::keys::Keys;

/// What there is of an upload. Its bytes are the parts, then the tails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UploadState {
    /// Another with every save.
    pub save: Uuid,
    /// The store's name for what is written to `content/ID`.
    pub multipart: Option<String>,
    /// What is in it, in order.
    pub parts: Vec<Part>,
    /// Objects with the bytes after that, in order.
    pub tails: Vec<Tail>,
    /// Set when nothing will be appended any more; there are no tails then.
    pub sealed: Option<Sealed>,
    /// Somebody is removing it.
    pub discarded: bool,
}

/// A part that the store has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// The store's name for it.
    pub id: String,
    pub bytes: u64,
}

/// Bytes that wait until they make a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tail {
    pub name: Uuid,
    pub bytes: u64,
}

/// The end of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sealed {
    pub bytes: u64,
    /// The blob that it is about to become.
    pub digest: Option<String>,
}

impl UploadState {
    /// Bytes that are safe.
    pub fn size(&self) -> u64 {
        match &self.sealed {
            Some(sealed) => sealed.bytes,
            None => {
                let parts: u64 = self.parts.iter().map(|part| part.bytes).sum();
                parts + self.tails.iter().map(|tail| tail.bytes).sum::<u64>()
            }
        }
    }

    /// The blob that it is about to become.
    pub fn digest(&self) -> Option<Digest> {
        Digest::parse(self.sealed.as_ref()?.digest.as_deref()?).ok()
    }
}

/// A state and which writing of it this is.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    pub state: UploadState,
    version: UpdateVersion,
}

impl Saved {
    /// Writes the first state of an upload.
    pub async fn create(
        client: &ObjectClient,
        keys: &Keys,
        id: UploadId,
        mut state: UploadState,
    ) -> Result<Self, StoreError> {
        let attempted = || remote(format!("begin upload {id}"));
        state.save = Uuid::new_v4();
        let put = client.store.put(&keys.state(id), payload(&state)?).await;
        Ok(Self { state, version: put.map_err(attempted())?.into() })
    }

    /// `None`: no such upload.
    pub async fn load(
        client: &ObjectClient,
        keys: &Keys,
        id: UploadId,
    ) -> Result<Option<Self>, StoreError> {
        let attempted = || remote(format!("read the state of upload {id}"));
        let got = found(client.store.get(&keys.state(id)).await).map_err(attempted())?;
        let Some(got) = got else { return Ok(None) };
        let version =
            UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
        let bytes = got.bytes().await.map_err(attempted())?;
        let state = serde_json::from_slice(&bytes)
            .map_err(|error| StoreError::corrupt("upload state", format!("{id}: {error}")))?;
        Ok(Some(Self { state, version }))
    }

    /// Writes it, unless somebody else has written it since.
    pub async fn save(
        &mut self,
        client: &ObjectClient,
        keys: &Keys,
        id: UploadId,
    ) -> Result<(), StoreError> {
        self.state.save = Uuid::new_v4();
        let (key, bytes) = (keys.state(id), payload(&self.state)?);
        let known = self.version.e_tag.is_some() || self.version.version.is_some();
        let put = match known && client.conditional() {
            true => {
                let mode = PutMode::Update(self.version.clone());
                let options = PutOptions { mode, ..PutOptions::default() };
                match client.store.put_opts(&key, bytes.clone(), options).await {
                    Err(Error::NotImplemented { .. }) => {
                        client.conditions_are_unknown();
                        client.store.put(&key, bytes).await
                    }
                    outcome => outcome,
                }
            }
            false => client.store.put(&key, bytes).await,
        };
        match put {
            Ok(put) => self.version = put.into(),
            Err(Error::Precondition { .. } | Error::NotFound { .. }) => {
                // It may have been us, in a try whose answer was lost.
                match Self::load(client, keys, id).await? {
                    Some(there) if there.state.save == self.state.save => {
                        self.version = there.version;
                    }
                    _ => return Err(StoreError::Conflict { what: format!("upload {id}") }),
                }
            }
            Err(error) => return Err(remote(format!("save the state of upload {id}"))(error)),
        }
        Ok(())
    }
}

fn payload(state: &UploadState) -> Result<PutPayload, StoreError> {
    let bytes = serde_json::to_vec(state)
        .map_err(|error| StoreError::corrupt("upload state", error.to_string()))?;
    Ok(bytes.into())
}
