//! One image from its parts: what the server and the command line share.

use std::collections::BTreeMap;
use std::sync::Arc;

use advisories::Index;
use analysis::{ImageConfig, LayerAnalysis, LayerEncoding};
use oci::manifest::Image;
use oci::{Digest, media_type};
use packages::{Inventory, Problem, ProblemKind};
use store::scan::ImagePlatform;

/// An image as its bytes tell it, before any advisory is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// From the configuration.
    pub platform: ImagePlatform,
    /// Packages and problems.
    pub inventory: Inventory,
    /// Why nothing about it can be assessed, where so.
    pub inapplicable: Option<String>,
}

/// What is to be done with the layers of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// It is not a container image, for this reason.
    NotAnImage(String),
    /// Layer by layer: read it, or why not.
    Layers(Vec<Result<LayerEncoding, Problem>>),
}

/// Tells images from other artifacts, and readable layers from others.
pub fn plan(manifest: &Image) -> Plan {
    if !media_type::is_image_config(&manifest.config.media_type) {
        let kind = manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type);
        return Plan::NotAnImage(format!(
            "it is not a container image but an artifact of type {kind}"
        ));
    }
    let read = |(index, layer): (usize, &oci::Descriptor)| {
        LayerEncoding::from_media_type(&layer.media_type).map_err(|unsupported| Problem {
            layer: u32::try_from(index).ok(),
            path: None,
            kind: unsupported.kind(),
            message: format!("layer {index} cannot be read: {unsupported}"),
        })
    };
    Plan::Layers(manifest.layers.iter().enumerate().map(read).collect())
}

/// Why one layer has no analysis, as a problem of the image.
pub fn layer_problem(index: usize, kind: ProblemKind, why: &dyn std::fmt::Display) -> Problem {
    Problem {
        layer: u32::try_from(index).ok(),
        path: None,
        kind,
        message: format!("layer {index} cannot be read: {why}"),
    }
}

/// The problem of a layer whose blob has `size` bytes, where the manifest
/// says something else.
pub fn size_problem(index: usize, layer: &oci::Descriptor, size: u64) -> Option<Problem> {
    (layer.size != size).then(|| Problem {
        layer: u32::try_from(index).ok(),
        path: None,
        kind: ProblemKind::SizeMismatch,
        message: format!(
            "layer {index} has {size} bytes and not the {} that the manifest says",
            layer.size
        ),
    })
}

/// Merges what is known of the layers into the image; `problems` are those
/// found beside them.
pub fn assemble(
    config_bytes: &[u8],
    layers: &[Result<Arc<LayerAnalysis>, Problem>],
    in_manifest: &Image,
    mut problems: Vec<Problem>,
) -> Inspected {
    problems.extend(layers.iter().filter_map(|l| l.as_ref().err().cloned()));
    let config = match ImageConfig::parse(config_bytes) {
        Ok(config) => {
            problems.extend(config.oddities.iter().map(|oddity| config_problem(oddity.clone())));
            Some(config)
        }
        Err(error) => {
            problems.push(config_problem(format!("the configuration cannot be read: {error}")));
            None
        }
    };
    let analyses: Vec<Option<&LayerAnalysis>> =
        layers.iter().map(|l| l.as_ref().ok().map(Arc::as_ref)).collect();
    let inventory = analysis::merge(&analyses, config.as_ref(), problems);
    let config = config.unwrap_or_default();
    let inapplicable = in_manifest.layers.is_empty().then(|| "the image has no layers".to_owned());
    Inspected {
        platform: ImagePlatform {
            os: config.os.unwrap_or_default(),
            architecture: config.architecture.unwrap_or_default(),
            variant: config.variant,
        },
        inventory,
        inapplicable,
    }
}

fn config_problem(message: String) -> Problem {
    Problem { layer: None, path: None, kind: ProblemKind::MalformedConfig, message }
}

/// The packages of an inventory as the store takes them.
pub fn image_packages(index: &Index, inventory: &Inventory) -> Vec<store::scan::ImagePackage> {
    inventory
        .packages
        .iter()
        .map(|item| {
            let namespace = packages::Namespace::of(item.package.kind, inventory.os.as_ref());
            let match_name = match &namespace {
                Some(namespace) => advisories::names::lookup_name(namespace, &item.package),
                None => item.package.name.clone(),
            };
            let judged = !matching::is_delegated(index, inventory.os.as_ref(), item);
            store::scan::ImagePackage { namespace, match_name, item: item.clone(), judged }
        })
        .collect()
}

/// Positions of each distinct layer, so that one that stands in a manifest
/// many times is read once.
pub fn distinct_layers(manifest: &Image) -> BTreeMap<&Digest, Vec<usize>> {
    let mut out: BTreeMap<&Digest, Vec<usize>> = BTreeMap::new();
    for (index, layer) in manifest.layers.iter().enumerate() {
        out.entry(&layer.digest).or_default().push(index);
    }
    out
}
