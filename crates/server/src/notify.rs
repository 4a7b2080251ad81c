//! Carries the registry's events to webhooks, off the request's path.

use std::time::Duration;

use registry::webhooks::Webhooks;
use registry::webhooks::payload::RegistryEvent;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Events that may wait for the database; more are dropped, counted and logged.
const EVENTS_QUEUED_MAX: usize = 10_000;
/// Events written in one transaction.
const EVENTS_AT_ONCE: usize = 500;
/// How often due retries are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often old deliveries are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// Where events go in.
#[derive(Clone)]
pub struct Notifier(mpsc::Sender<RegistryEvent>);

impl Notifier {
    /// Never waits.
    pub fn tell(&self, event: RegistryEvent) {
        if self.0.try_send(event).is_err() {
            metrics::counter!("lazaret_webhook_events_dropped_total").increment(1);
            tracing::error!("an event for webhooks was dropped: the database is too slow");
        }
    }
}

/// Makes the way in and the task that empties it.
pub fn channel() -> (Notifier, mpsc::Receiver<RegistryEvent>) {
    let (sender, receiver) = mpsc::channel(EVENTS_QUEUED_MAX);
    (Notifier(sender), receiver)
}

/// Writes events down; after `drained`, only what has been told by then.
pub async fn record(
    webhooks: Webhooks,
    mut events: mpsc::Receiver<RegistryEvent>,
    drained: CancellationToken,
) {
    let mut batch = Vec::new();
    loop {
        let received = tokio::select! {
            biased;
            received = events.recv_many(&mut batch, EVENTS_AT_ONCE) => received,
            () = drained.cancelled() => 0,
        };
        if received == 0 {
            return;
        }
        if let Err(error) = webhooks.record(&batch).await {
            metrics::counter!("lazaret_webhook_events_dropped_total").increment(batch.len() as u64);
            tracing::error!(%error, events = batch.len(), "events for webhooks were lost");
        }
        batch.clear();
    }
}

/// Sends what is due until told to stop; what is being sent then is sent again
/// by the next start.
pub async fn deliver(webhooks: Webhooks, stop: CancellationToken) {
    let mut forgot = None::<std::time::Instant>;
    while !stop.is_cancelled() {
        match webhooks.deliver_due().await {
            Ok(tries) => {
                metrics::counter!("lazaret_webhook_tries_total").increment(tries as u64);
            }
            Err(error) => tracing::error!(%error, "cannot deliver to webhooks"),
        }
        if forgot.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
            forgot = Some(std::time::Instant::now());
            if let Err(error) = webhooks.forget_old().await {
                tracing::error!(%error, "cannot forget old deliveries");
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = webhooks.fresh() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
