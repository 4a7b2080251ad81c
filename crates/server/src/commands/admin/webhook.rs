//! `lazaret admin webhook`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use registry::webhooks::Webhooks;
use registry::webhooks::settings::WebhookSettings;
use serde_json::json;
use store::webhooks::{Delivery, DeliveryState, Webhook, WebhookAction, WebhookFormat};
use time::format_description::well_known::Rfc3339;

use crate::cli::{Format, WebhookCommand};
use crate::commands::table;
use crate::output::{out, outln};
use crate::storage::Storage;
use crate::webhook_sender::HttpSender;

/// Deliveries that the log shows.
const LOG_ROWS: u32 = 100;

/// Runs one of the commands; a running server sees the change at its next event.
pub async fn run(
    storage: &Storage,
    command: WebhookCommand,
    format: Option<Format>,
) -> anyhow::Result<ExitCode> {
    let subscription = api::azure::subscription_id(&*storage.database).await?;
    let source = api::azure::registry_id(subscription, crate::serve::REGISTRY);
    let webhooks = Webhooks::new(
        storage.database.clone(),
        Arc::new(HttpSender::new()?),
        registry::wall_clock(),
        source.into(),
    );
    match command {
        WebhookCommand::Put { name, uri, actions, scope, header, cloud_events, disabled } => {
            let settings = WebhookSettings {
                name,
                service_uri: uri,
                headers: headers(&header)?,
                actions: parse(&actions)?,
                scope,
                enabled: !disabled,
                format: if cloud_events { WebhookFormat::CloudEvents } else { WebhookFormat::Acr },
                secret: None,
            };
            let webhook = webhooks.put(settings).await?;
            // Whoever sets the webhook up has to give the secret to the receiver.
            let mut document = document(&webhook);
            document["secret"] = webhook.secret.into();
            outln!("{}", serde_json::to_string_pretty(&document)?)?;
        }
        WebhookCommand::List => list(&storage.database.webhooks().await?, format)?,
        WebhookCommand::Delete { name } => {
            if !storage.database.delete_webhook(&name).await? {
                bail!("there is no webhook {name:?}; see `lazaret admin webhook list`");
            }
        }
        WebhookCommand::Ping { name } => {
            let id = webhooks.ping(&named(storage, &name).await?).await?;
            outln!("{}", json!({ "id": id }))?;
        }
        WebhookCommand::Log { name } => {
            let webhook = named(storage, &name).await?;
            log(&storage.database.deliveries(webhook.id, LOG_ROWS).await?, format)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn named(storage: &Storage, name: &str) -> anyhow::Result<Webhook> {
    let webhook = storage.database.webhook(name).await?;
    webhook
        .with_context(|| format!("there is no webhook {name:?}; see `lazaret admin webhook list`"))
}

fn headers(pairs: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let pair = |text: &String| {
        let (name, value) =
            text.split_once('=').with_context(|| format!("{text:?} is not NAME=VALUE"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    pairs.iter().map(pair).collect()
}

fn parse(actions: &[String]) -> anyhow::Result<std::collections::BTreeSet<WebhookAction>> {
    let one = |text: &String| {
        WebhookAction::parse(text)
            .with_context(|| format!("{text:?} is no action; known are push, delete, quarantine"))
    };
    actions.iter().map(one).collect()
}

/// Without what may open doors: headers and secret.
fn document(webhook: &Webhook) -> serde_json::Value {
    json!({
        "name": webhook.name,
        "serviceUri": webhook.service_uri,
        "actions": webhook.actions,
        "scope": webhook.scope,
        "enabled": webhook.enabled,
        "format": webhook.format,
    })
}

fn list(webhooks: &[Webhook], format: Option<Format>) -> anyhow::Result<()> {
    match Format::or_default(format) {
        Format::Json => {
            let list: Vec<_> = webhooks.iter().map(document).collect();
            outln!("{}", serde_json::to_string_pretty(&list)?)?;
        }
        Format::Table => {
            let row = |w: &Webhook| {
                let actions: Vec<_> = w.actions.iter().map(|a| a.as_str()).collect();
                let enabled = if w.enabled { "yes" } else { "no" };
                vec![
                    w.name.clone(),
                    actions.join(" "),
                    w.scope.clone(),
                    enabled.into(),
                    w.service_uri.clone(),
                ]
            };
            let rows: Vec<_> = webhooks.iter().map(row).collect();
            out!("{}", table::render(&["NAME", "ACTIONS", "SCOPE", "ENABLED", "URI"], &rows))?;
        }
    }
    Ok(())
}

fn log(deliveries: &[Delivery], format: Option<Format>) -> anyhow::Result<()> {
    let state = |d: &Delivery| match d.state {
        DeliveryState::Pending(_) => "pending",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Failed => "failed",
    };
    let time = |at: time::OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    match Format::or_default(format) {
        Format::Json => {
            let entry = |d: &Delivery| {
                json!({
                    "id": d.id,
                    "action": d.action,
                    "createdAt": time(d.created_at),
                    "state": state(d),
                    "attempts": d.attempts,
                    "status": d.last.as_ref().and_then(|l| l.status),
                    "answer": d.last.as_ref().map(|l| &l.answer),
                    "triedAt": d.last.as_ref().map(|l| time(l.at)),
                    "body": serde_json::from_str::<serde_json::Value>(&d.body).unwrap_or_default(),
                })
            };
            let list: Vec<_> = deliveries.iter().map(entry).collect();
            outln!("{}", serde_json::to_string_pretty(&list)?)?;
        }
        Format::Table => {
            let row = |d: &Delivery| {
                let last = d.last.as_ref();
                let status = last.and_then(|l| l.status).map_or("-".into(), |s| s.to_string());
                let answer = last.map_or_else(String::new, |l| l.answer.clone());
                vec![
                    time(d.created_at),
                    d.action.as_str().into(),
                    state(d).into(),
                    d.attempts.to_string(),
                    status,
                    answer,
                ]
            };
            let rows: Vec<_> = deliveries.iter().map(row).collect();
            let headings = ["AT", "ACTION", "STATE", "TRIES", "STATUS", "ANSWER"];
            out!("{}", table::render(&headings, &rows))?;
        }
    }
    Ok(())
}
