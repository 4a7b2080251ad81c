//! Openings and closings of an image's findings.

use std::collections::HashMap;

use advisories::FindingId;
use axum::Json;
use axum::extract::{Path, State};
use posture::finding::severity_of_rank;
use store::scan::{FindingEvent as StoredEvent, Millis};

use super::PortalState;
use super::convert::{severity, time_text};
use super::error::ApiError;
use super::images::find;
use super::request::{Params, Reader, Window, text};
use super::types::{
    FindingEvent, HistoryCause, HistoryCauseKind, HistoryRow, HistoryWhat, PackageRef, Page,
    PageQuery,
};
use crate::inspections::ImageView;

/// Most events of an image that are looked at, the newest.
const EVENTS_MAX: u32 = 20_000;

/// A step in the life of a finding in one image.
#[derive(Debug, Clone, PartialEq)]
struct Step {
    at: Millis,
    what: HistoryWhat,
    cause: HistoryCause,
    finding_id: u64,
    title: String,
    severity: u8,
    packages: Vec<(String, String)>,
}

pub(super) async fn list_history(
    State(state): State<PortalState>,
    _: Reader,
    Path((registry, repository, digest)): Path<(String, String, String)>,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<HistoryRow>>, ApiError> {
    let (_, image) = find(&state, &registry, &repository, &digest).await?;
    let q = text(query.q.as_deref())?;
    let mut found = steps_of(&state, &image).await?;
    found.retain(|step| q.as_deref().is_none_or(|q| contains(step, q)));
    let kinds = kinds(&state, &image).await?;
    let page = Window::new(query.offset, query.limit).of(found);
    let row = |step: Step| HistoryRow {
        at: time_text(step.at).unwrap_or_default(),
        what: step.what,
        cause: step.cause,
        finding_id: step.finding_id.to_string(),
        title: step.title,
        severity: severity(severity_of_rank(step.severity)),
        packages: package_refs(&step.packages, &kinds),
    };
    Ok(Json(Page {
        total: page.total,
        offset: page.offset,
        items: page.items.into_iter().map(row).collect(),
    }))
}

/// The life of one finding, newest first.
pub(super) async fn of_finding(
    state: &PortalState,
    image: &ImageView,
    id: FindingId,
) -> Result<Vec<FindingEvent>, ApiError> {
    let steps = steps_of(state, image).await?.into_iter().filter(|step| step.finding_id == id.0);
    let event = |step: Step| FindingEvent {
        at: time_text(step.at).unwrap_or_default(),
        what: step.what,
        cause: step.cause,
    };
    Ok(steps.map(event).collect())
}

async fn steps_of(state: &PortalState, image: &ImageView) -> Result<Vec<Step>, ApiError> {
    let mut events = Vec::new();
    for leaf in image.leaves() {
        let more = state.inspections.scans.image_history(&leaf.manifest.digest, EVENTS_MAX).await?;
        events.extend(more);
    }
    Ok(steps(events, image.manifest.pushed_at))
}

/// Events are of packages, which may have been here long before this image. What
/// lay open when it came was opened, for it, by the push. Gives the newest first.
fn steps(mut events: Vec<StoredEvent>, pushed_at: Millis) -> Vec<Step> {
    // Stable: of events at the same moment the store's order (newest first) counts.
    events.reverse();
    events.sort_by_key(|event| event.at);
    let (before, after): (Vec<_>, Vec<_>) =
        events.into_iter().partition(|event| event.at < pushed_at);
    let mut steps: Vec<Step> = Vec::new();
    let mut last: HashMap<(u64, (String, String)), usize> = HashMap::new();
    for (at, event) in before.iter().enumerate() {
        last.insert((event.finding_id, event.package.clone()), at);
    }
    let mut standing: Vec<usize> =
        last.into_values().filter(|at| before[*at].event != "closed").collect();
    standing.sort_unstable();
    let push = HistoryCause { kind: HistoryCauseKind::Push, detail: None };
    let mut closed = std::collections::HashSet::new();
    for at in standing {
        join(&mut steps, step(&before[at], pushed_at, HistoryWhat::Opened, push.clone()));
    }
    for event in &after {
        let what = match event.event.as_str() {
            "closed" => HistoryWhat::Closed,
            "opened" if closed.contains(&event.finding_id) => HistoryWhat::Reopened,
            "opened" => HistoryWhat::Opened,
            // That an advisory was reworded neither opens nor closes anything.
            _ => continue,
        };
        if what == HistoryWhat::Closed {
            closed.insert(event.finding_id);
        }
        join(&mut steps, step(event, event.at, what, cause(&event.cause)));
    }
    steps.reverse();
    steps
}

fn step(event: &StoredEvent, at: Millis, what: HistoryWhat, cause: HistoryCause) -> Step {
    Step {
        at,
        what,
        cause,
        finding_id: event.finding_id,
        title: event.title.clone(),
        severity: event.severity,
        packages: vec![event.package.clone()],
    }
}

/// One step for all packages that made it together.
fn join(steps: &mut Vec<Step>, step: Step) {
    let same = |s: &&mut Step| {
        s.at == step.at
            && s.what == step.what
            && s.finding_id == step.finding_id
            && s.cause == step.cause
    };
    match steps.iter_mut().rev().take_while(|s| s.at == step.at).find(same) {
        Some(known) => {
            known.severity = known.severity.max(step.severity);
            known.packages.extend(step.packages);
        }
        None => steps.push(step),
    }
}

/// The scanner writes causes as sentences; how they begin says of what kind.
fn cause(text: &str) -> HistoryCause {
    let kind = match text {
        text if text.starts_with("first seen") && text.ends_with("(push)") => {
            HistoryCauseKind::Push
        }
        text if text.starts_with("first seen") => HistoryCauseKind::Analyser,
        _ => HistoryCauseKind::Advisory,
    };
    HistoryCause { kind, detail: Some(text.to_owned()) }
}

fn contains(step: &Step, q: &str) -> bool {
    step.title.to_lowercase().contains(q)
        || step.finding_id.to_string().contains(q)
        || step.packages.iter().any(|(name, _)| name.to_lowercase().contains(q))
}

/// Types of the image's packages by name and version.
async fn kinds(
    state: &PortalState,
    image: &ImageView,
) -> Result<HashMap<(String, String), &'static str>, ApiError> {
    let mut kinds = HashMap::new();
    for leaf in image.leaves() {
        for package in state.inspections.scans.image_packages(&leaf.manifest.digest).await? {
            let package = package.item.package;
            kinds.insert((package.name, package.version), package.kind.as_str());
        }
    }
    Ok(kinds)
}

fn package_refs(
    packages: &[(String, String)],
    kinds: &HashMap<(String, String), &'static str>,
) -> Vec<PackageRef> {
    let mut refs: Vec<PackageRef> = Vec::new();
    for package in packages {
        let kind = kinds.get(package).copied().unwrap_or_default();
        let one = PackageRef { name: package.0.clone(), kind: kind.to_owned() };
        if !refs.contains(&one) {
            refs.push(one);
        }
    }
    refs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: Millis, what: &str, package: &str) -> StoredEvent {
        StoredEvent {
            at,
            event: what.into(),
            finding_id: 1,
            title: "t".into(),
            severity: 3,
            package: (package.into(), "1".into()),
            cause: if at < 100 {
                "first seen in x (push)".into()
            } else {
                "advisory A of f now says so".into()
            },
        }
    }

    /// Events as the store gives them: the newest first.
    fn check(mut events: Vec<StoredEvent>, expected: &[(Millis, HistoryWhat, usize)]) {
        events.reverse();
        let steps = steps(events, 100);
        let seen: Vec<_> = steps.iter().map(|s| (s.at, s.what, s.packages.len())).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_lay_open_before_was_opened_by_the_push() {
        use HistoryWhat::{Closed, Opened, Reopened};
        check(vec![event(5, "opened", "a"), event(5, "opened", "b")], &[(100, Opened, 2)]);
        check(vec![event(5, "opened", "a"), event(6, "closed", "a")], &[]);
        check(
            vec![event(5, "opened", "a"), event(200, "closed", "a"), event(300, "opened", "a")],
            &[(300, Reopened, 1), (200, Closed, 1), (100, Opened, 1)],
        );
        check(vec![event(200, "opened", "a"), event(250, "changed", "a")], &[(200, Opened, 1)]);
    }

    #[test]
    fn causes_have_a_kind() {
        assert_eq!(cause("first seen in sha256:x (push)").kind, HistoryCauseKind::Push);
        assert_eq!(cause("first seen in sha256:x (catch_up)").kind, HistoryCauseKind::Analyser);
        assert_eq!(cause("advisory X of y was withdrawn").kind, HistoryCauseKind::Advisory);
    }
}
