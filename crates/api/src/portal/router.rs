//! All routes of the native API.

use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{delete, get, put};
use axum::{Router, middleware};

use super::error::{ApiError, Kind, frame};
use super::{
    PortalState, caches, events, finding_detail, findings, history, images, imports, openapi,
    overview, packages, registries, scans, search, session,
};

/// Where the API begins.
const BASE: &str = "/api/v1";

/// The native API. Answers everything under `/api/v1`, unknown paths too.
pub fn router(state: PortalState) -> Router {
    let image = "/registries/{registry}/repositories/{repository}/images/{digest}";
    let routes = Router::new()
        .route("/openapi.json", get(document))
        .route(
            "/session",
            get(session::read_session).post(session::sign_in).delete(session::sign_out),
        )
        .route("/overview", get(overview::read_overview))
        .route("/registries", get(registries::list_registries))
        .route("/registries/{registry}", get(registries::read_registry))
        .route("/registries/{registry}/repositories", get(registries::list_repositories))
        .route("/registries/{registry}/repositories/{repository}/images", get(images::list_images))
        .route(image, get(images::read_image))
        .route(&format!("{image}/findings"), get(findings::list_findings))
        .route(&format!("{image}/findings/{{id}}"), get(finding_detail::read_finding))
        .route(&format!("{image}/packages"), get(packages::list_packages))
        .route(&format!("{image}/history"), get(history::list_history))
        .route("/advisories", get(overview::list_advisories))
        .route("/scans", get(scans::list_scans))
        .route("/findings", get(search::search_findings))
        .route("/cacheRules", get(caches::list_rules).post(caches::create_rule))
        .route("/cacheRules/{name}", delete(caches::delete_rule))
        .route("/credentialSets", get(caches::list_credentials))
        .route(
            "/credentialSets/{name}",
            put(caches::put_credentials).delete(caches::delete_credentials),
        )
        .route("/imports", get(imports::list_imports).post(imports::create_import))
        .route("/imports/{id}", get(imports::read_import))
        .route("/events", get(events::stream_events))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(state);
    Router::new().nest(BASE, routes).layer(middleware::from_fn(frame))
}

async fn unknown() -> ApiError {
    ApiError::not_found("this path", format_args!("{BASE}/openapi.json, which lists every path"))
}

async fn not_allowed() -> ApiError {
    ApiError::new(
        Kind::MethodNotAllowed,
        "The path is right, the method is not; see /api/v1/openapi.json.",
    )
}

async fn document() -> Result<impl IntoResponse, ApiError> {
    let text = openapi::document_json().map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text))
}
