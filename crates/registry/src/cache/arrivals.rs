//! Blobs on their way from upstream: stored and served at the same time.
//!
//! Whoever asks while a blob arrives reads the upload's file behind the one who
//! writes it. The last byte is held back until the digest was verified, so that
//! nobody ever has the whole of something wrong.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use oci::Digest;
use store::{Blob, BlobSource, RangeReader, UploadId};
use tokio::sync::watch;

use crate::{DeletedManifest, DeletedTag, Pulled, PushedManifest, RegistryObserver, UploadOpener};

/// Bytes that are read at a time.
const PIECE_BYTES: u64 = 512 << 10;

/// How much of a blob is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Arrived {
    /// So many bytes, not verified.
    Part(u64),
    /// All of it, verified and durable.
    Whole,
    /// It will not come; says why.
    Failed(String),
}

/// Hears uploads grow, and tells on everything else.
pub(super) struct Tee {
    pub inner: Arc<dyn RegistryObserver>,
    pub growing: Arc<Growing>,
}

/// Who wants to hear of which upload.
#[derive(Default)]
pub(super) struct Growing(Mutex<HashMap<UploadId, watch::Sender<Arrived>>>);

impl Growing {
    pub fn follow(&self, id: UploadId, sender: watch::Sender<Arrived>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
    }

    /// Says how it ended and forgets the upload.
    pub fn end(&self, id: UploadId, arrived: Arrived) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(sender) = sender {
            // An error: nobody waits.
            let _ = sender.send(arrived);
        }
    }

    fn grew(&self, id: UploadId, size: u64) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = all.get(&id) {
            let _ = sender.send(Arrived::Part(size));
        }
    }
}

impl RegistryObserver for Tee {
    fn upload_started(&self, upload: UploadOpener) {
        self.inner.upload_started(upload);
    }
    fn upload_grew(&self, id: UploadId, size: u64) {
        self.inner.upload_grew(id, size);
        self.growing.grew(id, size);
    }
    fn blob_committed(&self, id: UploadId, digest: &Digest, size: u64) {
        self.inner.blob_committed(id, digest, size);
    }
    fn upload_dropped(&self, id: UploadId) {
        self.inner.upload_dropped(id);
    }
    fn manifest_pushed(&self, manifest: &PushedManifest) {
        self.inner.manifest_pushed(manifest);
    }
    fn manifest_deleted(&self, deleted: &DeletedManifest) {
        self.inner.manifest_deleted(deleted);
    }
    fn tag_deleted(&self, deleted: &DeletedTag) {
        self.inner.tag_deleted(deleted);
    }
    fn pulled(&self, pulled: &Pulled) {
        self.inner.pulled(pulled);
    }
}

/// A blob on its way.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    /// What upstream says its size is.
    pub size: Option<u64>,
    /// The upload's file; `None` where the store has none.
    pub file: Option<Arc<File>>,
    pub arrived: watch::Receiver<Arrived>,
}

impl Arrival {
    /// The blob, to be read while it arrives. `None`: its size or its file is
    /// not known, so that one has to wait for the whole.
    pub fn blob(&self) -> Option<Blob> {
        let (size, file) = (self.size?, self.file.clone()?);
        let reader = Following { size, file, arrived: self.arrived.clone() };
        Some(Blob { size, source: BlobSource::Object(Arc::new(reader)) })
    }

    /// Waits for the end; says why there is no blob.
    pub async fn whole(mut self) -> Result<(), String> {
        match self.arrived.wait_for(|arrived| !matches!(arrived, Arrived::Part(_))).await.as_deref()
        {
            Ok(Arrived::Whole) => Ok(()),
            Ok(Arrived::Failed(why)) => Err(why.clone()),
            // The one who wrote is gone without a word.
            Ok(Arrived::Part(_)) | Err(_) => Err("it was interrupted".to_owned()),
        }
    }
}

#[derive(Debug)]
struct Following {
    size: u64,
    file: Arc<File>,
    arrived: watch::Receiver<Arrived>,
}

impl RangeReader for Following {
    fn read_range(&self, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        let (size, file, arrived) = (self.size, Arc::clone(&self.file), self.arrived.clone());
        let start = (range, file, arrived);
        stream::try_unfold(start, move |(range, file, mut arrived)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let readable = readable(&mut arrived, size, range.start).await?;
            let bytes = (readable.min(range.end) - range.start).min(PIECE_BYTES);
            let (source, at) = (Arc::clone(&file), range.start);
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; bytes as usize];
                source.read_exact_at(&mut piece, at)?;
                Ok::<_, io::Error>(Bytes::from(piece))
            });
            let piece = read.await.map_err(io::Error::other)??;
            Ok(Some((piece, (range.start + bytes..range.end, file, arrived))))
        })
        .boxed()
    }
}

/// Waits until more than `position` bytes can be handed out; says how many.
async fn readable(
    arrived: &mut watch::Receiver<Arrived>,
    size: u64,
    position: u64,
) -> io::Result<u64> {
    let mut bytes = 0;
    let outcome = arrived
        .wait_for(|arrived| {
            bytes = match arrived {
                Arrived::Part(bytes) => (*bytes).min(size.saturating_sub(1)),
                Arrived::Whole => size,
                Arrived::Failed(_) => return true,
            };
            bytes > position
        })
        .await;
    match outcome.as_deref() {
        Ok(Arrived::Failed(why)) => Err(io::Error::other(why.clone())),
        Ok(_) => Ok(bytes),
        Err(_) => Err(io::Error::other("the blob was interrupted on its way")),
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    fn arrival(content: &[u8]) -> (watch::Sender<Arrived>, Blob) {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(content, 0).unwrap();
        let (sender, arrived) = watch::channel(Arrived::Part(0));
        let size = Some(content.len() as u64);
        let arrival = Arrival { size, file: Some(Arc::new(file)), arrived };
        (sender, arrival.blob().unwrap())
    }

    #[tokio::test]
    async fn the_last_byte_waits_for_the_digest() {
        let (sender, blob) = arrival(b"0123456789");
        let mut stream = blob.stream(0..10);
        sender.send(Arrived::Part(4)).unwrap();
        assert_eq!(stream.try_next().await.unwrap().unwrap(), "0123");
        sender.send(Arrived::Part(10)).unwrap();
        assert_eq!(stream.try_next().await.unwrap().unwrap(), "45678");
        sender.send(Arrived::Whole).unwrap();
        assert_eq!(stream.try_next().await.unwrap().unwrap(), "9");
        assert_eq!(stream.try_next().await.unwrap(), None);
        assert_eq!(blob.stream(3..5).try_next().await.unwrap().unwrap(), "34");
    }

    #[tokio::test]
    async fn a_blob_that_fails_is_never_whole() {
        let (sender, blob) = arrival(b"0123456789");
        let mut stream = blob.stream(0..10);
        sender.send(Arrived::Part(10)).unwrap();
        assert_eq!(stream.try_next().await.unwrap().unwrap(), "012345678");
        sender.send(Arrived::Failed("hashes to another digest".into())).unwrap();
        assert!(stream.try_next().await.unwrap_err().to_string().contains("another digest"));
        drop(sender);
        assert!(blob.stream(0..10).try_next().await.is_err());
    }
}
