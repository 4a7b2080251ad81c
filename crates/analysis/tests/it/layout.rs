//! OCI image layouts on disk, read just well enough for tests.

use std::fs::File;
use std::path::{Path, PathBuf};

use analysis::{ImageConfig, LayerAnalysis, LayerEncoding, Limits, analyse_layer, merge};
use packages::{Inventory, Problem, ProblemKind};
use serde_json::Value;

/// The corpus, or nothing with a line that says so.
pub fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("LAZARET_CORPUS").map(PathBuf::from).filter(|path| path.is_dir());
    if folder.is_none() {
        eprintln!(
            "skipped: LAZARET_CORPUS names no folder; build one with the shared images/build.py"
        );
    }
    folder
}

/// A folder of the corpus, or nothing with a line that says so.
pub fn image(name: &str) -> Option<PathBuf> {
    let folder = corpus()?.join(name);
    if !folder.is_dir() {
        eprintln!("skipped: the corpus has no {name}");
        return None;
    }
    Some(folder)
}

/// One image manifest of a layout.
pub struct Image {
    pub folder: PathBuf,
    pub manifest: Value,
    pub platform: String,
    pub tag: String,
}

pub fn blob_path(folder: &Path, digest: &str) -> PathBuf {
    folder.join("blobs").join(digest.replace(':', "/"))
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Every image of a layout; indexes are followed a few levels down, and what is
/// no JSON is passed over.
pub fn images(folder: &Path) -> Vec<Image> {
    let mut found = Vec::new();
    let mut open =
        vec![(read_json(&folder.join("index.json")).expect("an index"), String::new(), 0)];
    while let Some((index, tag, depth)) = open.pop() {
        for descriptor in index["manifests"].as_array().into_iter().flatten() {
            let Some(digest) = descriptor["digest"].as_str() else { continue };
            let Some(manifest) = read_json(&blob_path(folder, digest)) else { continue };
            let tag = match descriptor["annotations"]["org.opencontainers.image.ref.name"].as_str()
            {
                Some(name) => name.to_owned(),
                None => tag.clone(),
            };
            if manifest["manifests"].is_array() {
                if depth < 3 {
                    open.push((manifest, tag, depth + 1));
                }
            } else {
                let platform =
                    descriptor["platform"]["architecture"].as_str().unwrap_or_default().to_owned();
                found.push(Image { folder: folder.to_owned(), manifest, platform, tag });
            }
        }
    }
    found
}

/// Analyses one layer blob in this process, and sends it through its stored
/// form.
pub fn analyse(folder: &Path, descriptor: &Value) -> Result<LayerAnalysis, Problem> {
    let problem = |kind, message: String| Problem { layer: None, path: None, kind, message };
    let media_type = descriptor["mediaType"].as_str().unwrap_or_default();
    let encoding =
        LayerEncoding::from_media_type(media_type).map_err(|e| problem(e.kind(), e.to_string()))?;
    let path = blob_path(folder, descriptor["digest"].as_str().unwrap_or_default());
    let file = File::open(path).map_err(|e| problem(ProblemKind::MissingLayer, e.to_string()))?;
    let analysis = analyse_layer(file, encoding, &Limits::default());
    let stored = analysis.to_bytes().expect("can be stored");
    assert_eq!(LayerAnalysis::from_bytes(&stored).expect("can be read back"), analysis);
    Ok(analysis)
}

/// The whole way from a layout to an inventory.
pub fn inventory(image: &Image) -> Inventory {
    let config = image.manifest["config"]["digest"].as_str().unwrap_or_default();
    let config = std::fs::read(blob_path(&image.folder, config)).ok();
    let mut problems = Vec::new();
    let config = match config.map(|bytes| ImageConfig::parse(&bytes)) {
        Some(Ok(config)) => Some(config),
        Some(Err(error)) => {
            let message = error.to_string();
            problems.push(Problem {
                layer: None,
                path: None,
                kind: ProblemKind::MalformedConfig,
                message,
            });
            None
        }
        None => None,
    };
    let mut known = std::collections::BTreeMap::new();
    let mut layers = Vec::new();
    for (index, descriptor) in image.manifest["layers"].as_array().into_iter().flatten().enumerate()
    {
        let digest = descriptor["digest"].as_str().unwrap_or_default().to_owned();
        let analysis =
            known.entry(digest.clone()).or_insert_with(|| analyse(&image.folder, descriptor));
        if let Err(problem) = analysis {
            problems.push(Problem { layer: Some(index as u32), ..problem.clone() });
        }
        layers.push(digest);
    }
    let layers: Vec<_> = layers.iter().map(|digest| known[digest].as_ref().ok()).collect();
    let started = std::time::Instant::now();
    let inventory = merge(&layers, config.as_ref(), problems);
    let paths: usize = layers.iter().flatten().map(|layer| layer.events.len()).sum();
    eprintln!(
        "{} {}: {} layers, {paths} paths, {} packages, {} problems, merged in {:?}",
        image.folder.file_name().unwrap_or_default().display(),
        image.tag,
        layers.len(),
        inventory.packages.len(),
        inventory.problems.len(),
        started.elapsed()
    );
    inventory
}
