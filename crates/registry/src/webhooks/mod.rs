//! Webhooks: tells others what happened, until they have heard it.
//!
//! ```text
//! event --> one delivery (a row) for each webhook that wants it
//!             |
//!             +--> pending --try--> delivered
//!                     ^      |
//!                     +------+ no: tried again, ever later, then failed
//! ```
//!
//! A delivery is a row before anything is sent, so a restart or another replica
//! goes on with it; the other side may hear a thing twice (the id says so) and
//! rarely in another order.

mod events;
pub mod payload;
pub mod scope;
pub mod settings;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use store::StoreError;
use store::webhooks::{
    Delivery, DeliveryAttempt, DeliveryState, Webhook, WebhookAction, WebhookStore,
};
use time::OffsetDateTime;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::Clock;
use payload::{EventTarget, RegistryEvent};

/// Most webhooks of an installation.
pub const WEBHOOKS_MAX: usize = 500;
/// How long after each failed try the next one is made; after the last, it is
/// given up: about a day in all.
pub const RETRY_AFTER: [Duration; 7] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(6 * 3600),
    Duration::from_secs(16 * 3600),
];
/// Longest wait that the other side may ask for by `Retry-After`.
pub const RETRY_AFTER_ASKED_MAX: Duration = Duration::from_secs(24 * 3600);
/// Deliveries under way at once.
pub const DELIVERIES_AT_ONCE: usize = 16;
/// Time that whoever took a delivery has for it.
const LEASE: Duration = Duration::from_secs(120);
/// Ended deliveries are kept this long for the log.
pub const DELIVERY_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Rows that are forgotten at a time.
const FORGOTTEN_AT_ONCE: u32 = 1000;
/// Bytes of an answer that the log keeps.
pub const ANSWER_BYTES_MAX: usize = 2048;

/// What a secret of Standard Webhooks begins with.
pub const SECRET_PREFIX: &str = "whsec_";

/// How the other side answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// HTTP status.
    pub status: u16,
    /// The beginning of the body, at most [`ANSWER_BYTES_MAX`] bytes.
    pub body: String,
    /// When the other side wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// One HTTP POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRequest {
    /// Where.
    pub uri: String,
    /// Names and values; the webhook's own first.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: String,
}

/// Whoever can post; an edge crate does. An error is why there was no answer.
#[async_trait]
pub trait WebhookSender: Send + Sync {
    /// Posts once, within a time of its own, following no redirect.
    async fn post(&self, request: WebhookRequest) -> Result<WebhookAnswer, String>;
}

/// The use cases of webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    store: Arc<dyn WebhookStore>,
    sender: Arc<dyn WebhookSender>,
    clock: Clock,
    /// Resource id of the registry, the source of its CloudEvents.
    source: Arc<str>,
    fresh: Arc<Notify>,
}

impl Webhooks {
    /// `source` names the registry, as a resource id.
    pub fn new(
        store: Arc<dyn WebhookStore>,
        sender: Arc<dyn WebhookSender>,
        clock: Clock,
        source: Arc<str>,
    ) -> Self {
        Self { store, sender, clock, source, fresh: Arc::default() }
    }

    /// Writes down what is to be sent because of some events. When it returns,
    /// they will be sent.
    pub async fn record(&self, events: &[RegistryEvent]) -> Result<(), StoreError> {
        let webhooks = self.store.webhooks().await?;
        let mut deliveries = Vec::new();
        for event in events {
            for webhook in webhooks.iter().filter(|webhook| wants(webhook, event)) {
                deliveries.push(self.delivery(webhook, event));
            }
        }
        if !deliveries.is_empty() {
            self.store.add_deliveries(&deliveries).await?;
            self.fresh.notify_one();
        }
        Ok(())
    }

    /// Has a ping sent, whatever the webhook wants to hear of; gives its id.
    pub async fn ping(&self, webhook: &Webhook) -> Result<Uuid, StoreError> {
        let event = RegistryEvent {
            action: WebhookAction::Ping,
            at: (self.clock)(),
            target: None,
            request: access::RequestInfo::default(),
        };
        let delivery = self.delivery(webhook, &event);
        self.store.add_deliveries(std::slice::from_ref(&delivery)).await?;
        self.fresh.notify_one();
        Ok(delivery.id)
    }

    fn delivery(&self, webhook: &Webhook, event: &RegistryEvent) -> Delivery {
        let id = Uuid::new_v4();
        Delivery {
            id,
            webhook_id: webhook.id,
            action: event.action,
            created_at: event.at,
            body: payload::body(event, webhook.format, id, &self.source),
            state: DeliveryState::Pending(event.at),
            attempts: 0,
            last: None,
        }
    }

    /// Tries everything that is due, and says how many tries that were.
    pub async fn deliver_due(&self) -> Result<usize, StoreError> {
        let mut tries = 0;
        loop {
            let now = (self.clock)();
            let due =
                self.store.claim_deliveries(now, now + LEASE, DELIVERIES_AT_ONCE as u32).await?;
            if due.is_empty() {
                return Ok(tries);
            }
            tries += due.len();
            let mut running = futures::stream::iter(due)
                .map(|(delivery, webhook)| self.try_once(delivery, webhook))
                .buffer_unordered(DELIVERIES_AT_ONCE);
            while let Some(outcome) = running.next().await {
                outcome?;
            }
        }
    }

    async fn try_once(&self, delivery: Delivery, webhook: Webhook) -> Result<(), StoreError> {
        let at = (self.clock)();
        let began = std::time::Instant::now();
        let outcome = if webhook.enabled {
            self.sender.post(request(&delivery, &webhook, at)).await
        } else {
            Err("the webhook was switched off".into())
        };
        let state = match &outcome {
            Ok(answer) if (200..300).contains(&answer.status) => DeliveryState::Delivered,
            _ if !webhook.enabled => DeliveryState::Failed,
            other => {
                let asked = other.as_ref().ok().and_then(|answer| answer.retry_after);
                match next_try(delivery.attempts, asked) {
                    Some(wait) => DeliveryState::Pending((self.clock)() + wait),
                    None => DeliveryState::Failed,
                }
            }
        };
        let (status, answer) = match outcome {
            Ok(answer) => (Some(answer.status), answer.body),
            Err(reason) => (None, reason),
        };
        let attempt = DeliveryAttempt { at, took: began.elapsed(), status, answer };
        self.store.finish_attempt(delivery.id, &attempt, state).await
    }

    /// Forgets deliveries that ended long ago.
    pub async fn forget_old(&self) -> Result<u64, StoreError> {
        let before = (self.clock)() - DELIVERY_KEPT;
        let mut forgotten = 0;
        loop {
            match self.store.forget_deliveries(before, FORGOTTEN_AT_ONCE).await? {
                0 => return Ok(forgotten),
                some => forgotten += some,
            }
        }
    }

    /// Returns when something new is to be sent.
    pub async fn fresh(&self) {
        self.fresh.notified().await;
    }
}

/// The wait before the next try, after `failed` tries before this one.
fn next_try(failed: u32, asked: Option<Duration>) -> Option<Duration> {
    let wait = RETRY_AFTER.get(failed as usize)?;
    Some(asked.map_or(*wait, |asked| asked.min(RETRY_AFTER_ASKED_MAX).max(*wait)))
}

fn wants(webhook: &Webhook, event: &RegistryEvent) -> bool {
    let covered = |target: &EventTarget| {
        scope::covers(&webhook.scope, &target.repository, target.tag.as_deref())
    };
    webhook.enabled
        && webhook.actions.contains(&event.action)
        && event.target.as_ref().is_none_or(covered)
}

/// Signed as Standard Webhooks says, so that receivers have libraries for it:
/// HMAC-SHA256 over `id.timestamp.body`.
fn request(delivery: &Delivery, webhook: &Webhook, now: OffsetDateTime) -> WebhookRequest {
    let (id, timestamp) = (delivery.id.to_string(), now.unix_timestamp().to_string());
    let signature =
        signature(&webhook.secret, &[&id, &timestamp, &delivery.body].map(String::as_str));
    let mut headers: Vec<_> =
        webhook.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let ours = [
        ("content-type", payload::content_type(webhook.format).to_owned()),
        ("webhook-id", id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", format!("v1,{signature}")),
    ];
    headers.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    WebhookRequest { uri: webhook.service_uri.clone(), headers, body: delivery.body.clone() }
}

/// Base64 of the HMAC-SHA256 over the parts with dots between them. A secret
/// that begins with [`SECRET_PREFIX`] is the key in base64.
pub fn signature(secret: &str, parts: &[&str]) -> String {
    use base64::Engine;
    use hmac::{Hmac, KeyInit, Mac};
    let standard = &base64::engine::general_purpose::STANDARD;
    let key = match secret.strip_prefix(SECRET_PREFIX).map(|text| standard.decode(text)) {
        Some(Ok(key)) => key,
        _ => secret.as_bytes().to_vec(),
    };
    // A key may have any length.
    let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(&key) else {
        return String::new();
    };
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            mac.update(b".");
        }
        mac.update(part.as_bytes());
    }
    standard.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(failed: u32, asked_secs: Option<u64>, expected_secs: Option<u64>) {
        let wait = next_try(failed, asked_secs.map(Duration::from_secs));
        assert_eq!(wait.map(|w| w.as_secs()), expected_secs, "{failed} {asked_secs:?}");
    }

    #[test]
    fn tries_come_ever_later_and_end() {
        check(0, None, Some(10));
        check(0, Some(3), Some(10));
        check(0, Some(90), Some(90));
        check(0, Some(u64::MAX), Some(24 * 3600));
        check(6, None, Some(16 * 3600));
        check(7, None, None);
        check(7, Some(5), None);
    }

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        // Computed with another implementation.
        let expected = "5PVmP2AfJGwnp9flV+flrzfukNWA9zyUdqvI+IQalVs=";
        assert_eq!(signature("key", &["id", "1", "{}"]), expected);
        assert_eq!(signature("whsec_a2V5", &["id", "1", "{}"]), expected);
    }
}
