//! An upload while this process writes to it.
//!
//! ```text
//! parts in the store | parts on their way | buffer: [ in tails | nowhere else ]
//! ```

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use object_store::multipart::PartId;
use object_store::{ObjectStoreExt, PutPayload};
use oci::Digest;
use store::{StoreError, UploadId};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::client::ObjectClient;
use super::error::{found, remote};
use super::keys::Keys;
use super::state::{Part, Saved, Sealed, Tail};

/// Bytes of each of the first parts, and the size up to which a blob is an
/// object of its own. No store takes parts below 5 MiB.
pub(super) const PART_BYTES: u64 = 8 << 20;

/// Parts of each size: 1,000 of 8 MiB, 1,000 of 32 MiB, then 128 MiB. The
/// largest blob has 9,931 of them, and stores take 10,000.
const PARTS_OF_A_SIZE: usize = 1000;

/// Parts of one upload that are on their way at once.
const PARTS_AHEAD_MAX: usize = 2;

/// Tails after which they are written as one.
const TAILS_MAX: usize = 16;

/// Pieces that are smaller on average are copied together.
const SMALL_PIECE_BYTES: u64 = 4 << 10;

/// Size of the part with this number, counted from zero.
fn part_bytes(number: usize) -> u64 {
    match number / PARTS_OF_A_SIZE {
        0 => PART_BYTES,
        1 => PART_BYTES * 4,
        _ => PART_BYTES * 16,
    }
}

type Sending = AbortOnDropHandle<Result<Part, StoreError>>;

/// An upload and those of its bytes that are not in a part yet. After an error
/// it is of no more use.
pub(super) struct Session {
    client: ObjectClient,
    keys: Keys,
    id: UploadId,
    saved: Saved,
    buffer: VecDeque<Bytes>,
    buffered: u64,
    /// How many bytes of the buffer, from its front, are in tails.
    in_tails: u64,
    sending: VecDeque<Sending>,
    sending_bytes: u64,
    /// Tails that the state names no more.
    stale: Vec<Tail>,
    completed: bool,
}

impl Session {
    /// An upload that is as its state says and has no bytes yet.
    pub fn new(client: ObjectClient, keys: Keys, id: UploadId, saved: Saved) -> Self {
        Self {
            client,
            keys,
            id,
            saved,
            buffer: VecDeque::new(),
            buffered: 0,
            in_tails: 0,
            sending: VecDeque::new(),
            sending_bytes: 0,
            stale: Vec::new(),
            completed: false,
        }
    }

    /// Takes up an upload where its state says.
    pub async fn resume(
        client: ObjectClient,
        keys: Keys,
        id: UploadId,
        saved: Saved,
    ) -> Result<Self, StoreError> {
        let mut session = Self::new(client, keys, id, saved);
        for tail in &session.saved.state.tails {
            let attempted = || remote(format!("read the tail of upload {id}"));
            let key = session.keys.tail(id, tail.name);
            let got = session.client.store.get(&key).await.map_err(attempted())?;
            let bytes = got.bytes().await.map_err(attempted())?;
            if bytes.len() as u64 != tail.bytes {
                let detail =
                    format!("{key} should have {} bytes and has {}", tail.bytes, bytes.len());
                return Err(StoreError::corrupt("upload", detail));
            }
            session.buffer.push_back(bytes);
            session.buffered += tail.bytes;
        }
        session.in_tails = session.buffered;
        Ok(session)
    }

    /// Whether this is the upload whose state was just read.
    pub fn is_at(&self, saved: &Saved) -> bool {
        self.saved.state.save == saved.state.save
    }

    /// Bytes that it keeps in memory.
    pub fn held_bytes(&self) -> u64 {
        self.buffered + self.sending_bytes
    }

    /// Bytes in the upload.
    pub fn size(&self) -> u64 {
        match &self.saved.state.sealed {
            Some(sealed) => sealed.bytes,
            None => {
                let parts: u64 = self.saved.state.parts.iter().map(|part| part.bytes).sum();
                parts + self.sending_bytes + self.buffered
            }
        }
    }

    /// The whole upload, if it is small enough to be one object.
    pub fn small_bytes(&self) -> Option<Bytes> {
        let state = &self.saved.state;
        let small = state.parts.is_empty() && self.sending.is_empty() && state.sealed.is_none();
        small.then(|| concat(self.buffer.iter()))
    }

    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    pub async fn append(&mut self, pieces: Vec<Bytes>) -> Result<(), StoreError> {
        let bytes: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        if bytes == 0 {
            return Ok(());
        }
        if self.saved.state.sealed.is_some() {
            return Err(StoreError::Conflict {
                what: format!("upload {}, which is complete", self.id),
            });
        }
        self.buffered += bytes;
        match bytes < SMALL_PIECE_BYTES * pieces.len() as u64 {
            true => self.buffer.push_back(concat(pieces.iter())),
            false => self.buffer.extend(pieces.into_iter().filter(|piece| !piece.is_empty())),
        }
        loop {
            let next = part_bytes(self.saved.state.parts.len() + self.sending.len());
            // One byte more than a part: a blob of just a part stays one object.
            if self.buffered <= next {
                break;
            }
            self.send_part(next).await?;
        }
        let mut arrived = false;
        while self.sending.front().is_some_and(|sending| sending.is_finished()) {
            self.receive_part().await?;
            arrived = true;
        }
        if arrived {
            self.save().await?;
        }
        Ok(())
    }

    /// Makes everything durable that was appended.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        let mut changed = self.drain().await?;
        if self.buffered > self.in_tails {
            let whole = self.saved.state.tails.len() >= TAILS_MAX;
            let from = if whole { 0 } else { self.in_tails };
            let tail = Tail { name: Uuid::new_v4(), bytes: self.buffered - from };
            let put = self
                .client
                .store
                .put(&self.keys.tail(self.id, tail.name), self.buffer_from(from))
                .await;
            put.map_err(remote(format!("save the tail of upload {}", self.id)))?;
            if whole {
                self.stale.append(&mut self.saved.state.tails);
            }
            self.saved.state.tails.push(tail);
            self.in_tails = self.buffered;
            changed = true;
        }
        if changed {
            self.save().await?;
        }
        Ok(())
    }

    /// Waits for the parts that are on their way. Says whether there were any.
    pub async fn drain(&mut self) -> Result<bool, StoreError> {
        let any = !self.sending.is_empty();
        while !self.sending.is_empty() {
            self.receive_part().await?;
        }
        Ok(any)
    }

    /// Makes `content/ID` of the parts and gives its size. Done again, it finds
    /// what was done before, by whomever.
    pub async fn seal(&mut self, digest: Option<&Digest>) -> Result<u64, StoreError> {
        self.drain().await?;
        let digest = digest.map(Digest::to_string);
        let bytes = self.size();
        match &mut self.saved.state.sealed {
            Some(sealed) if digest.is_none() || sealed.digest == digest => {}
            Some(sealed) => {
                sealed.digest = digest;
                self.save().await?;
            }
            None => {
                if self.buffered > 0 {
                    self.send_part(self.buffered).await?;
                    self.drain().await?;
                }
                self.saved.state.sealed = Some(Sealed { bytes, digest });
                self.save().await?;
            }
        }
        if !self.completed {
            self.complete(bytes).await?;
            self.completed = true;
        }
        Ok(bytes)
    }

    async fn complete(&self, bytes: u64) -> Result<(), StoreError> {
        let state = &self.saved.state;
        let content = self.keys.content(self.id.0);
        let attempted = || remote(format!("complete upload {}", self.id));
        let Some(multipart) = &state.multipart else {
            return Err(StoreError::corrupt("upload state", format!("{} has no parts", self.id)));
        };
        let parts = state.parts.iter().map(|part| PartId { content_id: part.id.clone() }).collect();
        let done = self.client.multipart.complete_multipart(&content, multipart, parts).await;
        let Err(error) = done else { return Ok(()) };
        // Whoever completed it before died, or the answer was lost.
        match found(self.client.store.head(&content).await) {
            Ok(Some(there)) if there.size == bytes => Ok(()),
            _ => Err(attempted()(error)),
        }
    }

    /// Sends the first bytes of the buffer on their way.
    async fn send_part(&mut self, bytes: u64) -> Result<(), StoreError> {
        let content = self.keys.content(self.id.0);
        let multipart = match &self.saved.state.multipart {
            Some(multipart) => multipart.clone(),
            None => {
                let begun = self.client.multipart.create_multipart(&content).await;
                let begun =
                    begun.map_err(remote(format!("begin the parts of upload {}", self.id)))?;
                self.saved.state.multipart = Some(begun.clone());
                // Before the first part, so that whoever discards it knows of them.
                self.save().await?;
                begun
            }
        };
        while self.sending.len() >= PARTS_AHEAD_MAX {
            self.receive_part().await?;
        }
        let turn = self.client.part_turn().await;
        let number = self.saved.state.parts.len() + self.sending.len();
        let payload = self.take(bytes);
        let (client, id) = (self.client.clone(), self.id);
        let task = tokio::spawn(async move {
            let put = client.multipart.put_part(&content, &multipart, number, payload).await;
            drop(turn);
            let put = put.map_err(remote(format!("store part {number} of upload {id}")))?;
            Ok(Part { id: put.content_id, bytes })
        });
        self.sending.push_back(AbortOnDropHandle::new(task));
        self.sending_bytes += bytes;
        Ok(())
    }

    /// Waits for the oldest part that is on its way.
    async fn receive_part(&mut self) -> Result<(), StoreError> {
        let Some(sending) = self.sending.pop_front() else { return Ok(()) };
        let part = sending.await.unwrap_or_else(|error| {
            Err(StoreError::io("store a part")(std::io::Error::other(error)))
        })?;
        self.sending_bytes -= part.bytes;
        self.saved.state.parts.push(part);
        // The tails were the beginning of a part, and that one is there now.
        self.stale.append(&mut self.saved.state.tails);
        Ok(())
    }

    async fn save(&mut self) -> Result<(), StoreError> {
        self.saved.save(&self.client, &self.keys, self.id).await?;
        for tail in std::mem::take(&mut self.stale) {
            // Left over, it goes with the upload.
            let _ = self.client.store.delete(&self.keys.tail(self.id, tail.name)).await;
        }
        Ok(())
    }

    fn buffer_from(&self, from: u64) -> PutPayload {
        let mut skip = from;
        let pieces = self.buffer.iter().filter_map(|piece| {
            let skipped = skip.min(piece.len() as u64);
            skip -= skipped;
            let rest = piece.slice(usize::try_from(skipped).unwrap_or(piece.len())..);
            (!rest.is_empty()).then_some(rest)
        });
        pieces.collect()
    }

    fn take(&mut self, bytes: u64) -> PutPayload {
        let (mut taken, mut wanted) = (Vec::new(), bytes);
        while wanted > 0 {
            let Some(mut piece) = self.buffer.pop_front() else { break };
            if piece.len() as u64 > wanted {
                let rest = piece.split_off(usize::try_from(wanted).unwrap_or(usize::MAX));
                self.buffer.push_front(rest);
            }
            wanted -= piece.len() as u64;
            taken.push(piece);
        }
        self.buffered -= bytes - wanted;
        self.in_tails = 0;
        taken.into_iter().collect()
    }
}

fn concat<'a>(pieces: impl Iterator<Item = &'a Bytes>) -> Bytes {
    let mut all = BytesMut::new();
    for piece in pieces {
        all.extend_from_slice(piece);
    }
    all.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_blob_fits_into_ten_thousand_parts() {
        let mut sum = 0;
        let parts = (0..).find(|&number| {
            sum += part_bytes(number);
            sum >= registry_blob_bytes_max()
        });
        assert!(parts.is_some_and(|parts| parts < 10_000), "{parts:?}");
    }

    /// What the registry takes; it is above this crate's row.
    fn registry_blob_bytes_max() -> u64 {
        1 << 40
    }
}
