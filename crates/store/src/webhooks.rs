//! Webhooks: who wants to hear of what, and the log of what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::StoreError;

/// What a webhook can hear of (Azure Container Registry, "Webhook actions").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookAction {
    /// A manifest was accepted.
    Push,
    /// A manifest or a repository was deleted; a tag's removal is none.
    Delete,
    /// A manifest was accepted and is to be judged.
    Quarantine,
    /// Asked for by hand, to see whether the way is open.
    Ping,
}

impl WebhookAction {
    /// Every action.
    pub const ALL: [Self; 4] = [Self::Push, Self::Delete, Self::Quarantine, Self::Ping];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Quarantine => "quarantine",
            Self::Ping => "ping",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

/// The shape of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    /// As Azure Container Registry posts it.
    Acr,
    /// CloudEvents 1.0, structured JSON, with Event Grid's types.
    CloudEvents,
}

impl WebhookFormat {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acr => "acr",
            Self::CloudEvents => "cloudevents",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Acr, Self::CloudEvents].into_iter().find(|format| format.as_str() == text)
    }
}

/// Somebody who wants to hear.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Stays when it is changed.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// Where to post.
    pub service_uri: String,
    /// Headers to send along; may hold secrets.
    pub headers: BTreeMap<String, String>,
    /// What it wants to hear of.
    pub actions: BTreeSet<WebhookAction>,
    /// Which repositories and tags: empty for all, `repo`, `repo:tag`, with `*` at the end.
    pub scope: String,
    /// Whether anything is sent.
    pub enabled: bool,
    /// The shape of what is sent.
    pub format: WebhookFormat,
    /// Key of the signature on each delivery.
    pub secret: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Address, headers and secret may open doors.
        f.debug_struct("Webhook").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be tried, or tried again, at this time.
    Pending(OffsetDateTime),
    /// The other side took it.
    Delivered,
    /// Given up.
    Failed,
}

/// One try to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// When it began.
    pub at: OffsetDateTime,
    /// How long it took.
    pub took: Duration,
    /// The HTTP status; `None` when there was no answer.
    pub status: Option<u16>,
    /// The beginning of the answer's body, or what kept it from coming.
    pub answer: String,
}

/// Something to be sent, or that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The same in every try.
    pub id: Uuid,
    /// Whose it is.
    pub webhook_id: Uuid,
    /// What happened.
    pub action: WebhookAction,
    /// When it happened.
    pub created_at: OffsetDateTime,
    /// What is posted, as JSON.
    pub body: String,
    /// How far it has come.
    pub state: DeliveryState,
    /// Tries so far.
    pub attempts: u32,
    /// The last of them.
    pub last: Option<DeliveryAttempt>,
}

/// Keeps webhooks and their deliveries.
#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// After it returns, the webhook is as given; an older one of the name is replaced.
    async fn put_webhook(&self, webhook: &Webhook) -> Result<(), StoreError>;
    /// One webhook by name.
    async fn webhook(&self, name: &str) -> Result<Option<Webhook>, StoreError>;
    /// Every webhook, by name.
    async fn webhooks(&self) -> Result<Vec<Webhook>, StoreError>;
    /// After it returns, the webhook and its deliveries are gone; says whether it was there.
    async fn delete_webhook(&self, name: &str) -> Result<bool, StoreError>;

    /// After it returns, the deliveries will be tried, whatever happens to this process.
    async fn add_deliveries(&self, deliveries: &[Delivery]) -> Result<(), StoreError>;
    /// Takes deliveries that are due, with their webhooks, earliest first;
    /// nobody else gets them until `lease_until`.
    async fn claim_deliveries(
        &self,
        now: OffsetDateTime,
        lease_until: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<(Delivery, Webhook)>, StoreError>;
    /// Writes down how a try ended.
    async fn finish_attempt(
        &self,
        delivery: Uuid,
        attempt: &DeliveryAttempt,
        state: DeliveryState,
    ) -> Result<(), StoreError>;
    /// Deliveries of a webhook, newest first.
    async fn deliveries(&self, webhook: Uuid, limit: u32) -> Result<Vec<Delivery>, StoreError>;
    /// Forgets at most `limit` deliveries that ended before a time; says how many.
    async fn forget_deliveries(
        &self,
        before: OffsetDateTime,
        limit: u32,
    ) -> Result<u64, StoreError>;
}
