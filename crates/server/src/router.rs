//! Every route of the server, and what surrounds them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use access::OnRegistry;
use anyhow::Context;
use api::azure::{self, AzureState};
use api::distribution::{self, Authenticator, DistributionState};
use api::portal::PortalState;
use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, StatusCode};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use scanner::Scanner;
use store::Database;
use tower_http::catch_panic::CatchPanicLayer;
use uuid::Uuid;

use crate::portal;

/// Names a request in the log and in answers.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bounds of the latency histograms, in seconds.
const LATENCY_BUCKETS: [f64; 11] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

/// What the routes work with.
pub struct Parts {
    pub distribution: DistributionState,
    pub portal: PortalState,
    pub azure: AzureState,
    pub storage: Arc<dyn Database>,
    pub scanner: Scanner,
}

#[derive(Clone)]
struct Operations {
    metrics: PrometheusHandle,
    scanner: Scanner,
    storage: Arc<dyn Database>,
    auth: Arc<Authenticator>,
}

/// Puts the routes together.
pub fn build(parts: Parts) -> anyhow::Result<Router> {
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &LATENCY_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .context("cannot start collecting metrics")?;
    let operations = Operations {
        metrics,
        scanner: parts.scanner,
        storage: parts.storage,
        auth: Arc::clone(&parts.distribution.auth),
    };
    let operations = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render_metrics))
        .with_state(operations);
    Ok(Router::new()
        .merge(api::acr::router(parts.distribution.clone()))
        .merge(distribution::router(parts.distribution))
        .merge(api::portal::router(parts.portal))
        .merge(azure::router(parts.azure))
        .merge(operations)
        .fallback(portal::serve)
        .layer(middleware::from_fn(observe))
        .layer(CatchPanicLayer::new()))
}

/// Counts, times and logs a request, and gives it an id.
async fn observe(mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = Uuid::new_v4().to_string();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route =
        request.extensions().get::<MatchedPath>().map_or("portal", MatchedPath::as_str).to_owned();
    if let Ok(value) = HeaderValue::from_str(&id) {
        request.headers_mut().insert(REQUEST_ID, value);
    }
    let mut response = next.run(request).await;
    let status = response.status();
    let labels =
        [("route", route), ("method", method.to_string()), ("status", status.as_u16().to_string())];
    metrics::counter!("lazaret_http_requests_total", &labels).increment(1);
    metrics::histogram!("lazaret_http_request_seconds", &labels[..2]).record(began.elapsed());
    let millis = began.elapsed().as_millis();
    if status.is_server_error() {
        tracing::error!(%id, %method, path, %status, millis, "request failed");
    } else {
        tracing::debug!(%id, %method, path, %status, millis, "request");
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Ready once the database answers.
async fn ready(State(operations): State<Operations>) -> Response {
    match operations.storage.scan_fact("ready").await {
        Ok(_) => "ready\n".into_response(),
        Err(error) => {
            tracing::error!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response()
        }
    }
}

/// Prometheus' text form. Open to this machine itself; others sign in, since
/// figures tell about what is stored.
async fn render_metrics(
    State(operations): State<Operations>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let headers = request.headers();
    let local = peer.ip().is_loopback() && !headers.contains_key("x-forwarded-for");
    if !local {
        let authorization = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
        let known = operations.auth.recognise(authorization, "", Some(peer.ip())).await;
        if !known.is_ok_and(|principal| principal.may_on_registry(OnRegistry::Findings)) {
            let challenge = [(http::header::WWW_AUTHENTICATE, "Basic realm=\"lazaret\"")];
            return (StatusCode::UNAUTHORIZED, challenge, "metrics need a login\n").into_response();
        }
    }
    metrics::counter!("lazaret_layers_read_total").absolute(operations.scanner.layers_read());
    metrics::gauge!("lazaret_scans_under_way").set(operations.scanner.queue().len() as f64);
    operations.metrics.render().into_response()
}
