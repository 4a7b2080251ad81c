//! Inspection of a target on the command line: the same workers, merge and
//! rules as the server's.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::sync::Arc;

use analysis::LayerAnalysis;
use anyhow::Context;
use backends::sandbox::{SandboxLimits, SandboxPool};
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use oci::{Digest, Hasher};
use packages::{Problem, ProblemKind};
use scanner::inspect::{
    Inspected, Plan, assemble, distinct_layers, layer_problem, plan, size_problem,
};
use scanner::worker::LayerWorkers;

use crate::cli::TargetArgs;
use crate::target::{self, RegistryAccess, Target, TargetImage};

/// An image and what is in it.
pub struct Report {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Platform, packages, problems.
    pub inspected: Inspected,
}

/// Opens and inspects a target.
pub async fn inspect(args: &TargetArgs) -> anyhow::Result<Report> {
    let access = RegistryAccess { ca_file: args.ca_file.clone(), plain_http: args.plain_http };
    let target = Target::parse(&args.target)?;
    let image = target::open(&target, args.platform.as_deref(), &access)
        .await
        .with_context(|| format!("cannot open {}", args.target))?;
    let digest = image.digest;
    Ok(Report { digest, inspected: inspect_image(image).await? })
}

async fn inspect_image(image: TargetImage) -> anyhow::Result<Inspected> {
    let plan = match plan(&image.manifest) {
        Plan::NotAnImage(why) => {
            return Ok(Inspected {
                platform: Default::default(),
                inventory: Default::default(),
                inapplicable: Some(why),
            });
        }
        Plan::Layers(plan) => plan,
    };
    let workers_max = std::thread::available_parallelism().map_or(2, usize::from);
    let pool = Arc::new(SandboxPool::of_current_exe(SandboxLimits {
        workers_max,
        ..SandboxLimits::default()
    }));

    let mut layers: Vec<Result<Arc<LayerAnalysis>, Problem>> = plan
        .iter()
        .enumerate()
        .map(|(i, planned)| match planned {
            Ok(_) => Err(layer_problem(i, ProblemKind::MissingLayer, &"its blob is missing")),
            Err(problem) => Err(problem.clone()),
        })
        .collect();
    let mut readings = Vec::new();
    for (digest, positions) in distinct_layers(&image.manifest) {
        let Some(&first) = positions.iter().find(|&&p| plan[p].is_ok()) else { continue };
        let Some(file) = &image.layers[first] else { continue };
        let file = file.try_clone().context("cannot open a layer twice")?;
        let media_type = image.manifest.layers[first].media_type.clone();
        let (pool, digest) = (Arc::clone(&pool), *digest);
        readings
            .push(async move { (positions, read_layer(&pool, file, &digest, &media_type).await) });
    }
    let mut problems = Vec::new();
    for (i, (layer, file)) in image.manifest.layers.iter().zip(&image.layers).enumerate() {
        if let Some(file) = file {
            let size = file.metadata().context("cannot read the size of a layer")?.len();
            problems.extend(size_problem(i, layer, size));
        }
    }
    let bar = progress_bar(readings.len() as u64, "layers");
    let mut outcomes = futures::stream::iter(readings).buffer_unordered(workers_max);
    while let Some((positions, outcome)) = outcomes.next().await {
        bar.inc(1);
        for position in positions.into_iter().filter(|&p| plan[p].is_ok()) {
            layers[position] = match &outcome {
                Ok(analysis) => Ok(Arc::clone(analysis)),
                Err((kind, why)) => Err(layer_problem(position, *kind, why)),
            };
        }
    }
    bar.finish_and_clear();
    Ok(assemble(&image.config, &layers, &image.manifest, problems))
}

async fn read_layer(
    pool: &SandboxPool,
    file: File,
    digest: &Digest,
    media_type: &str,
) -> Result<Arc<LayerAnalysis>, (ProblemKind, String)> {
    let failed = |kind| move |error: &dyn std::fmt::Display| (kind, error.to_string());
    let unreadable = failed(ProblemKind::UnreadableLayer);
    let size = file.metadata().map_err(|e| unreadable(&e))?.len();
    // Hashed beside the analysis, over a handle with a position of its own.
    let verified = {
        let (file, digest) = (reopened(&file).map_err(|e| unreadable(&e))?, *digest);
        tokio::task::spawn_blocking(move || hash(file, &digest))
    };
    let worker = failed(ProblemKind::WorkerFailed);
    let mut running = pool.start(file, Some(media_type)).await.map_err(|e| worker(&e))?;
    running.available(size);
    let analysis = running.finish(size).await.map_err(|e| worker(&e))?;
    let actual = verified.await.map_err(|e| unreadable(&e))?.map_err(|e| unreadable(&e))?;
    if actual != *digest {
        return Err((
            ProblemKind::UnreadableLayer,
            format!("its bytes hash to {actual} and not to {digest}"),
        ));
    }
    Ok(Arc::new(analysis))
}

/// The same file with a position of its own: clones of a handle share theirs.
fn reopened(file: &File) -> std::io::Result<File> {
    use std::os::fd::AsRawFd;
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn hash(mut file: File, digest: &Digest) -> std::io::Result<Digest> {
    let mut hasher = Hasher::new(digest.algorithm());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// A bar on a terminal, nothing elsewhere.
pub fn progress_bar(total: u64, what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {elapsed}");
    let bar = ProgressBar::new(total).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
