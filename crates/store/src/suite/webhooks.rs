//! Cases for [`WebhookStore`].

use std::time::Duration as Span;

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::webhooks::{
    Delivery, DeliveryAttempt, DeliveryState, Webhook, WebhookAction, WebhookFormat, WebhookStore,
};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// Every case.
pub async fn run(store: &dyn WebhookStore) {
    webhooks_are_replaced_by_name(store).await;
    a_delivery_is_taken_once_and_tried_again(store).await;
    what_ended_is_forgotten(store).await;
}

fn webhook(name: &str) -> Webhook {
    Webhook {
        id: Uuid::new_v4(),
        name: name.into(),
        service_uri: "https://hooks.example/x".into(),
        headers: [("Authorization".to_owned(), "Bearer x".to_owned())].into(),
        actions: [WebhookAction::Push, WebhookAction::Delete].into(),
        scope: "shop/*".into(),
        enabled: true,
        format: WebhookFormat::CloudEvents,
        secret: "s".into(),
        created_at: NOW,
    }
}

fn delivery(webhook: &Webhook, at: OffsetDateTime) -> Delivery {
    Delivery {
        id: Uuid::new_v4(),
        webhook_id: webhook.id,
        action: WebhookAction::Push,
        created_at: at,
        body: "{\"ü\":1}".into(),
        state: DeliveryState::Pending(at),
        attempts: 0,
        last: None,
    }
}

async fn webhooks_are_replaced_by_name(store: &dyn WebhookStore) {
    let first = webhook("hookB");
    store.put_webhook(&first).await.unwrap();
    store.put_webhook(&webhook("hookA")).await.unwrap();
    let changed = Webhook { enabled: false, id: Uuid::new_v4(), ..first.clone() };
    store.put_webhook(&changed).await.unwrap();
    let kept = Webhook { enabled: false, ..first };
    assert_eq!(store.webhook("hookB").await.unwrap(), Some(kept), "its id stays");
    let names: Vec<_> = store.webhooks().await.unwrap().into_iter().map(|w| w.name).collect();
    assert_eq!(names, ["hookA", "hookB"]);
    assert!(store.delete_webhook("hookB").await.unwrap());
    assert!(!store.delete_webhook("hookB").await.unwrap());
    assert_eq!(store.webhook("hookB").await.unwrap(), None);
    store.delete_webhook("hookA").await.unwrap();
}

async fn a_delivery_is_taken_once_and_tried_again(store: &dyn WebhookStore) {
    let hook = webhook("tries");
    store.put_webhook(&hook).await.unwrap();
    let (late, early) = (delivery(&hook, NOW + Duration::SECOND), delivery(&hook, NOW));
    let orphan = delivery(&webhook("never stored"), NOW);
    store.add_deliveries(&[late.clone(), early.clone(), orphan]).await.unwrap();

    let lease = NOW + Duration::minutes(5);
    let taken = store.claim_deliveries(NOW, lease, 9).await.unwrap();
    assert_eq!(taken.len(), 1, "only what is due");
    assert_eq!((taken[0].0.id, &taken[0].1), (early.id, &hook));
    assert_eq!(store.claim_deliveries(NOW, lease, 9).await.unwrap(), [], "somebody has it");
    let after = lease + Duration::SECOND;
    let again = store.claim_deliveries(after, after + Duration::HOUR, 9).await.unwrap();
    let ids: Vec<_> = again.iter().map(|(d, _)| d.id).collect();
    assert_eq!(ids, [early.id, late.id], "a lease ends");

    let attempt = DeliveryAttempt {
        at: after,
        took: Span::from_millis(1234),
        status: Some(503),
        answer: "later\0".into(),
    };
    let next = after + Duration::hours(2);
    store.finish_attempt(early.id, &attempt, DeliveryState::Pending(next)).await.unwrap();
    let log = store.deliveries(hook.id, 9).await.unwrap();
    assert_eq!(log.iter().map(|d| d.id).collect::<Vec<_>>(), [late.id, early.id], "newest first");
    let seen = DeliveryAttempt { answer: "later\u{fffd}".into(), ..attempt.clone() };
    assert_eq!((log[1].attempts, log[1].last.as_ref()), (1, Some(&seen)));
    assert_eq!(log[1].state, DeliveryState::Pending(next));
    assert_eq!(store.deliveries(hook.id, 1).await.unwrap().len(), 1);

    let nobody = DeliveryAttempt { status: None, ..attempt };
    store.finish_attempt(early.id, &nobody, DeliveryState::Failed).await.unwrap();
    store.finish_attempt(late.id, &nobody, DeliveryState::Delivered).await.unwrap();
    let much_later = next + Duration::DAY;
    assert_eq!(store.claim_deliveries(much_later, much_later, 9).await.unwrap(), []);
    store.delete_webhook("tries").await.unwrap();
    assert_eq!(store.deliveries(hook.id, 9).await.unwrap(), [], "they go with their webhook");
}

async fn what_ended_is_forgotten(store: &dyn WebhookStore) {
    let hook = webhook("old");
    store.put_webhook(&hook).await.unwrap();
    let (ended, waiting) = (delivery(&hook, NOW), delivery(&hook, NOW));
    store.add_deliveries(&[ended.clone(), waiting.clone()]).await.unwrap();
    let attempt =
        DeliveryAttempt { at: NOW, took: Span::ZERO, status: Some(200), answer: String::new() };
    store.finish_attempt(ended.id, &attempt, DeliveryState::Delivered).await.unwrap();
    assert_eq!(store.forget_deliveries(NOW, 9).await.unwrap(), 0);
    assert_eq!(store.forget_deliveries(NOW + Duration::DAY, 9).await.unwrap(), 1);
    let left: Vec<_> =
        store.deliveries(hook.id, 9).await.unwrap().into_iter().map(|d| d.id).collect();
    assert_eq!(left, [waiting.id]);
    store.delete_webhook("old").await.unwrap();
}
