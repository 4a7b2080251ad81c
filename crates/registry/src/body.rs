//! Takes a body from the network to disk, hashing on the way.
//!
//! While one batch is being written and hashed, on two threads, the next one
//! is collected. No thread waits for a slow client, and at most two batches
//! are in memory.

use std::pin::Pin;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use store::{StoreError, UploadWriter};

use crate::sessions::Running;
use crate::uploads::UploadError;

/// A request body. An error means that the client went away.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>;

/// Bytes that are written at a time.
const BATCH_BYTES: usize = 1 << 20;
/// Pieces in a batch; a client that sends byte by byte must not cost a
/// megabyte of bookkeeping.
const BATCH_PIECES_MAX: usize = 512;

struct Batch {
    pieces: Vec<Bytes>,
    bytes: u64,
    /// The body is at its end, well or badly.
    end: Option<Result<(), std::io::Error>>,
}

async fn collect(body: &mut ByteStream) -> Batch {
    let mut batch = Batch { pieces: Vec::new(), bytes: 0, end: None };
    while batch.bytes < BATCH_BYTES as u64 && batch.pieces.len() < BATCH_PIECES_MAX {
        match body.next().await {
            Some(Ok(piece)) if piece.is_empty() => {}
            Some(Ok(piece)) => {
                batch.bytes += piece.len() as u64;
                batch.pieces.push(piece);
            }
            Some(Err(error)) => {
                batch.end = Some(Err(error));
                break;
            }
            None => {
                batch.end = Some(Ok(()));
                break;
            }
        }
    }
    batch
}

/// Hashes away from the runtime's threads. `None` stays `None`.
async fn hash(running: Option<Running>, pieces: Vec<Bytes>) -> Option<Running> {
    let mut running = running?;
    tokio::task::spawn_blocking(move || {
        for piece in &pieces {
            running.hasher.update(piece);
            running.hashed += piece.len() as u64;
        }
        running
    })
    .await
    // A lost hash is taken from the file again.
    .ok()
}

/// Appends the whole body. What arrived before an error stays in the upload.
/// `running` covers exactly what was written when this returns, or is `None`.
///
/// At most `limit` bytes are taken; `grew` hears the upload's size after each
/// batch.
pub(crate) async fn pump(
    mut body: ByteStream,
    writer: &mut dyn UploadWriter,
    running: &mut Option<Running>,
    limit: u64,
    grew: impl Fn(u64),
) -> Result<u64, UploadError> {
    let mut received = 0;
    let mut batch = collect(&mut body).await;
    loop {
        let end = batch.end.take();
        if received + batch.bytes > limit {
            return Err(UploadError::TooManyBytes { limit });
        }
        if !batch.pieces.is_empty() {
            received += batch.bytes;
            let hashing = hash(running.take(), batch.pieces.clone());
            let writing = writer.append(std::mem::take(&mut batch.pieces));
            let next = async { if end.is_none() { Some(collect(&mut body).await) } else { None } };
            let (hashed, written, next): (_, Result<u64, StoreError>, _) =
                tokio::join!(hashing, writing, next);
            grew(written?);
            *running = hashed;
            if let Some(next) = next {
                batch = next;
                continue;
            }
        }
        match end {
            Some(Ok(())) => return Ok(received),
            Some(Err(source)) => return Err(UploadError::BodyBroke { received, source }),
            None => batch = collect(&mut body).await,
        }
    }
}
