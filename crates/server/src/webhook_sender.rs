//! Posts to webhooks over HTTP.

use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use futures::StreamExt;
use registry::webhooks::{ANSWER_BYTES_MAX, WebhookAnswer, WebhookRequest, WebhookSender};

/// The other side has this long to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// And this long to be reached.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// One client for all webhooks.
pub struct HttpSender(reqwest::Client);

impl HttpSender {
    /// Follows no redirect: the signed body goes where it was meant to go, and nowhere else.
    pub fn new() -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("lazaret/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .build()
            .context("cannot make the HTTP client of webhooks")?;
        Ok(Self(client))
    }
}

#[async_trait]
impl WebhookSender for HttpSender {
    async fn post(&self, request: WebhookRequest) -> Result<WebhookAnswer, String> {
        let mut post = self.0.post(&request.uri).body(request.body);
        for (name, value) in &request.headers {
            post = post.header(name, value);
        }
        let answer = post.send().await.map_err(|error| reason(&error))?;
        let retry_after = answer
            .headers()
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        let mut pieces = answer.bytes_stream();
        while let Some(Ok(piece)) = pieces.next().await {
            let room = ANSWER_BYTES_MAX - body.len();
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if body.len() == ANSWER_BYTES_MAX {
                break;
            }
        }
        Ok(WebhookAnswer { status, body: String::from_utf8_lossy(&body).into_owned(), retry_after })
    }
}

/// The chain of causes without the address, which may hold a secret.
fn reason(error: &reqwest::Error) -> String {
    let mut text = match error {
        e if e.is_timeout() => format!("no answer within {} s", ANSWER_WITHIN.as_secs()),
        e if e.is_connect() => "cannot connect".to_owned(),
        e if e.is_builder() => "the address or a header cannot be used".to_owned(),
        _ => "the exchange broke off".to_owned(),
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text.chars().take(ANSWER_BYTES_MAX / 4).collect()
}
