//! What is posted: Azure Container Registry's webhook bodies, and the same as
//! CloudEvents 1.0 with the types of Event Grid's registry schema.

use access::RequestInfo;
use serde_json::{Value, json};
use store::webhooks::{WebhookAction, WebhookFormat};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// The manifest that something happened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTarget {
    /// Its repository.
    pub repository: String,
    /// The tag concerned.
    pub tag: Option<String>,
    /// Its digest.
    pub digest: String,
    /// What it is served as.
    pub media_type: String,
    /// Its size in bytes, where it is still known.
    pub size: Option<u64>,
}

/// Something that happened, before anybody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryEvent {
    /// What.
    pub action: WebhookAction,
    /// When.
    pub at: OffsetDateTime,
    /// To what; `None` for a ping.
    pub target: Option<EventTarget>,
    /// By which request.
    pub request: RequestInfo,
}

/// The body of one delivery, as JSON text. `source` names the registry, as a
/// resource id.
pub fn body(event: &RegistryEvent, format: WebhookFormat, id: Uuid, source: &str) -> String {
    let at = event.at.format(&Rfc3339).unwrap_or_default();
    let mut data = json!({ "id": id, "timestamp": at, "action": event.action.as_str() });
    if let Some(target) = &event.target {
        data["target"] = target_json(target);
        let request = &event.request;
        data["request"] = json!({
            "id": request.id,
            "host": request.host,
            "method": request.method,
            "useragent": request.user_agent,
        });
    }
    match format {
        WebhookFormat::Acr => data.to_string(),
        WebhookFormat::CloudEvents => {
            let subject = event.target.as_ref().map_or_else(String::new, |target| {
                match (&target.tag, event.action) {
                    (Some(tag), _) => format!("{}:{tag}", target.repository),
                    (None, _) => target.repository.clone(),
                }
            });
            let mut cloud = json!({
                "specversion": "1.0",
                "id": id,
                "source": source,
                "type": kind(event.action),
                "time": at,
                "datacontenttype": "application/json",
                "data": data,
            });
            // Where there is one, it must not be empty.
            if !subject.is_empty() {
                cloud["subject"] = subject.into();
            }
            cloud.to_string()
        }
    }
}

/// `Content-Type` of a body.
pub fn content_type(format: WebhookFormat) -> &'static str {
    match format {
        WebhookFormat::Acr => "application/json; charset=utf-8",
        WebhookFormat::CloudEvents => "application/cloudevents+json; charset=utf-8",
    }
}

fn kind(action: WebhookAction) -> &'static str {
    match action {
        WebhookAction::Push => "Microsoft.ContainerRegistry.ImagePushed",
        WebhookAction::Delete => "Microsoft.ContainerRegistry.ImageDeleted",
        // Event Grid has none for these.
        WebhookAction::Quarantine => "Lazaret.Registry.ImageQuarantined",
        WebhookAction::Ping => "Lazaret.Registry.Ping",
    }
}

/// Members that are not known are left out.
fn target_json(target: &EventTarget) -> Value {
    let mut json = json!({
        "mediaType": target.media_type,
        "digest": target.digest,
        "repository": target.repository,
    });
    if let Some(size) = target.size {
        json["size"] = size.into();
        json["length"] = size.into();
    }
    if let Some(tag) = &target.tag {
        json["tag"] = tag.as_str().into();
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: WebhookAction, tag: Option<&str>) -> RegistryEvent {
        RegistryEvent {
            action,
            at: OffsetDateTime::UNIX_EPOCH,
            target: Some(EventTarget {
                repository: "hello".into(),
                tag: tag.map(Into::into),
                digest: "sha256:00".into(),
                media_type: "m".into(),
                size: tag.map(|_| 524),
            }),
            request: RequestInfo {
                id: "r".into(),
                host: "h".into(),
                method: "PUT".into(),
                user_agent: "docker".into(),
                address: None,
            },
        }
    }

    fn check(event: &RegistryEvent, format: WebhookFormat, expected: Value) {
        let body: Value =
            serde_json::from_str(&body(event, format, Uuid::nil(), "/registry")).unwrap();
        assert_eq!(body, expected);
    }

    const ID: &str = "00000000-0000-0000-0000-000000000000";

    #[test]
    fn bodies_are_as_azures() {
        let request = json!({ "id": "r", "host": "h", "method": "PUT", "useragent": "docker" });
        let push = json!({
            "id": ID,
            "timestamp": "1970-01-01T00:00:00Z",
            "action": "push",
            "target": { "mediaType": "m", "size": 524, "digest": "sha256:00", "length": 524, "repository": "hello", "tag": "v1" },
            "request": request,
        });
        check(&event(WebhookAction::Push, Some("v1")), WebhookFormat::Acr, push.clone());
        check(
            &event(WebhookAction::Delete, None),
            WebhookFormat::Acr,
            json!({
                "id": ID,
                "timestamp": "1970-01-01T00:00:00Z",
                "action": "delete",
                "target": { "mediaType": "m", "digest": "sha256:00", "repository": "hello" },
                "request": request,
            }),
        );
        check(
            &event(WebhookAction::Push, Some("v1")),
            WebhookFormat::CloudEvents,
            json!({
                "specversion": "1.0",
                "id": ID,
                "source": "/registry",
                "type": "Microsoft.ContainerRegistry.ImagePushed",
                "subject": "hello:v1",
                "time": "1970-01-01T00:00:00Z",
                "datacontenttype": "application/json",
                "data": push,
            }),
        );
    }

    #[test]
    fn a_ping_has_no_target() {
        let ping = RegistryEvent { target: None, ..event(WebhookAction::Ping, None) };
        check(
            &ping,
            WebhookFormat::Acr,
            json!({ "id": ID, "timestamp": "1970-01-01T00:00:00Z", "action": "ping" }),
        );
        let cloud = body(&ping, WebhookFormat::CloudEvents, Uuid::nil(), "/registry");
        assert!(!cloud.contains("\"subject\""), "{cloud}");
    }
}
