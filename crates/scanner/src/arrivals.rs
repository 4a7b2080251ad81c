//! Layers on their way in: each upload that looks like a layer is analysed
//! while its bytes arrive, so that the verdict is there when the manifest is.
//!
//! ```text
//! started --> waiting for enough bytes to tell --> a worker follows the file
//!                                |                         |
//!                         not a layer: ignored    committed: finish, adopt
//!                                                 dropped: the worker is stopped
//! ```

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use oci::Digest;
use store::scan::Millis;
use store::{StoreError, UploadId};
use tokio::sync::{oneshot, watch};

use crate::layers::{Layers, Reservation};

/// Bytes from which it can be told whether an upload is a layer.
const TELLING_BYTES: u64 = 512;

/// Uploads followed at once; further ones are analysed when they are complete.
const FOLLOWED_MAX: usize = 64;

/// Gives a handle on the upload's file; `None` if it has ended already.
pub type OpenUpload = Box<dyn FnOnce() -> Result<Option<File>, StoreError> + Send>;

/// The registry's side of one followed upload.
struct Followed {
    size: watch::Sender<u64>,
    committed: oneshot::Sender<Committed>,
}

/// A complete layer, reserved from the moment its upload was acknowledged: a
/// manifest that follows at once waits for this reading and begins no other.
struct Committed {
    reservation: Reservation,
    total: u64,
    now: Millis,
}

/// Uploads that are followed. Its methods never wait.
#[derive(Clone)]
pub struct Arrivals {
    layers: Layers,
    followed: Arc<Mutex<HashMap<UploadId, Followed>>>,
}

impl Arrivals {
    /// Hands what it reads to `layers`.
    pub fn new(layers: Layers) -> Self {
        Self { layers, followed: Arc::default() }
    }

    /// An upload begins.
    pub fn started(&self, id: UploadId, open: OpenUpload) {
        let mut followed = self.followed();
        if followed.len() >= FOLLOWED_MAX {
            return;
        }
        let (size, sizes) = watch::channel(0);
        let (committed, commit) = oneshot::channel();
        followed.insert(id, Followed { size, committed });
        let layers = self.layers.clone();
        tokio::spawn(async move {
            if let Err(error) = follow(&layers, open, sizes, commit).await {
                // The scan of the image reads the layer again, and reports.
                tracing::debug!(%error, "an upload could not be followed");
            }
        });
    }

    /// `size` bytes of it are in its file.
    pub fn grew(&self, id: UploadId, size: u64) {
        if let Some(upload) = self.followed().get(&id) {
            upload.size.send_replace(size);
        }
    }

    /// It is complete and is this blob now.
    pub fn committed(&self, id: UploadId, digest: &Digest, total: u64, now: Millis) {
        if let Some(upload) = self.followed().remove(&id)
            && let Ok(reservation) = self.layers.reserve(digest)
        {
            // Nobody receives it if this is no layer; the reservation then ends.
            let _ = upload.committed.send(Committed { reservation, total, now });
        }
    }

    /// It will not be completed.
    pub fn dropped(&self, id: UploadId) {
        // The sender's end stops the task, which stops the worker.
        self.followed().remove(&id);
    }

    fn followed(&self) -> std::sync::MutexGuard<'_, HashMap<UploadId, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot read the upload: {0}")]
    Read(#[from] std::io::Error),
    #[error(transparent)]
    Worker(#[from] crate::worker::WorkerError),
}

async fn follow(
    layers: &Layers,
    open: OpenUpload,
    mut sizes: watch::Receiver<u64>,
    mut commit: oneshot::Receiver<Committed>,
) -> Result<(), FollowError> {
    // An error: the upload has ended, smaller than that or not.
    let _ = sizes.wait_for(|size| *size >= TELLING_BYTES).await;
    let Some(file) = tokio::task::spawn_blocking(open).await.map_err(std::io::Error::other)??
    else {
        return Ok(());
    };
    let mut head = [0; TELLING_BYTES as usize];
    let read = file.read_at(&mut head, 0)?;
    if !looks_like_a_layer(&head[..read]) {
        return Ok(());
    }
    let mut running = layers.workers().start(file, None).await?;
    loop {
        let size = *sizes.borrow_and_update();
        running.available(size);
        tokio::select! {
            committed = &mut commit => {
                // An error: dropped, or another upload of the same bytes is being read.
                if let Ok(Committed { reservation, total, now }) = committed {
                    layers.adopt(reservation, running, total, now);
                }
                return Ok(());
            }
            Ok(()) = sizes.changed() => {}
        }
    }
}

/// Whether bytes begin as layers do: gzip, zstd (also its skippable frames), or tar.
fn looks_like_a_layer(head: &[u8]) -> bool {
    let zstd_skippable =
        |h: &[u8]| h.len() >= 4 && h[0] & 0xf0 == 0x50 && h[1..4] == [0x2a, 0x4d, 0x18];
    head.starts_with(&[0x1f, 0x8b])
        || head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        || zstd_skippable(head)
        || head.get(257..262) == Some(b"ustar".as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_told_from_documents() {
        let check = |head: &[u8], expected: bool| {
            assert_eq!(looks_like_a_layer(head), expected, "{head:?}")
        };
        check(&[0x1f, 0x8b, 8, 0], true);
        check(&[0x28, 0xb5, 0x2f, 0xfd], true);
        check(&[0x5e, 0x2a, 0x4d, 0x18], true);
        let mut tar = [0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        check(&tar, true);
        check(b"{\"architecture\":\"amd64\"}", false);
        check(b"", false);
    }
}
