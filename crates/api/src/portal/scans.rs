//! Scans that wait, run or failed.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use oci::{Digest, RepositoryName};
use store::scan::{Millis, StoredImage};

use super::PortalState;
use super::convert::{self, time_text};
use super::error::ApiError;
use super::request::{Params, Reader, Window, text};
use super::types::{ImageRef, Page, PageQuery, Scan, ScanJob, ScanState, ScanTrigger};
use super::view::QueuedScan;

/// Failed scans that are looked at.
const FAILED_MAX: u32 = 10_000;

pub(super) async fn list_scans(
    State(state): State<PortalState>,
    _: Reader,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<ScanJob>>, ApiError> {
    let q = text(query.q.as_deref())?;
    let mut jobs: Vec<(Millis, ScanJob)> = Vec::new();
    let queue = state.inspections.view.queue();
    let busy: Vec<Digest> = queue.iter().map(|queued| queued.digest).collect();
    for (repository, image) in failed(&state).await? {
        if !busy.contains(&image.digest) {
            jobs.push((image.started_at, failed_job(&state, &repository, &image).await?));
        }
    }
    for queued in queue {
        jobs.push((queued.queued_at.unwrap_or(Millis::MAX), queued_job(&state, queued).await?));
    }
    jobs.retain(|(_, job)| q.as_deref().is_none_or(|q| is_meant(&job.image, q)));
    jobs.sort_by_key(|(at, _)| *at);
    let jobs = jobs.into_iter().map(|(_, job)| job).collect();
    Ok(Json(Window::new(query.offset, query.limit).of(jobs)))
}

async fn failed(state: &PortalState) -> Result<Vec<(RepositoryName, StoredImage)>, ApiError> {
    let places = state.inspections.catalog.failed_scans(FAILED_MAX).await?;
    let digests: Vec<Digest> = places.iter().map(|(_, digest)| *digest).collect();
    let images = state.inspections.scans.images(&digests).await?;
    let images: HashMap<Digest, StoredImage> = images.into_iter().map(|i| (i.digest, i)).collect();
    let found =
        places.into_iter().filter_map(|(name, digest)| Some((name, images.get(&digest)?.clone())));
    Ok(found.collect())
}

async fn image_ref(
    state: &PortalState,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<ImageRef, ApiError> {
    let places = state.inspections.catalog.places(digest).await?;
    let tags =
        places.into_iter().find(|place| place.repository == *repository).map(|place| place.tags);
    Ok(ImageRef {
        registry: state.registry_name.to_string(),
        repository: repository.to_string(),
        digest: digest.to_string(),
        tags: tags.unwrap_or_default().iter().map(ToString::to_string).collect(),
    })
}

async fn failed_job(
    state: &PortalState,
    repository: &RepositoryName,
    image: &StoredImage,
) -> Result<ScanJob, ApiError> {
    Ok(ScanJob {
        image: image_ref(state, repository, &image.digest).await?,
        trigger: trigger(&image.trigger),
        scan: Scan {
            state: ScanState::Failed,
            stage: None,
            started_at: time_text(image.started_at),
            finished_at: time_text(image.finished_at),
            failure: image.failure.clone(),
        },
        attempts: image.attempts,
        queued_at: None,
    })
}

async fn queued_job(state: &PortalState, queued: QueuedScan) -> Result<ScanJob, ApiError> {
    Ok(ScanJob {
        image: image_ref(state, &queued.repository, &queued.digest).await?,
        trigger: queued.trigger,
        scan: convert::running(queued.progress),
        attempts: queued.attempts,
        queued_at: queued.queued_at.and_then(time_text),
    })
}

/// As the store writes it.
fn trigger(stored: &str) -> ScanTrigger {
    match stored {
        "push" => ScanTrigger::Push,
        "import" => ScanTrigger::Import,
        "advisories" => ScanTrigger::Advisories,
        "periodic" => ScanTrigger::Periodic,
        "manual" => ScanTrigger::Manual,
        // Catching up is what follows a newer analyser, or a restart.
        _ => ScanTrigger::Analyser,
    }
}

fn is_meant(image: &ImageRef, q: &str) -> bool {
    image.repository.contains(q)
        || image.digest.contains(q)
        || image.tags.iter().any(|tag| tag.to_lowercase().contains(q))
}
