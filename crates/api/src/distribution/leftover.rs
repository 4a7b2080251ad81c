//! What is left of a request's body when its answer is known.
//!
//! A refusal is often decided before the body was read. Closing the connection
//! then would throw away the answer at many clients, and what they send next on
//! a connection that they think is kept. So the rest is read and dropped while
//! the answer goes out, within bounds.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::request::Parts;
use http::{Version, header};
use tokio::sync::oneshot;

/// Most bytes that are read in order to be dropped.
const LEFTOVER_BYTES_MAX: usize = 16 << 20;
/// The longest that a connection is kept for them.
const LEFTOVER_WAIT: Duration = Duration::from_secs(5);

/// A body that comes back when its reader drops it before its end.
struct Lent {
    pieces: Option<BodyDataStream>,
    back: Option<oneshot::Sender<BodyDataStream>>,
}

/// Where a lent body comes back.
pub(super) struct Leftover(Option<oneshot::Receiver<BodyDataStream>>);

/// Lends a request's body to its handler.
pub(super) fn lend(parts: &Parts, body: Body) -> (Body, Leftover) {
    // HTTP/2 ends one stream without the connection; whoever waits for a word
    // before sending (`Expect`) does not send once refused.
    let streams = parts.version > Version::HTTP_11;
    if streams || body.is_end_stream() || parts.headers.contains_key(header::EXPECT) {
        return (body, Leftover(None));
    }
    let (back, receiver) = oneshot::channel();
    let lent = Lent { pieces: Some(body.into_data_stream()), back: Some(back) };
    (Body::from_stream(lent), Leftover(Some(receiver)))
}

impl Leftover {
    /// Reads and drops what the handler did not want, beside the answer.
    pub(super) fn drop_it(self) {
        if let Some(Ok(pieces)) = self.0.map(|mut receiver| receiver.try_recv()) {
            tokio::spawn(tokio::time::timeout(LEFTOVER_WAIT, drain(pieces)));
        }
    }
}

async fn drain(mut pieces: BodyDataStream) {
    let mut bytes = 0;
    while let Some(Ok(piece)) = pieces.next().await {
        bytes += piece.len();
        if bytes > LEFTOVER_BYTES_MAX {
            return;
        }
    }
}

impl Stream for Lent {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        let next = ready!(Pin::new(pieces).poll_next(context));
        if !matches!(next, Some(Ok(_))) {
            // At its end, well or badly: nothing is left over.
            self.pieces = None;
        }
        Poll::Ready(next)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(pieces), Some(back)) = (self.pieces.take(), self.back.take()) {
            // Nobody waits for it any more once the client has gone.
            let _ = back.send(pieces);
        }
    }
}
