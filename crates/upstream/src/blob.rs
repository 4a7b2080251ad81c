//! A blob on its way: when the connection breaks, the rest is asked for.

use std::io;

use bytes::Bytes;
use futures::stream;
use oci::Digest;
use registry::ByteStream;
use registry::upstream::{Remote, UpstreamError};
use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};

use crate::body::chain;
use crate::client::HttpUpstream;
use crate::retry;

/// How often one blob is taken up again after its connection broke.
const RESUMES_MAX: u32 = 16;

struct Download {
    client: HttpUpstream,
    remote: Remote,
    digest: Digest,
    /// Where the next byte comes from; `None` after a break.
    response: Option<Response>,
    /// Bytes that were passed on.
    position: u64,
    /// Bytes of the current response that were passed on before.
    skip: u64,
    size: Option<u64>,
    resumes: u32,
}

/// The bytes of a blob, of which the first response is there already.
pub fn download(
    client: HttpUpstream,
    remote: Remote,
    digest: Digest,
    response: Response,
    size: Option<u64>,
) -> ByteStream {
    let start = Download {
        client,
        remote,
        digest,
        response: Some(response),
        position: 0,
        skip: 0,
        size,
        resumes: 0,
    };
    Box::pin(stream::try_unfold(start, |mut download| async move {
        let piece = download.next().await.map_err(io::Error::other)?;
        Ok(piece.map(|piece| (piece, download)))
    }))
}

impl Download {
    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        loop {
            let Some(response) = &mut self.response else {
                self.resume().await?;
                continue;
            };
            let why = match response.chunk().await {
                Ok(Some(mut chunk)) => {
                    let skipped = self.skip.min(chunk.len() as u64);
                    self.skip -= skipped;
                    let chunk = chunk.split_off(skipped as usize);
                    if chunk.is_empty() {
                        continue;
                    }
                    self.position += chunk.len() as u64;
                    if let Some(limit) = self.size.filter(|size| self.position > *size) {
                        return Err(UpstreamError::TooLarge {
                            host: self.remote.host.clone(),
                            what: self.digest.to_string(),
                            limit,
                        });
                    }
                    return Ok(Some(chunk));
                }
                Ok(None) if self.size.is_none_or(|size| self.position == size) => return Ok(None),
                Ok(None) => format!("after {} bytes", self.position),
                Err(error) => chain(&error),
            };
            self.response = None;
            self.wait(UpstreamError::BrokeOff {
                host: self.remote.host.clone(),
                what: self.digest.to_string(),
                why,
            })
            .await?;
        }
    }

    /// Waits before the next try, or gives up with what went wrong.
    async fn wait(&mut self, error: UpstreamError) -> Result<(), UpstreamError> {
        self.resumes += 1;
        if self.resumes > RESUMES_MAX {
            return Err(error);
        }
        // The first time at once: most breaks are of this connection alone.
        if self.resumes > 1 {
            match retry::wait(self.remote.patience, self.resumes - 1, &error) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
        }
        Ok(())
    }

    async fn resume(&mut self) -> Result<(), UpstreamError> {
        let response = self.client.ask_blob(&self.remote, &self.digest, self.position).await?;
        self.skip = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = response.headers().get(CONTENT_RANGE).and_then(|v| v.to_str().ok());
                if range.and_then(first_byte) != Some(self.position) {
                    return Err(UpstreamError::Malformed {
                        host: self.remote.host.clone(),
                        expected: "the rest of a blob",
                        why: format!("asked from byte {}, it sent {range:?}", self.position),
                    });
                }
                0
            }
            // It knows no ranges: what was passed on already is left out.
            _ => self.position,
        };
        self.response = Some(response);
        Ok(())
    }
}

/// `bytes 100-199/200`
fn first_byte(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}
