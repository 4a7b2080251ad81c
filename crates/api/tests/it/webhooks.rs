//! Webhook deliveries over a real database, with a clock turned by hand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use backends::sqlite::SqliteStore;
use registry::webhooks::payload::{EventTarget, RegistryEvent};
use registry::webhooks::settings::WebhookSettings;
use registry::webhooks::{RETRY_AFTER, WebhookAnswer, WebhookRequest, WebhookSender, Webhooks};
use store::webhooks::{DeliveryState, WebhookAction, WebhookFormat, WebhookStore};
use time::OffsetDateTime;

/// Answers as it is told to, with 200 when it is told nothing.
#[derive(Default)]
struct Receiver {
    answers: Mutex<VecDeque<Result<WebhookAnswer, String>>>,
    heard: Mutex<Vec<WebhookRequest>>,
}

#[async_trait]
impl WebhookSender for Receiver {
    async fn post(&self, request: WebhookRequest) -> Result<WebhookAnswer, String> {
        self.heard.lock().unwrap().push(request);
        let next = self.answers.lock().unwrap().pop_front();
        next.unwrap_or(Ok(answer(200, None)))
    }
}

fn answer(status: u16, retry_after_secs: Option<u64>) -> WebhookAnswer {
    let retry_after = retry_after_secs.map(Duration::from_secs);
    WebhookAnswer { status, body: "said".into(), retry_after }
}

struct Scene {
    store: Arc<SqliteStore>,
    webhooks: Webhooks,
    receiver: Arc<Receiver>,
    now: Arc<Mutex<OffsetDateTime>>,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("db")).await.unwrap());
        let receiver = Arc::new(Receiver::default());
        let now = Arc::new(Mutex::new(OffsetDateTime::UNIX_EPOCH));
        let clock = {
            let now = now.clone();
            Arc::new(move || *now.lock().unwrap())
        };
        let webhooks =
            Webhooks::new(store.clone(), receiver.clone(), clock, "/registries/main".into());
        Self { store, webhooks, receiver, now, _folder: folder }
    }

    async fn hook(&self, name: &str, scope: &str, enabled: bool) -> store::webhooks::Webhook {
        let settings = WebhookSettings {
            name: name.into(),
            service_uri: "https://hooks.example".into(),
            headers: [("X-Key".to_owned(), "k".to_owned())].into(),
            actions: [WebhookAction::Push].into(),
            scope: scope.into(),
            enabled,
            format: WebhookFormat::Acr,
            secret: None,
        };
        self.webhooks.put(settings).await.unwrap()
    }

    async fn push(&self, repository: &str) {
        let event = RegistryEvent {
            action: WebhookAction::Push,
            at: *self.now.lock().unwrap(),
            target: Some(EventTarget {
                repository: repository.into(),
                tag: Some("1".into()),
                digest: "sha256:0".into(),
                media_type: "m".into(),
                size: Some(1),
            }),
            request: access::RequestInfo::default(),
        };
        self.webhooks.record(&[event]).await.unwrap();
    }

    fn answers(&self, next: impl IntoIterator<Item = Result<WebhookAnswer, String>>) {
        self.receiver.answers.lock().unwrap().extend(next);
    }

    fn wait(&self, duration: Duration) {
        *self.now.lock().unwrap() += duration;
    }

    fn heard(&self) -> usize {
        self.receiver.heard.lock().unwrap().len()
    }
}

#[tokio::test]
async fn a_delivery_is_tried_until_it_is_taken() {
    let scene = Scene::new().await;
    let hook = scene.hook("retry", "", true).await;
    scene.answers([Err("cannot connect".into()), Ok(answer(503, Some(90)))]);
    scene.push("a").await;
    assert_eq!(scene.webhooks.deliver_due().await.unwrap(), 1);
    assert_eq!(scene.webhooks.deliver_due().await.unwrap(), 0, "not before its time");
    scene.wait(RETRY_AFTER[0]);
    assert_eq!(scene.webhooks.deliver_due().await.unwrap(), 1);
    scene.wait(RETRY_AFTER[1]);
    assert_eq!(scene.webhooks.deliver_due().await.unwrap(), 0, "it asked for more time");
    scene.wait(Duration::from_secs(30));
    assert_eq!(scene.webhooks.deliver_due().await.unwrap(), 1);
    let log = scene.store.deliveries(hook.id, 9).await.unwrap();
    assert_eq!((log.len(), log[0].state, log[0].attempts), (1, DeliveryState::Delivered, 3));
    let heard = scene.receiver.heard.lock().unwrap();
    let ids: std::collections::BTreeSet<_> = heard
        .iter()
        .map(|request| request.headers.iter().find(|(n, _)| n == "webhook-id").unwrap().1.clone())
        .collect();
    assert_eq!(ids.len(), 1, "the same thing has the same id");
    assert!(heard[0].headers.contains(&("X-Key".into(), "k".into())));
}

#[tokio::test]
async fn nobody_answers_for_a_day_and_it_is_given_up() {
    let scene = Scene::new().await;
    let hook = scene.hook("silent", "", true).await;
    scene.answers((0..20).map(|_| Err("no answer".into())));
    scene.push("a").await;
    for _ in 0..20 {
        scene.webhooks.deliver_due().await.unwrap();
        scene.wait(Duration::from_secs(24 * 3600));
    }
    let log = scene.store.deliveries(hook.id, 9).await.unwrap();
    assert_eq!(
        (log[0].state, log[0].attempts as usize),
        (DeliveryState::Failed, RETRY_AFTER.len() + 1)
    );
    assert_eq!(log[0].last.as_ref().unwrap().answer, "no answer");
    scene.wait(Duration::from_secs(60 * 24 * 3600));
    assert_eq!(scene.webhooks.forget_old().await.unwrap(), 1);
}

#[tokio::test]
async fn only_who_wants_it_hears_it() {
    let scene = Scene::new().await;
    scene.hook("shop1", "shop/*", true).await;
    scene.hook("other", "elsewhere", true).await;
    scene.hook("quiet", "", false).await;
    scene.push("shop/web").await;
    scene.webhooks.deliver_due().await.unwrap();
    assert_eq!(scene.heard(), 1);
    let quiet = scene.store.webhook("quiet").await.unwrap().unwrap();
    let before = scene.heard();
    scene.webhooks.ping(&quiet).await.unwrap();
    scene.webhooks.deliver_due().await.unwrap();
    assert_eq!(scene.heard(), before, "what is switched off sends nothing");
    assert_eq!(scene.store.deliveries(quiet.id, 9).await.unwrap()[0].state, DeliveryState::Failed);
}
