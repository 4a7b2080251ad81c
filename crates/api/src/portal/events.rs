//! Server-sent events: hints to read again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use http::Request;
use http::request::Parts;
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::PortalState;
use super::convert;
use super::error::{ApiError, Kind};
use super::request::may_look_on;
use super::types::{AdvisoriesEvent, ImageEvent, ImageRef, RepositoryEvent, ScanProgress};
use super::view::ScanEvent;

/// Streams open at once; each is a connection.
const STREAMS_MAX: usize = 512;
/// How often a silent stream says that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often a stream asks whether its reader may still read.
const RECHECK: Duration = Duration::from_secs(60);

/// Counts the streams of one server.
fn streams() -> &'static Arc<Semaphore> {
    static STREAMS: std::sync::LazyLock<Arc<Semaphore>> =
        std::sync::LazyLock::new(|| Arc::new(Semaphore::new(STREAMS_MAX)));
    &STREAMS
}

pub(super) async fn stream_events(
    State(state): State<PortalState>,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    may_look_on(&parts, &state).await?;
    let room = Arc::clone(streams()).try_acquire_owned();
    let room = room.map_err(|_| {
        ApiError::new(
            Kind::Busy,
            "Too many event streams are open. Close a window, or read without them.",
        )
    })?;
    let events = state.inspections.view.subscribe();
    let recheck = tokio::time::interval(RECHECK);
    // Headers go out with the first bytes: without a comment at once the client
    // would take a silent stream for one that is not open yet.
    let ready = vec![Event::default().comment("")];
    let reader = EventReader { state, parts, events, recheck, ready, _room: room };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(stream(reader)).keep_alive(keep_alive).into_response())
}

struct EventReader {
    state: PortalState,
    parts: Parts,
    events: Receiver<ScanEvent>,
    recheck: tokio::time::Interval,
    /// Made and not sent yet, the next one last.
    ready: Vec<Event>,
    _room: OwnedSemaphorePermit,
}

/// Ends when the server stops, when the reader may not read any more, and when
/// it fell behind: a client reads everything again after it comes back, which is
/// what it must do then anyhow.
fn stream(reader: EventReader) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(reader, |mut reader| async move {
        loop {
            if let Some(event) = reader.ready.pop() {
                return Some((Ok(event), reader));
            }
            tokio::select! {
                received = reader.events.recv() => match received {
                    Ok(event) => reader.ready = wire_events(&reader.state, event).await,
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
                },
                _ = reader.recheck.tick() => {
                    if may_look_on(&reader.parts, &reader.state).await.is_err() {
                        return None;
                    }
                }
            }
        }
    })
}

/// An image has an event for each repository that holds it.
async fn wire_events(state: &PortalState, event: ScanEvent) -> Vec<Event> {
    match event {
        ScanEvent::Advisories { snapshot } => {
            one("advisories", &AdvisoriesEvent { snapshot: Some(snapshot) }).into_iter().collect()
        }
        ScanEvent::Repository(repository) => {
            let registry = state.registry_name.to_string();
            let event = RepositoryEvent { registry, repository: repository.to_string() };
            one("repository", &event).into_iter().collect()
        }
        ScanEvent::Image { digest, progress } => {
            match image_events(state, digest, progress).await {
                Ok(events) => events,
                Err(error) => {
                    tracing::warn!(%digest, %error, "an event about an image is left out");
                    Vec::new()
                }
            }
        }
    }
}

async fn image_events(
    state: &PortalState,
    digest: oci::Digest,
    progress: Option<super::view::ScanProgress>,
) -> Result<Vec<Event>, store::StoreError> {
    let mut events = Vec::new();
    for place in state.inspections.catalog.places(&digest).await? {
        let Some(mut image) = state.inspections.image(&place.repository, &digest).await? else {
            continue;
        };
        // What the event says of the scan is newer than what can be asked for.
        image.state.progress = progress;
        let scan = convert::scan(&image);
        let event = ImageEvent {
            image: ImageRef {
                registry: state.registry_name.to_string(),
                repository: place.repository.to_string(),
                digest: digest.to_string(),
                tags: place.tags.iter().map(ToString::to_string).collect(),
            },
            status: convert::status(image.state.verdict.status),
            scan: ScanProgress { state: scan.state, stage: scan.stage },
        };
        events.extend(one("image", &event));
    }
    Ok(events)
}

fn one(name: &str, data: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(data).ok()
}
