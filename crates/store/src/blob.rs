//! One finished blob, open for reading, wherever its bytes lie.

use std::any::Any;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

/// Bytes that are read from a file at a time; two such pieces are in memory
/// per reader.
const PIECE_BYTES: u64 = 512 << 10;

/// A finished blob, open for reading.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Size in bytes.
    pub size: u64,
    /// Where its bytes come from.
    pub source: BlobSource,
}

/// Where the bytes of a blob come from.
#[derive(Debug, Clone)]
pub enum BlobSource {
    /// A local file, which stays readable if the blob is deleted. Its position
    /// means nothing: it is shared with whoever else has it.
    File(Arc<File>),
    /// Something that is asked for ranges. May break off if the blob is deleted.
    Object(Arc<dyn RangeReader>),
}

/// Reads parts of an object.
pub trait RangeReader: Send + Sync + std::fmt::Debug {
    /// The bytes of `range` in order, and not one more is asked for. `range`
    /// lies within the object and is not empty. Nothing happens before the
    /// stream is polled; after an error it is over.
    fn read_range(&self, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>>;
}

/// A blob as a file of this machine, for those who need a descriptor.
#[derive(Debug)]
pub struct BlobFile {
    /// Positioned at the first byte, and shared with nobody.
    pub file: File,
    /// Size in bytes.
    pub size: u64,
    /// What has to live as long as the file is used, such as its share of the
    /// scratch space.
    pub held: Option<Box<dyn Any + Send + Sync>>,
}

impl Blob {
    /// Part of the blob in order; `range` lies within it. A source that ends
    /// early is an error and not a short answer.
    pub fn stream(&self, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        if range.is_empty() {
            return stream::empty().boxed();
        }
        match &self.source {
            BlobSource::File(file) => file_pieces(Arc::clone(file), range).boxed(),
            BlobSource::Object(object) => object.read_range(range),
        }
    }

    /// The first `limit` bytes, or as many as there are.
    pub async fn read_up_to(&self, limit: u64) -> io::Result<Vec<u8>> {
        let end = self.size.min(limit);
        let empty = Vec::with_capacity(usize::try_from(end).unwrap_or(0));
        self.stream(0..end)
            .try_fold(empty, |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            })
            .await
    }
}

type Reading = tokio::task::JoinHandle<io::Result<Bytes>>;

/// Part of a file in large pieces; the next one is read while one is used.
fn file_pieces(
    file: Arc<File>,
    range: Range<u64>,
) -> impl futures::Stream<Item = io::Result<Bytes>> {
    enum State {
        Start,
        /// The piece that ends at this byte is being read.
        Reading(Reading, u64),
    }
    let end = range.end;
    let read = move |at: u64| {
        let (file, bytes) = (Arc::clone(&file), (end - at).min(PIECE_BYTES));
        let task = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; bytes as usize];
            file.read_exact_at(&mut piece, at)?;
            Ok(Bytes::from(piece))
        });
        State::Reading(task, at + bytes)
    };
    stream::unfold(Some(State::Start), move |state| {
        let state = match state {
            Some(State::Start) => Some(read(range.start)),
            other => other,
        };
        let read = read.clone();
        async move {
            let Some(State::Reading(task, next)) = state else { return None };
            match task.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok(piece) if next == end => Some((Ok(piece), None)),
                Ok(piece) => Some((Ok(piece), Some(read(next)))),
                Err(error) => Some((Err(error), None)),
            }
        }
    })
}

/// Bytes that are in memory already.
impl RangeReader for Bytes {
    fn read_range(&self, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
        let part = match at(range.end) <= self.len() {
            true => Ok(self.slice(at(range.start)..at(range.end))),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        stream::iter([part]).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn a_file_is_read_piece_by_piece() {
        let bytes: Vec<u8> = (0..PIECE_BYTES * 2 + 7).map(|n| (n % 251) as u8).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("blob");
        File::create(&path).and_then(|mut f| f.write_all(&bytes)).expect("a file");
        let source = BlobSource::File(Arc::new(File::open(&path).expect("it is there")));
        let blob = Blob { size: bytes.len() as u64, source };
        let check = async |range: Range<u64>| {
            let read: Vec<Bytes> = blob.stream(range.clone()).try_collect().await.expect("bytes");
            assert!(read.iter().all(|piece| piece.len() as u64 <= PIECE_BYTES));
            assert_eq!(read.concat(), &bytes[range.start as usize..range.end as usize]);
        };
        check(0..bytes.len() as u64).await;
        check(0..PIECE_BYTES).await;
        check(PIECE_BYTES - 1..PIECE_BYTES + 1).await;
        check(5..5).await;
        assert_eq!(blob.read_up_to(3).await.expect("bytes"), &bytes[..3]);
        assert_eq!(blob.read_up_to(u64::MAX).await.expect("bytes"), bytes);

        let longer = Blob { size: blob.size + 1, ..blob.clone() };
        let read: io::Result<Vec<Bytes>> = longer.stream(0..longer.size).try_collect().await;
        assert_eq!(read.expect_err("too short").kind(), io::ErrorKind::UnexpectedEof);
    }
}
