//! One finding of one image, with its proof.

use advisories::FindingId;
use axum::Json;
use axum::extract::{Path, State};
use oci::RepositoryName;
use packages::OsRelease;
use packages::purl::Purl;
use posture::Occurrence;
use posture::remediation::remediation;

use super::PortalState;
use super::convert::{self, severity, time_text};
use super::error::ApiError;
use super::links::{link, web_link};
use super::request::{Reader, repository_path};
use super::types::{
    AdvisorySource, AffectedPackage, Alias, CvssVector, Evidence, FindingDetail, ImageRef, Kev,
    LayerRef, Reference, Remediation,
};
use super::{history, images};
use crate::inspections::{EnrichedFinding, ImageView};

/// Other images that are named.
const OTHER_IMAGES_MAX: usize = 100;
/// What every finding is today.
const VULNERABILITY: &str = "Vulnerability";
/// Advisories are written in English.
const TEXT_LANGUAGE: &str = "en";

pub(super) async fn read_finding(
    State(state): State<PortalState>,
    _: Reader,
    Path((registry, repository, digest, id)): Path<(String, String, String, String)>,
) -> Result<Json<FindingDetail>, ApiError> {
    let (name, image) = images::find(&state, &registry, &repository, &digest).await?;
    let set = state.inspections.findings(&image.leaves()).await?;
    let found = id.parse::<FindingId>().ok().and_then(|id| set.find(id));
    let Some(found) = found else {
        let parent = format!("{}/images/{}", repository_path(&state, &name), image.manifest.digest);
        return Err(ApiError::not_found(format_args!("finding {id:?} of this image"), parent));
    };
    let index = state.inspections.view.index();
    let finding = &found.finding;
    let check = found.check.as_deref();
    let proof = finding.deciding().map(|occurrence| &occurrence.verdict);
    let os = image.leaves().into_iter().find_map(|leaf| leaf.state.stored.as_ref()?.os.clone());
    let layers = layer_refs(&state, &name, &image).await?;
    let feed = proof.map(|proof| proof.evidence.feed.clone()).unwrap_or_default();
    let advisory = proof.map(|proof| proof.evidence.advisory.clone()).unwrap_or_default();
    let advice = remediation(finding, check.map_or("", |check| &check.remediation));
    let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let description = check.and_then(|check| filled(&check.description));
    Ok(Json(FindingDetail {
        id: finding.id.to_string(),
        title: finding.title.clone(),
        severity: severity(finding.severity),
        severity_reason: proof.map(|proof| proof.severity_reason.clone()).unwrap_or_default(),
        status: convert::finding_status(finding),
        text_language: description.is_some().then(|| TEXT_LANGUAGE.to_owned()),
        description,
        impact: check.and_then(|check| filled(&check.impact)),
        cves: finding.cves.iter().map(|id| alias(id)).collect(),
        aliases: aliases(found),
        kev: found.kev.as_ref().map(|kev| Kev {
            added_at: Some(kev.date_added.clone()),
            due_at: kev.due_date.clone(),
            ransomware: Some(kev.ransomware),
        }),
        epss: found.epss.as_ref().map(convert::epss),
        cvss: cvss_vectors(found),
        published_at: check.and_then(|check| check.published.clone()),
        modified_at: check.and_then(|check| check.modified.clone()),
        first_seen_at: time_text(finding.opened_at.max(image.manifest.pushed_at)),
        advisory: AdvisorySource {
            url: link(&advisory),
            data_date: index
                .feeds()
                .into_iter()
                .find(|f| f.source == feed)
                .and_then(|f| f.data_date),
            snapshot: Some(index.snapshot_id()),
            id: advisory,
            feed,
        },
        category: finding.category.clone(),
        kind: VULNERABILITY.to_owned(),
        patchable: finding.patchable,
        fixed_versions: finding.fixed_versions(),
        packages: finding.occurrences.iter().map(|o| affected(o, os.as_ref(), &layers)).collect(),
        remediation: Remediation { steps: advice.steps, dockerfile: advice.dockerfile },
        references: references(found),
        other_images: other_images(&state, finding.id, &name, &image).await?,
        history: history::of_finding(&state, &image, finding.id).await?,
    }))
}

fn alias(id: &str) -> Alias {
    Alias { id: id.to_owned(), url: link(id) }
}

/// Every other name: those of the check and the advisories that matched.
fn aliases(found: &EnrichedFinding) -> Vec<Alias> {
    let check = found.check.iter().flat_map(|c| c.aliases.iter().chain(&c.advisories));
    let matched = found.finding.occurrences.iter().flat_map(|o| &o.verdict.advisories);
    let mut ids: Vec<&String> =
        check.chain(matched).filter(|id| !found.finding.cves.contains(id)).collect();
    ids.sort();
    ids.dedup();
    ids.into_iter().map(|id| alias(id)).collect()
}

/// Newest version first.
fn cvss_vectors(found: &EnrichedFinding) -> Vec<CvssVector> {
    let all = found.check.iter().flat_map(|check| &check.cvss);
    let mut vectors: Vec<CvssVector> = all
        .map(|vector| CvssVector {
            version: vector.version.clone(),
            score: vector.score,
            vector: vector.vector.clone(),
            source: Some(vector.source.clone()).filter(|source| !source.is_empty()),
        })
        .collect();
    vectors.sort_by(|a, b| b.version.cmp(&a.version).then(b.score.total_cmp(&a.score)));
    vectors
}

fn references(found: &EnrichedFinding) -> Vec<Reference> {
    let all = found.check.iter().flat_map(|check| &check.references);
    let reference = |link: &advisories::Link| {
        let title = Some(link.title.clone()).filter(|title| !title.is_empty());
        Some(Reference { title, url: web_link(&link.link)? })
    };
    all.filter_map(reference).collect()
}

/// Layers of the image by position. Those of an index's platforms are numbered
/// alike and differ, so they are left out.
async fn layer_refs(
    state: &PortalState,
    repository: &RepositoryName,
    image: &ImageView,
) -> Result<Vec<LayerRef>, ApiError> {
    if !image.children.is_empty() {
        return Ok(Vec::new());
    }
    let config = images::read_config(state, repository, image).await?;
    let entries =
        state.inspections.catalog.manifest_layers(repository, &image.manifest.digest).await?;
    let layer = |(at, entry): (usize, store::catalog::LayerEntry)| LayerRef {
        index: u32::try_from(at).unwrap_or(u32::MAX),
        digest: entry.digest.to_string(),
        created_by: config.as_ref().and_then(|config| config.instruction(at)).map(str::to_owned),
    };
    Ok(entries.into_iter().enumerate().map(layer).collect())
}

fn affected(
    occurrence: &Occurrence,
    os: Option<&OsRelease>,
    layers: &[LayerRef],
) -> AffectedPackage {
    let (item, verdict) = (&occurrence.item, &occurrence.verdict);
    AffectedPackage {
        kind: item.package.kind.as_str().to_owned(),
        name: item.package.name.clone(),
        installed: item.package.version.clone(),
        fixed: verdict.fixed_version.clone(),
        purl: Purl::of(&item.package, os).to_string(),
        layer: layers.get(item.layer as usize).cloned(),
        path: Some(item.path.clone()).filter(|path| !path.is_empty()),
        evidence: Evidence {
            feed: verdict.evidence.feed.clone(),
            advisory: verdict.evidence.advisory.clone(),
            rule: verdict.evidence.rule.clone(),
            installed: verdict.evidence.installed.clone(),
            compared_with: verdict.evidence.compared_with.clone().unwrap_or_default(),
        },
    }
}

async fn other_images(
    state: &PortalState,
    id: FindingId,
    repository: &RepositoryName,
    image: &ImageView,
) -> Result<Vec<ImageRef>, ApiError> {
    let own: Vec<_> = image.leaves().into_iter().map(|leaf| leaf.manifest.digest).collect();
    let limit = u32::try_from(OTHER_IMAGES_MAX + own.len()).unwrap_or(u32::MAX);
    let mut others = Vec::new();
    for digest in state.inspections.scans.images_with_finding(id.0, limit).await? {
        for place in state.inspections.catalog.places(&digest).await? {
            if own.contains(&digest) && place.repository == *repository {
                continue;
            }
            others.push(ImageRef {
                registry: state.registry_name.to_string(),
                repository: place.repository.to_string(),
                digest: digest.to_string(),
                tags: place.tags.iter().map(ToString::to_string).collect(),
            });
        }
    }
    others.truncate(OTHER_IMAGES_MAX);
    Ok(others)
}
