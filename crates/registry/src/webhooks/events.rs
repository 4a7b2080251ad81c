//! What the registry tells, as events that webhooks hear of.

use std::sync::Arc;

use access::RequestInfo;
use store::webhooks::WebhookAction;

use super::payload::{EventTarget, RegistryEvent};
use crate::{DeletedManifest, PushedManifest};

fn request(request: Option<&Arc<RequestInfo>>) -> RequestInfo {
    request.map_or_else(RequestInfo::default, |request| (**request).clone())
}

impl RegistryEvent {
    /// A push: one event for each tag, or one without. While nothing is held
    /// back, each push is told of as *push* and as *quarantine*, as Azure does
    /// it, so that scanners that wait for the latter work.
    pub fn pushed(pushed: &PushedManifest) -> Vec<Self> {
        let tags: Vec<_> = match &pushed.tags[..] {
            [] => vec![None],
            tags => tags.iter().map(|tag| Some(tag.to_string())).collect(),
        };
        let actions = [WebhookAction::Push, WebhookAction::Quarantine];
        let each = actions.into_iter().flat_map(|action| tags.iter().map(move |tag| (action, tag)));
        each.map(|(action, tag)| Self {
            action,
            at: pushed.at,
            target: Some(EventTarget {
                repository: pushed.repository.to_string(),
                tag: tag.clone(),
                digest: pushed.digest.to_string(),
                media_type: pushed.media_type.clone(),
                size: Some(pushed.size),
            }),
            request: request(pushed.request.as_ref()),
        })
        .collect()
    }

    /// A deletion of a manifest. The tags that went with it are not said, as in Azure.
    pub fn deleted(deleted: &DeletedManifest) -> Self {
        Self {
            action: WebhookAction::Delete,
            at: deleted.at,
            target: Some(EventTarget {
                repository: deleted.repository.to_string(),
                tag: None,
                digest: deleted.digest.to_string(),
                media_type: deleted.media_type.clone(),
                size: None,
            }),
            request: request(deleted.request.as_ref()),
        }
    }
}
