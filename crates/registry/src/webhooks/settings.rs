//! What a webhook may be set to.

use std::collections::{BTreeMap, BTreeSet};

use store::StoreError;
use store::webhooks::{Webhook, WebhookAction, WebhookFormat};
use uuid::Uuid;

use super::scope::SCOPE_BYTES_MAX;
use super::{SECRET_PREFIX, WEBHOOKS_MAX, Webhooks};

/// Length of a webhook's name, as in Azure.
pub const NAME_CHARS: std::ops::RangeInclusive<usize> = 5..=50;
/// Longest address.
pub const URI_BYTES_MAX: usize = 2048;
/// Most headers of its own.
pub const HEADERS_MAX: usize = 50;
/// Longest header, name and value together.
pub const HEADER_BYTES_MAX: usize = 4096;
/// Longest secret.
pub const SECRET_BYTES_MAX: usize = 256;

/// Settings of a webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Letters and digits.
    pub name: String,
    /// `https://...`, or `http://...`.
    pub service_uri: String,
    /// Headers to send along.
    pub headers: BTreeMap<String, String>,
    /// At least one.
    pub actions: BTreeSet<WebhookAction>,
    /// See [`super::scope`].
    pub scope: String,
    /// Whether anything is sent.
    pub enabled: bool,
    /// The shape of what is sent.
    pub format: WebhookFormat,
    /// Key of the signatures; `None` keeps what there is, or makes one.
    pub secret: Option<String>,
}

/// Why a webhook was not stored.
#[derive(Debug, thiserror::Error)]
pub enum PutWebhookError {
    /// A setting that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// More than [`WEBHOOKS_MAX`].
    #[error("there are {WEBHOOKS_MAX} webhooks already, the most there may be; delete one first")]
    TooMany,
    /// Storage failed.
    #[error("cannot store the webhook: {0}")]
    Store(#[from] StoreError),
}

fn check(settings: &WebhookSettings) -> Result<(), String> {
    let WebhookSettings { name, service_uri, headers, actions, scope, .. } = settings;
    let word = |c: char| c.is_ascii_alphanumeric();
    if !NAME_CHARS.contains(&name.len()) || !name.chars().all(word) {
        return Err(format!(
            "a webhook's name has {} to {} letters and digits, and {name:?} has not",
            NAME_CHARS.start(),
            NAME_CHARS.end()
        ));
    }
    let host = service_uri.strip_prefix("https://").or_else(|| service_uri.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_graphic();
    if !host.is_some_and(|h| !h.is_empty() && !h.starts_with('/'))
        || !service_uri.chars().all(plain)
        || service_uri.len() > URI_BYTES_MAX
    {
        return Err(format!(
            "the service URI must be https://... or http://..., with at most {URI_BYTES_MAX} bytes"
        ));
    }
    if actions.is_empty() || actions.contains(&WebhookAction::Ping) {
        return Err("name at least one of the actions push, delete, quarantine; a ping is sent when asked for".into());
    }
    if scope.len() > SCOPE_BYTES_MAX || !scope.chars().all(plain) {
        return Err(format!(
            "a scope is empty, REPOSITORY or REPOSITORY:TAG, each with or without * at its end, and has at most {SCOPE_BYTES_MAX} bytes"
        ));
    }
    if headers.len() > HEADERS_MAX {
        return Err(format!("a webhook has at most {HEADERS_MAX} headers of its own"));
    }
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    for (name, value) in headers {
        let fits = name.len() + value.len() <= HEADER_BYTES_MAX;
        let text = value.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        if name.is_empty() || !name.chars().all(token) || !text || !fits {
            return Err(format!("{name:?} and its value cannot be a header"));
        }
    }
    if settings.secret.as_ref().is_some_and(|s| s.is_empty() || s.len() > SECRET_BYTES_MAX) {
        return Err(format!("a secret has 1 to {SECRET_BYTES_MAX} bytes"));
    }
    Ok(())
}

impl Webhooks {
    /// Makes a webhook or changes the one of that name; gives it as it is now.
    pub async fn put(&self, settings: WebhookSettings) -> Result<Webhook, PutWebhookError> {
        check(&settings).map_err(PutWebhookError::Invalid)?;
        let before = self.store.webhook(&settings.name).await?;
        if before.is_none() && self.store.webhooks().await?.len() >= WEBHOOKS_MAX {
            return Err(PutWebhookError::TooMany);
        }
        let kept = before.as_ref().map(|webhook| webhook.secret.clone());
        let webhook = Webhook {
            id: before.as_ref().map_or_else(Uuid::new_v4, |webhook| webhook.id),
            name: settings.name,
            service_uri: settings.service_uri,
            headers: settings.headers,
            actions: settings.actions,
            scope: settings.scope,
            enabled: settings.enabled,
            format: settings.format,
            secret: settings.secret.or(kept).unwrap_or_else(fresh_secret),
            created_at: before.map_or_else(|| (self.clock)(), |webhook| webhook.created_at),
        };
        self.store.put_webhook(&webhook).await?;
        Ok(webhook)
    }
}

/// 244 random bits.
fn fresh_secret() -> String {
    use base64::Engine;
    let bytes = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    format!("{SECRET_PREFIX}{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> WebhookSettings {
        WebhookSettings {
            name: "hook1".into(),
            service_uri: "https://a.example/x?y=z".into(),
            headers: [("Authorization".to_owned(), "Bearer x".to_owned())].into(),
            actions: [WebhookAction::Push].into(),
            scope: String::new(),
            enabled: true,
            format: WebhookFormat::Acr,
            secret: None,
        }
    }

    fn check_settings(change: impl FnOnce(&mut WebhookSettings), expected: bool) {
        let mut settings = settings();
        change(&mut settings);
        assert_eq!(check(&settings).is_ok(), expected, "{}", settings.service_uri);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        check_settings(|_| {}, true);
        check_settings(|s| s.name = "four".into(), false);
        check_settings(|s| s.name = "with-dash".into(), false);
        check_settings(|s| s.service_uri = "ftp://a".into(), false);
        check_settings(|s| s.service_uri = "https://".into(), false);
        check_settings(|s| s.service_uri = "https:///path".into(), false);
        check_settings(|s| s.service_uri = "https://a/\r\nx".into(), false);
        check_settings(|s| s.actions.clear(), false);
        check_settings(|s| s.actions = [WebhookAction::Ping].into(), false);
        check_settings(|s| s.headers = [("a b".to_owned(), String::new())].into(), false);
        check_settings(|s| s.headers = [("a".to_owned(), "x\ny".to_owned())].into(), false);
        check_settings(|s| s.scope = "a b".into(), false);
        check_settings(|s| s.secret = Some(String::new()), false);
    }
}
