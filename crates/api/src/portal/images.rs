//! Images of a repository, and one of them.

use analysis::ImageConfig;
use axum::Json;
use axum::extract::{Path, State};
use oci::{Digest, RepositoryName};
use packages::purl::Purl;
use store::scan::{StoredImage, StoredImagePackage};

use super::PortalState;
use super::convert::{self, counts, summary};
use super::error::ApiError;
use super::request::{
    Params, Reader, Window, image_not_found, image_path, registry, repository_name, text,
};
use super::types::{
    AdvisorySnapshot, EnvVariable, ImageConfig as ConfigDetail, ImageDetail, ImageProblem,
    ImageSummary, ImagesQuery, Label, Layer, ManifestKind, OperatingSystem, Page, PullCommand,
    SeverityCounts, Undetermined,
};
use crate::inspections::{FindingSet, ImageView};

/// Largest configuration blob that is read, in bytes.
const CONFIG_BYTES_MAX: u64 = 8 << 20;
/// Most packages without a verdict that are spelled out.
const UNDETERMINED_MAX: usize = 1000;
/// Variables whose values are harmless; builds leak secrets in others.
const HARMLESS_VARIABLES: [&str; 14] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "HOME",
    "TERM",
    "TZ",
    "SHELL",
    "DEBIAN_FRONTEND",
    "PYTHON_VERSION",
    "NODE_VERSION",
    "YARN_VERSION",
    "GOLANG_VERSION",
    "JAVA_HOME",
    "GOPATH",
];

pub(super) async fn list_images(
    State(state): State<PortalState>,
    _: Reader,
    Path((registry_name, repository)): Path<(String, String)>,
    Params(query): Params<ImagesQuery>,
) -> Result<Json<Page<ImageSummary>>, ApiError> {
    registry(&state, &registry_name)?;
    let Some(name) = repository_name(&repository) else {
        let parent = format!("/registries/{registry_name}");
        return Err(ApiError::not_found(format_args!("repository {repository:?}"), parent));
    };
    let q = text(query.q.as_deref())?;
    let mut images = state.inspections.images(&name).await?;
    images.retain(|image| {
        let status = convert::status(image.state.verdict.status);
        query.status.is_none_or(|wanted| wanted == status)
            && q.as_deref().is_none_or(|q| is_meant(image, q))
    });
    let page = Window::new(query.offset, query.limit).of(images);
    let mut items = Vec::with_capacity(page.items.len());
    for image in &page.items {
        items.push(summary(image, index_findings(&state, image).await?.as_deref()));
    }
    Ok(Json(Page { total: page.total, offset: page.offset, items }))
}

/// Whether a tag contains the text, or a digest begins with it.
fn is_meant(image: &ImageView, q: &str) -> bool {
    let begins = |digest: &Digest| digest.to_string().starts_with(q) || digest.hex().starts_with(q);
    image.manifest.tags.iter().any(|tag| tag.as_str().to_lowercase().contains(q))
        || begins(&image.manifest.digest)
        || image.children.iter().any(|child| begins(&child.entry.digest))
}

/// The platforms of an index share findings, so their counts do not add up.
async fn index_findings(
    state: &PortalState,
    image: &ImageView,
) -> Result<Option<std::sync::Arc<FindingSet>>, ApiError> {
    if image.kind != ManifestKind::Index {
        return Ok(None);
    }
    Ok(Some(state.inspections.findings(&image.leaves()).await?))
}

pub(super) async fn read_image(
    State(state): State<PortalState>,
    reader: Reader,
    Path((registry_name, repository, digest)): Path<(String, String, String)>,
) -> Result<Json<ImageDetail>, ApiError> {
    let (name, image) = find(&state, &registry_name, &repository, &digest).await?;
    let findings = state.inspections.findings(&image.leaves()).await?;
    let shared = (image.kind == ManifestKind::Index).then_some(&*findings);
    let mut problems = Vec::new();
    let mut undetermined = Vec::new();
    let mut packages = Vec::new();
    for leaf in image.leaves() {
        let Some(stored) = &leaf.state.stored else { continue };
        problems.extend(stored.problems.iter().map(problem));
        packages = state.inspections.scans.image_packages(&stored.digest).await?;
        let room = UNDETERMINED_MAX - undetermined.len();
        undetermined.extend(packages.iter().filter_map(|p| open_question(p, stored)).take(room));
    }
    let config = match image.kind {
        ManifestKind::Image => read_config(&state, &name, &image).await?,
        _ => None,
    };
    let layers = match image.kind {
        ManifestKind::Image => {
            layers(&state, &name, &image, config.as_ref(), &findings, &packages).await?
        }
        _ => Vec::new(),
    };
    let index = state.inspections.view.index();
    let newest = index
        .feeds()
        .into_iter()
        .filter(|f| !f.family.is_empty())
        .filter_map(|f| f.data_date)
        .max();
    Ok(Json(ImageDetail {
        summary: summary(&image, shared),
        os: image.state.stored.as_ref().and_then(|stored| operating_system(&state, stored)),
        layers,
        config: config.map(config_detail),
        problems,
        undetermined,
        advisories: AdvisorySnapshot {
            snapshot: Some(index.snapshot_id()),
            newest_data_date: newest,
        },
        pull_commands: pull_commands(&reader.host, &name, &image),
    }))
}

/// The image of a path, or its 404.
pub(super) async fn find(
    state: &PortalState,
    registry_name: &str,
    repository: &str,
    digest: &str,
) -> Result<(RepositoryName, ImageView), ApiError> {
    let (name, wanted) = image_path(state, registry_name, repository, digest).await?;
    match state.inspections.image(&name, &wanted).await? {
        Some(image) => Ok((name, image)),
        None => Err(image_not_found(state, repository, digest).await),
    }
}

fn problem(problem: &packages::Problem) -> ImageProblem {
    // A unit variant serialises to its name.
    let kind = serde_json::to_value(problem.kind).ok();
    ImageProblem {
        layer: problem.layer,
        path: problem.path.clone(),
        kind: kind.and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default(),
        message: problem.message.clone(),
    }
}

fn open_question(package: &StoredImagePackage, image: &StoredImage) -> Option<Undetermined> {
    let reason = undetermined_reason(package)?;
    Some(Undetermined {
        package: Purl::of(&package.item.package, image.os.as_ref()).to_string(),
        reason,
    })
}

/// Why a package has no verdict, or not a whole one. One that its distribution
/// answers for is not asked.
pub(super) fn undetermined_reason(package: &StoredImagePackage) -> Option<String> {
    if !package.judged {
        return None;
    }
    let open = || Some(package.undetermined.join(". ")).filter(|text| !text.is_empty());
    package.unassessed.clone().or_else(open)
}

fn operating_system(state: &PortalState, image: &StoredImage) -> Option<OperatingSystem> {
    let os = image.os.as_ref()?;
    let today = (state.inspections.clock)().date().to_string();
    Some(OperatingSystem {
        id: os.id.clone(),
        version: os.version_id.clone(),
        name: os.pretty_name.clone(),
        eol: state.inspections.view.index().end_of_life(os).map(|end| end < today),
    })
}

pub(super) async fn read_config(
    state: &PortalState,
    repository: &RepositoryName,
    image: &ImageView,
) -> Result<Option<ImageConfig>, ApiError> {
    let inspections = &state.inspections;
    let digest = inspections.catalog.manifest_config(repository, &image.manifest.digest).await?;
    let Some(digest) = digest else { return Ok(None) };
    let Some(blob) = inspections.blobs.open_blob(&digest).await? else { return Ok(None) };
    if blob.size > CONFIG_BYTES_MAX {
        return Ok(None);
    }
    let bytes = blob.read_up_to(CONFIG_BYTES_MAX).await;
    // What cannot be read is among the image's problems; the page goes on without.
    Ok(ImageConfig::parse(&bytes.map_err(ApiError::internal)?).ok())
}

async fn layers(
    state: &PortalState,
    repository: &RepositoryName,
    image: &ImageView,
    config: Option<&ImageConfig>,
    findings: &FindingSet,
    packages: &[StoredImagePackage],
) -> Result<Vec<Layer>, ApiError> {
    let entries =
        state.inspections.catalog.manifest_layers(repository, &image.manifest.digest).await?;
    let layer = |(at, entry): (usize, store::catalog::LayerEntry)| {
        let at_layer = |item: &packages::InventoryItem| item.layer as usize == at;
        Layer {
            index: u32::try_from(at).unwrap_or(u32::MAX),
            digest: entry.digest.to_string(),
            media_type: entry.media_type,
            size_bytes: entry.size,
            created_by: config.and_then(|config| config.instruction(at)).map(str::to_owned),
            packages: packages.iter().filter(|p| at_layer(&p.item)).count() as u64,
            findings: layer_findings(findings, at),
        }
    };
    Ok(entries.into_iter().enumerate().map(layer).collect())
}

/// Each finding once, by the worst of its packages in the layer.
fn layer_findings(findings: &FindingSet, layer: usize) -> SeverityCounts {
    let mut sum = store::scan::SeverityCounts::default();
    for finding in findings.open() {
        let here = finding.finding.occurrences.iter().filter(|o| o.item.layer as usize == layer);
        let counted = here.filter(|o| o.verdict.suppressed.is_none());
        if let Some(worst) = counted.map(|o| o.verdict.severity).max() {
            posture::finding::add(&mut sum, worst);
        }
    }
    counts(&sum)
}

fn config_detail(config: ImageConfig) -> ConfigDetail {
    let variable = |text: String| match text.split_once('=') {
        Some((name, value)) => {
            let harmless = HARMLESS_VARIABLES.contains(&name);
            EnvVariable { name: name.to_owned(), value: harmless.then(|| value.to_owned()) }
        }
        None => EnvVariable { name: text, value: None },
    };
    ConfigDetail {
        created: config.created,
        // Not among what `analysis` reads.
        author: None,
        env: config.env.into_iter().map(variable).collect(),
        entrypoint: config.entrypoint,
        cmd: config.cmd,
        labels: config.labels.into_iter().map(|(name, value)| Label { name, value }).collect(),
        user: config.user,
        working_dir: config.working_dir,
    }
}

fn pull_commands(host: &str, repository: &RepositoryName, image: &ImageView) -> Vec<PullCommand> {
    let reference = format!("{host}/{repository}@{}", image.manifest.digest);
    let command =
        |client: &str, command: String| PullCommand { client: client.to_owned(), command };
    let oras = command("oras", format!("oras pull {reference}"));
    if image.kind == ManifestKind::Artifact {
        return vec![oras];
    }
    vec![
        command("docker", format!("docker pull {reference}")),
        command("podman", format!("podman pull {reference}")),
        command("skopeo", format!("skopeo copy docker://{reference} oci:image")),
    ]
}
