//! Ranges of objects as streams.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange};
use oci::Digest;
use store::RangeReader;

use super::find::{Finder, Place};

/// How often a stream that breaks off without having brought anything is asked
/// for anew; the client of the store tries again by itself before.
const RESUMES_MAX: u32 = 3;

/// Reads one object.
#[derive(Debug, Clone)]
pub(super) struct ObjectReader {
    finder: Arc<Finder>,
    /// The blob that it is.
    digest: Option<Digest>,
    key: Path,
}

impl ObjectReader {
    /// A blob that was found.
    pub fn of_blob(finder: Arc<Finder>, digest: Digest, place: Place) -> Self {
        Self { finder, digest: Some(digest), key: place.key }
    }

    /// An object that is no blob yet.
    pub fn of_key(finder: Arc<Finder>, key: Path) -> Self {
        Self { finder, digest: None, key }
    }

    async fn open(&self, range: Range<u64>) -> object_store::Result<Body> {
        let range = Some(GetRange::Bounded(range));
        let options = GetOptions { range, ..GetOptions::default() };
        let got = self.finder.client.store.get_opts(&self.key, options).await?;
        Ok(got.into_stream())
    }

    /// Where the blob is now: another server may have deleted it and stored it
    /// again since it was found.
    async fn find_again(&mut self) -> bool {
        let Some(digest) = self.digest else { return false };
        self.finder.forget(&digest);
        match self.finder.find(&digest).await {
            Ok(Some(place)) if place.key != self.key => {
                self.key = place.key;
                true
            }
            _ => false,
        }
    }
}

type Body = BoxStream<'static, object_store::Result<Bytes>>;

struct Reading {
    reader: ObjectReader,
    rest: Range<u64>,
    body: Option<Body>,
    /// Failures since the last byte.
    failures: u32,
}

impl Reading {
    /// The next piece; `None` at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.rest.is_empty() {
            match self.try_next().await {
                Ok(Some(piece)) if piece.is_empty() => {}
                Ok(Some(piece)) => {
                    let bytes = piece.len() as u64;
                    if bytes > self.rest.end - self.rest.start {
                        return Err(io::Error::other(
                            "the object store sent more than was asked for",
                        ));
                    }
                    self.rest.start += bytes;
                    self.failures = 0;
                    return Ok(Some(piece));
                }
                // Ends the connection: better than a body of the wrong length.
                Ok(None) if self.failures >= RESUMES_MAX => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Err(error) if self.failures >= RESUMES_MAX => return Err(error_of(error)),
                Ok(None) => self.again(),
                Err(Error::NotFound { path, source }) => {
                    if !self.reader.find_again().await {
                        return Err(error_of(Error::NotFound { path, source }));
                    }
                    self.again();
                }
                Err(error) => {
                    tracing::debug!(%error, key = %self.reader.key, "a blob broke off and is asked for again");
                    self.again();
                }
            }
        }
        Ok(None)
    }

    fn again(&mut self) {
        self.failures += 1;
        self.body = None;
    }

    async fn try_next(&mut self) -> object_store::Result<Option<Bytes>> {
        let body = match &mut self.body {
            Some(body) => body,
            none => none.insert(self.reader.open(self.rest.clone()).await?),
        };
        body.try_next().await
    }
}

fn error_of(error: Error) -> io::Error {
    let kind = match error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl RangeReader for ObjectReader {
    fn read_range(&self, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        let reading = Reading { reader: self.clone(), rest: range, body: None, failures: 0 };
        stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|piece| (piece, reading)))
        })
        .boxed()
    }
}
