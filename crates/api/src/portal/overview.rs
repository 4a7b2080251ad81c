//! The first screen, and how fresh the advisories are.

use axum::Json;
use axum::extract::State;
use store::scan::Millis;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::PortalState;
use super::convert::{counts, image_counts};
use super::error::ApiError;
use super::request::Reader;
use super::search::{self, Affected};
use super::types::{FeedState, FeedStatus, FindingRef, Overview, ScanCounts};

/// Findings on the first screen.
const NEWEST_MAX: usize = 10;
/// Rows read to find them: what stands in several places is shown once.
const NEWEST_READ_MAX: u32 = 500;
/// 3: High; those known to be exploited are picked out of them.
const NEWEST_SEVERITY_MIN: u8 = 3;
/// Beyond this age a feed is amber.
const AMBER_AFTER: Millis = 24 * 3600 * 1000;
/// Beyond this age a feed is red.
const RED_AFTER: Millis = 72 * 3600 * 1000;

pub(super) async fn read_overview(
    State(state): State<PortalState>,
    _: Reader,
) -> Result<Json<Overview>, ApiError> {
    let totals = state.inspections.scans.image_totals(None).await?;
    let queue = state.inspections.view.queue();
    let running = queue.iter().filter(|scan| scan.progress.stage.is_some()).count() as u64;
    Ok(Json(Overview {
        images: image_counts(&totals),
        severities: counts(&totals.severities),
        newest_critical: newest(&state).await?,
        scan_queue: ScanCounts {
            queued: queue.len() as u64 - running,
            running,
            failed: totals.failed,
        },
        advisories: feeds(&state),
    }))
}

/// Critical or known-exploited findings, newest first, each once.
async fn newest(state: &PortalState) -> Result<Vec<FindingRef>, ApiError> {
    let inspections = &state.inspections;
    let rows = inspections.scans.newest_findings(NEWEST_SEVERITY_MIN, NEWEST_READ_MAX).await?;
    let mut seen = std::collections::HashSet::new();
    let mut newest = Vec::new();
    for (digest, row) in rows {
        if newest.len() >= NEWEST_MAX {
            break;
        }
        if !seen.insert(row.finding.finding_id) {
            continue;
        }
        let Some(image) = inspections.scans.image(&digest).await? else { continue };
        let set = inspections.findings_of_image(&image).await?;
        let Some(found) = set.find(advisories::FindingId(row.finding.finding_id)) else { continue };
        let urgent =
            found.kev.is_some() || found.finding.severity == advisories::Severity::Critical;
        let Some(place) = inspections.catalog.places(&digest).await?.into_iter().next() else {
            continue;
        };
        if urgent && found.finding.suppressed.is_none() {
            newest.push(search::finding_ref(state, found, &Affected { digest, place }));
        }
    }
    Ok(newest)
}

pub(super) async fn list_advisories(
    State(state): State<PortalState>,
    _: Reader,
) -> Json<Vec<FeedStatus>> {
    Json(feeds(&state))
}

fn feeds(state: &PortalState) -> Vec<FeedStatus> {
    let now = (state.inspections.clock)();
    let feeds = state.inspections.view.index().feeds();
    feeds.into_iter().map(|feed| status(feed, now)).collect()
}

fn status(feed: advisories::index::FeedStatus, now: OffsetDateTime) -> FeedStatus {
    FeedStatus {
        state: freshness(feed.data_date.as_deref().or(feed.imported_at.as_deref()), now),
        source: feed.source,
        records: feed.records + feed.delta_records,
        data_date: feed.data_date,
        imported_at: feed.imported_at,
        namespaces: feed.namespaces,
    }
}

/// By the newest statement in the data: old data is old, however lately it was
/// imported. Without any date nothing vouches for it.
fn freshness(date: Option<&str>, now: OffsetDateTime) -> FeedState {
    let date = date.and_then(|date| OffsetDateTime::parse(date, &Rfc3339).ok());
    let age = date.map_or(Millis::MAX, |date| {
        Millis::try_from((now - date).whole_milliseconds()).unwrap_or(Millis::MAX)
    });
    match age {
        age if age > RED_AFTER => FeedState::Red,
        age if age > AMBER_AFTER => FeedState::Amber,
        _ => FeedState::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(date: Option<&str>, expected: FeedState) {
        let now = OffsetDateTime::parse("2026-11-22T12:00:00Z", &Rfc3339).unwrap();
        assert_eq!(freshness(date, now), expected, "{date:?}");
    }

    #[test]
    fn feeds_age() {
        check(Some("2026-11-22T11:00:00Z"), FeedState::Fresh);
        check(Some("2026-11-21T11:00:00Z"), FeedState::Amber);
        check(Some("2026-11-19T11:00:00Z"), FeedState::Red);
        check(Some("2026-11-23T11:00:00Z"), FeedState::Fresh);
        check(Some("soon"), FeedState::Red);
        check(None, FeedState::Red);
    }
}
