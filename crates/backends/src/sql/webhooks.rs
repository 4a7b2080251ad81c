//! `store::WebhookStore`.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use store::StoreError;
use store::webhooks::{
    Delivery, DeliveryAttempt, DeliveryState, Webhook, WebhookAction, WebhookFormat, WebhookStore,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::row::{self, millis, number, parsed, time_option, value};
use super::{DbRow, Store, commit, dialect};

const WEBHOOK: &str = "w.id AS webhook_id, w.name, w.service_uri, w.headers, w.actions, w.scope, w.enabled, w.format, \
     w.secret, w.created_at AS made_at";

const DELIVERY: &str = "d.id, d.webhook_id, d.action, d.created_at, d.body, d.state, d.attempts, d.next_at, d.tried_at, \
     d.took_ms, d.status, d.answer";

fn webhook(row: &DbRow) -> Result<Webhook, StoreError> {
    let format: &str = value(row, "format")?;
    Ok(Webhook {
        id: parsed(row, "webhook_id")?,
        name: value(row, "name")?,
        service_uri: value(row, "service_uri")?,
        headers: row::json(row, "headers")?,
        actions: row::json(row, "actions")?,
        scope: value(row, "scope")?,
        enabled: value(row, "enabled")?,
        format: WebhookFormat::parse(format)
            .ok_or_else(|| StoreError::corrupt("webhook", format))?,
        secret: value(row, "secret")?,
        created_at: row::time(row, "made_at")?,
    })
}

fn delivery(row: &DbRow) -> Result<Delivery, StoreError> {
    let (action, state): (&str, &str) = (value(row, "action")?, value(row, "state")?);
    let created_at = row::time(row, "created_at")?;
    let last = match time_option(row, "tried_at")? {
        Some(at) => Some(DeliveryAttempt {
            at,
            took: Duration::from_millis(number(row, "took_ms")?),
            status: value::<Option<i64>>(row, "status")?.and_then(|s| u16::try_from(s).ok()),
            answer: value::<Option<String>>(row, "answer")?.unwrap_or_default(),
        }),
        None => None,
    };
    Ok(Delivery {
        id: parsed(row, "id")?,
        webhook_id: parsed(row, "webhook_id")?,
        action: WebhookAction::parse(action)
            .ok_or_else(|| StoreError::corrupt("delivery", action))?,
        created_at,
        body: value(row, "body")?,
        state: match state {
            "delivered" => DeliveryState::Delivered,
            "failed" => DeliveryState::Failed,
            _ => DeliveryState::Pending(time_option(row, "next_at")?.unwrap_or(created_at)),
        },
        attempts: number(row, "attempts")?,
        last,
    })
}

/// As columns `state` and `next_at`.
fn columns(state: DeliveryState) -> (&'static str, Option<i64>) {
    match state {
        DeliveryState::Pending(at) => ("pending", Some(millis(at))),
        DeliveryState::Delivered => ("delivered", None),
        DeliveryState::Failed => ("failed", None),
    }
}

#[async_trait]
impl WebhookStore for Store {
    async fn put_webhook(&self, webhook: &Webhook) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO webhooks (id, name, service_uri, headers, actions, scope, enabled, format, secret, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (name) DO UPDATE SET \
             service_uri = excluded.service_uri, headers = excluded.headers, actions = excluded.actions, \
             scope = excluded.scope, enabled = excluded.enabled, format = excluded.format, secret = excluded.secret",
        )
        .bind(webhook.id.to_string())
        .bind(row::text(&webhook.name))
        .bind(row::text(&webhook.service_uri))
        .bind(json!(webhook.headers).to_string())
        .bind(json!(webhook.actions).to_string())
        .bind(row::text(&webhook.scope))
        .bind(webhook.enabled)
        .bind(webhook.format.as_str())
        .bind(row::text(&webhook.secret))
        .bind(millis(webhook.created_at))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("store a webhook"))?;
        commit(tx).await
    }

    async fn webhook(&self, name: &str) -> Result<Option<Webhook>, StoreError> {
        let query = format!("SELECT {WEBHOOK} FROM webhooks w WHERE w.name = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(row::text(name))
            .fetch_optional(self.read())
            .await
            .map_err(StoreError::database("look up a webhook"))?;
        row.as_ref().map(webhook).transpose()
    }

    async fn webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        let query = format!("SELECT {WEBHOOK} FROM webhooks w ORDER BY w.name");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .fetch_all(self.read())
            .await
            .map_err(StoreError::database("list webhooks"))?;
        rows.iter().map(webhook).collect()
    }

    async fn delete_webhook(&self, name: &str) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query("DELETE FROM webhooks WHERE name = $1")
            .bind(row::text(name))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::database("delete a webhook"))?;
        commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn add_deliveries(&self, deliveries: &[Delivery]) -> Result<(), StoreError> {
        let to_row = |d: &Delivery| {
            let (state, next_at) = columns(d.state);
            json!([d.id, d.webhook_id, d.action, millis(d.created_at), d.body, state, next_at])
        };
        let source = dialect::rows(
            "$1",
            &[
                ("id", "TEXT"),
                ("webhook_id", "TEXT"),
                ("action", "TEXT"),
                ("created_at", "BIGINT"),
                ("body", "TEXT"),
                ("state", "TEXT"),
                ("next_at", "BIGINT"),
            ],
        );
        let mut tx = self.write().await?;
        // A webhook that was deleted meanwhile hears no more.
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "INSERT INTO webhook_deliveries (id, webhook_id, action, created_at, body, state, attempts, next_at) \
             SELECT j.id, j.webhook_id, j.action, j.created_at, j.body, j.state, 0, j.next_at FROM {source} j \
             WHERE EXISTS (SELECT 1 FROM webhooks w WHERE w.id = j.webhook_id)"
        )))
        .bind(row::list(deliveries.iter().map(to_row)))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("store what is to be sent to a webhook"))?;
        commit(tx).await
    }

    async fn claim_deliveries(
        &self,
        now: OffsetDateTime,
        lease_until: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<(Delivery, Webhook)>, StoreError> {
        const ATTEMPTED: &str = "take what is to be sent to webhooks";
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT MIN(next_at) FROM webhook_deliveries WHERE next_at IS NOT NULL",
        )
        .fetch_one(self.read())
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        if due.is_none_or(|due| due > millis(now)) {
            // The common case takes no write lock.
            return Ok(Vec::new());
        }
        let mut tx = self.write().await?;
        // Two replicas may both read the row before either takes it: the outer
        // condition is looked at again when the row is locked.
        let rows = sqlx::query(
            "UPDATE webhook_deliveries SET next_at = $2 WHERE next_at <= $1 AND id IN \
             (SELECT id FROM webhook_deliveries WHERE next_at <= $1 ORDER BY next_at LIMIT $3) RETURNING id",
        )
        .bind(millis(now))
        .bind(millis(lease_until))
        .bind(i64::from(limit))
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let ids = rows.iter().map(|row| value(row, "id")).collect::<Result<Vec<String>, _>>()?;
        let source = dialect::rows("$1", &[("id", "TEXT")]);
        let query = format!(
            "SELECT {DELIVERY}, w.name, w.service_uri, w.headers, w.actions, w.scope, w.enabled, w.format, w.secret, \
             w.created_at AS made_at FROM {source} j JOIN webhook_deliveries d ON d.id = j.id \
             JOIN webhooks w ON w.id = d.webhook_id ORDER BY d.created_at, d.id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(row::list(ids.iter().map(|id| json!([id]))))
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        commit(tx).await?;
        rows.iter().map(|row| Ok((delivery(row)?, webhook(row)?))).collect()
    }

    async fn finish_attempt(
        &self,
        delivery: Uuid,
        attempt: &DeliveryAttempt,
        state: DeliveryState,
    ) -> Result<(), StoreError> {
        let (state, next_at) = columns(state);
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE webhook_deliveries SET state = $2, next_at = $3, attempts = attempts + 1, tried_at = $4, \
             took_ms = $5, status = $6, answer = $7 WHERE id = $1",
        )
        .bind(delivery.to_string())
        .bind(state)
        .bind(next_at)
        .bind(millis(attempt.at))
        .bind(i64::try_from(attempt.took.as_millis()).unwrap_or(i64::MAX))
        .bind(attempt.status.map(i64::from))
        .bind(row::text(&attempt.answer))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("write down a delivery"))?;
        commit(tx).await
    }

    async fn deliveries(&self, webhook: Uuid, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let query = format!(
            "SELECT {DELIVERY} FROM webhook_deliveries d WHERE d.webhook_id = $1 \
             ORDER BY d.created_at DESC, d.id LIMIT $2"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(webhook.to_string())
            .bind(i64::from(limit))
            .fetch_all(self.read())
            .await
            .map_err(StoreError::database("list deliveries"))?;
        rows.iter().map(delivery).collect()
    }

    async fn forget_deliveries(
        &self,
        before: OffsetDateTime,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries \
             WHERE next_at IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2)",
        )
        .bind(millis(before))
        .bind(i64::from(limit))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("forget old deliveries"))?;
        commit(tx).await?;
        Ok(done.rows_affected())
    }
}
