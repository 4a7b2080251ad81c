//! Sub-assessments: list and get.

use advisories::FindingId;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use matching::Status;
use oci::{Digest, RepositoryName};
use posture::sub_assessment::{ASSESSMENT_KEY, ASSESSMENT_NAME};
use posture::{AssessedImage, SubAssessment};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::scan::StoredImage;
use uuid::Uuid;

use super::AzureState;
use super::error::ArmError;
use super::wire::sub_assessment;
use crate::inspections::FindingSet;

/// Rows of a page.
const PAGE_ROWS: usize = 500;
/// Images read at once.
const IMAGES_READ: u32 = 100;
/// Longest `$skiptoken` that is read, in bytes.
const TOKEN_BYTES_MAX: usize = 2048;

/// The last row of a page: the next one goes on behind it, whatever came or
/// went meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    repository: String,
    digest: String,
    /// `None`: the clean bill, or the image had no row.
    finding: Option<u64>,
}

impl Position {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn decode(token: &str) -> Option<Self> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()
    }
}

/// Part of the list, and the token of the next part.
pub(super) struct RowPage {
    pub rows: Vec<Value>,
    pub next: Option<String>,
}

/// Refuses an assessment that is not ours.
pub(super) fn check_assessment(key: &str) -> Result<(), ArmError> {
    if key.eq_ignore_ascii_case(ASSESSMENT_KEY) {
        return Ok(());
    }
    let message = format!(
        "Assessment '{key}' was not found here. There is one: {ASSESSMENT_KEY} ({ASSESSMENT_NAME})."
    );
    Err(ArmError::not_found("AssessmentNotFound", message))
}

/// Rows of all images, by repository, digest and finding.
pub(super) async fn list(
    state: &AzureState,
    host: &str,
    token: Option<&str>,
) -> Result<RowPage, ArmError> {
    let mut at = match token {
        None => None,
        Some(token) => Some(Position::decode(token).ok_or_else(|| {
            ArmError::bad_request(
                "InvalidSkipToken",
                "The $skiptoken is none that this server made.",
            )
        })?),
    };
    let mut rows = Vec::new();
    // An image that the last page ended in the middle of.
    if let Some(position) = at.as_ref().filter(|position| position.finding.is_some())
        && let Some((name, digest)) = address(position)
    {
        let held = state.inspections.catalog.catalog_manifest(&name, &digest).await?.is_some();
        if held && take(state, host, &name, &digest, position.finding, &mut rows).await? {
            return Ok(full(rows));
        }
    }
    loop {
        let after =
            at.as_ref().map(|position| (position.repository.as_str(), position.digest.as_str()));
        let images = state.inspections.catalog.inspected_images(after, IMAGES_READ).await?;
        let Some((name, digest)) = images.last() else {
            let rows = rows.into_iter().map(|(_, row)| row).collect();
            return Ok(RowPage { rows, next: None });
        };
        at = Some(Position {
            repository: name.to_string(),
            digest: digest.to_string(),
            finding: None,
        });
        for (name, digest) in &images {
            if take(state, host, name, digest, None, &mut rows).await? {
                return Ok(full(rows));
            }
        }
    }
}

fn full(mut rows: Vec<(Position, Value)>) -> RowPage {
    rows.truncate(PAGE_ROWS);
    let next = rows.last().map(|(position, _)| position.encode());
    RowPage { rows: rows.into_iter().map(|(_, row)| row).collect(), next }
}

fn address(position: &Position) -> Option<(RepositoryName, Digest)> {
    Some((RepositoryName::parse(&position.repository).ok()?, Digest::parse(&position.digest).ok()?))
}

/// Adds the rows of an image behind a finding; says whether the page is full
/// and there is more.
async fn take(
    state: &AzureState,
    host: &str,
    repository: &RepositoryName,
    digest: &Digest,
    behind: Option<u64>,
    rows: &mut Vec<(Position, Value)>,
) -> Result<bool, ArmError> {
    let Some((image, set)) = inspected(state, digest).await? else { return Ok(false) };
    for row in rows_of(repository, &image, &set) {
        if behind.is_some_and(|behind| row.finding.is_none_or(|id| id.0 <= behind)) {
            continue;
        }
        if rows.len() == PAGE_ROWS {
            return Ok(true);
        }
        let position = Position {
            repository: repository.to_string(),
            digest: digest.to_string(),
            finding: row.finding.map(|id| id.0),
        };
        rows.push((position, render(state, host, &row, &image, &set)));
    }
    Ok(false)
}

async fn inspected(
    state: &AzureState,
    digest: &Digest,
) -> Result<Option<(StoredImage, std::sync::Arc<FindingSet>)>, ArmError> {
    let Some(image) = state.inspections.scans.image(digest).await? else { return Ok(None) };
    if image.status == Status::NotApplicable {
        return Ok(None);
    }
    let set = state.inspections.findings_of_image(&image).await?;
    Ok(Some((image, set)))
}

/// The rows that an image has, see [`posture::sub_assessment`].
fn rows_of(
    repository: &RepositoryName,
    image: &StoredImage,
    set: &FindingSet,
) -> Vec<SubAssessment> {
    let about = AssessedImage { repository: repository.clone(), digest: image.digest };
    let row = |finding: Option<FindingId>| SubAssessment { image: about.clone(), finding };
    match image.status {
        Status::NotApplicable => Vec::new(),
        Status::Healthy => vec![row(None)],
        Status::Unhealthy => set.open().map(|f| row(Some(f.finding.id))).collect(),
    }
}

fn render(
    state: &AzureState,
    host: &str,
    row: &SubAssessment,
    image: &StoredImage,
    set: &FindingSet,
) -> Value {
    sub_assessment(state, host, row, image, row.finding.and_then(|id| set.find(id)))
}

/// One row by its name. Names are hashes, so images are gone through until one
/// has it.
pub(super) async fn find(state: &AzureState, host: &str, name: &str) -> Result<Value, ArmError> {
    let missing = || {
        let message =
            format!("Sub-assessment '{name}' was not found in assessment {ASSESSMENT_KEY}.");
        ArmError::not_found("SubAssessmentNotFound", message)
    };
    let wanted = Uuid::try_parse(name).map_err(|_| missing())?;
    let mut after: Option<(String, String)> = None;
    loop {
        let from =
            after.as_ref().map(|(repository, digest)| (repository.as_str(), digest.as_str()));
        let images = state.inspections.catalog.inspected_images(from, IMAGES_READ).await?;
        let Some((repository, digest)) = images.last() else { return Err(missing()) };
        after = Some((repository.to_string(), digest.to_string()));
        for (repository, digest) in &images {
            let Some((image, set)) = inspected(state, digest).await? else { continue };
            if let Some(row) =
                rows_of(repository, &image, &set).into_iter().find(|row| row.name() == wanted)
            {
                return Ok(render(state, host, &row, &image, &set));
            }
        }
    }
}

/// A list in ARM's shape. The link is whole: clients call it as it is.
pub(super) fn list_body(rows: Vec<Value>, next_link: Option<String>) -> Value {
    match next_link {
        Some(link) => json!({ "value": rows, "nextLink": link }),
        None => json!({ "value": rows }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(token: &str, valid: bool) {
        assert_eq!(Position::decode(token).is_some(), valid, "{token}");
    }

    #[test]
    fn tokens_round_trip_and_foreign_ones_are_refused() {
        let position =
            Position { repository: "a/b".into(), digest: "sha256:x".into(), finding: Some(7) };
        assert_eq!(Position::decode(&position.encode()), Some(position));
        check("", false);
        check("e30", false);
        check("%%%", false);
        check(&"A".repeat(TOKEN_BYTES_MAX + 4), false);
    }
}
