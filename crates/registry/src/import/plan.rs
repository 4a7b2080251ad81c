//! What an import consists of: every manifest, read before anything is copied.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use futures::future::try_join_all;
use oci::media_type::is_foreign_layer;
use oci::{Descriptor, Digest, Manifest, Reference, Tag};

use super::ImportError;
use crate::upstream::{Remote, RemoteManifest, Upstream, UpstreamError};

/// Most manifests of one import, referrers included.
pub const MANIFESTS_MAX: usize = 2000;
/// Most bytes of manifests of one import; they are held in memory.
pub const MANIFEST_BYTES_MAX: usize = 128 << 20;
/// How far referrers of referrers, or indexes in indexes, are followed.
pub const DEPTH_MAX: usize = 8;
/// Manifests that are asked for at once.
const AT_ONCE: usize = 8;

/// Suffixes of the tags under which cosign keeps what belongs to an image, as
/// it did before there were referrers.
const COSIGN_SUFFIXES: [&str; 3] = ["sig", "att", "sbom"];
/// The digest that a build attestation in an index is about.
const ATTESTED_DIGEST: &str = "vnd.docker.reference.digest";

/// A manifest of an import.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub digest: Digest,
    pub media_type: String,
    pub bytes: Bytes,
    /// The tag it keeps, if it is found by one.
    pub tag: Option<Tag>,
}

/// Everything of an import.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What was asked for first, then what was found from there.
    pub documents: Vec<Document>,
    /// The blobs of all, with their sizes as the manifests have them.
    pub blobs: BTreeMap<Digest, u64>,
}

struct Wanted {
    reference: Reference,
    depth: usize,
    tag: Option<Tag>,
    /// Whether it may be missing: children of a sparse index, tags of cosign.
    optional: bool,
}

/// What one manifest leads to.
struct Found {
    manifest: RemoteManifest,
    parsed: Manifest,
    referrers: Vec<Descriptor>,
}

/// How a plan is made.
pub(super) struct Planner<'a> {
    pub upstream: &'a dyn Upstream,
    pub remote: &'a Remote,
    pub platforms: &'a [String],
    pub referrers: bool,
}

impl Planner<'_> {
    /// Reads everything. `grew` hears of the plan while it grows.
    pub async fn plan(
        &self,
        reference: &Reference,
        grew: impl Fn(&Plan),
    ) -> Result<Plan, ImportError> {
        let mut plan = Plan::default();
        let mut seen = BTreeSet::new();
        let mut bytes = 0;
        let root = Wanted { reference: reference.clone(), depth: 0, tag: None, optional: false };
        let mut queue = VecDeque::from([root]);
        while !queue.is_empty() {
            let batch: Vec<_> = queue.drain(..queue.len().min(AT_ONCE)).collect();
            let found = try_join_all(batch.iter().map(|wanted| self.read(wanted))).await?;
            for (wanted, found) in batch.into_iter().zip(found) {
                let Some(found) = found else { continue };
                bytes += found.manifest.bytes.len();
                if bytes > MANIFEST_BYTES_MAX {
                    let what = "bytes of manifests";
                    return Err(ImportError::TooLarge { what, limit: MANIFEST_BYTES_MAX });
                }
                seen.insert(found.manifest.digest);
                self.follow(&wanted, &found, &mut seen, &mut queue)?;
                plan.take(wanted, found);
            }
            if plan.documents.len() + queue.len() > MANIFESTS_MAX {
                return Err(ImportError::TooLarge { what: "manifests", limit: MANIFESTS_MAX });
            }
            grew(&plan);
        }
        Ok(plan)
    }

    async fn read(&self, wanted: &Wanted) -> Result<Option<Found>, ImportError> {
        let manifest = match self.upstream.manifest(self.remote, &wanted.reference).await {
            Ok(manifest) => manifest,
            Err(UpstreamError::Unknown { .. }) if wanted.optional => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let digest = manifest.digest;
        let media_type = Some(manifest.media_type.as_str()).filter(|t| !t.is_empty());
        let parsed = Manifest::parse(&manifest.bytes, media_type)
            .map_err(|source| ImportError::Invalid { digest, source })?;
        let mut referrers = Vec::new();
        if self.referrers && wanted.depth < DEPTH_MAX {
            referrers = self.upstream.referrers(self.remote, &digest).await?;
        }
        Ok(Some(Found { manifest, parsed, referrers }))
    }

    /// Queues what a manifest leads to.
    fn follow(
        &self,
        wanted: &Wanted,
        found: &Found,
        seen: &mut BTreeSet<Digest>,
        queue: &mut VecDeque<Wanted>,
    ) -> Result<(), ImportError> {
        if wanted.depth >= DEPTH_MAX {
            return Ok(());
        }
        let depth = wanted.depth + 1;
        let children = match &found.parsed {
            Manifest::Index(index) => {
                // Only what was asked for is chosen from; its parts are whole.
                let platforms = if wanted.depth == 0 { self.platforms } else { &[] };
                choose(&index.manifests, platforms)?
            }
            Manifest::Image(_) => Vec::new(),
        };
        for descriptor in children.into_iter().chain(&found.referrers) {
            if seen.insert(descriptor.digest) {
                let reference = descriptor.digest.into();
                queue.push_back(Wanted { reference, depth, tag: None, optional: true });
            }
        }
        // Signatures of signatures are not a thing of cosign's.
        if self.referrers && wanted.tag.is_none() {
            let digest = found.manifest.digest;
            let name = |suffix| format!("{}-{}.{suffix}", digest.algorithm(), digest.hex());
            for tag in COSIGN_SUFFIXES.iter().filter_map(|suffix| Tag::parse(&name(suffix)).ok()) {
                let reference = tag.clone().into();
                queue.push_back(Wanted { reference, depth, tag: Some(tag), optional: true });
            }
        }
        Ok(())
    }
}

impl Plan {
    fn take(&mut self, wanted: Wanted, found: Found) {
        if let Manifest::Image(image) = &found.parsed {
            let own = image.layers.iter().filter(|layer| !is_foreign_layer(&layer.media_type));
            let blobs = std::iter::once(&image.config).chain(own);
            self.blobs.extend(blobs.map(|blob| (blob.digest, blob.size)));
        }
        self.documents.push(Document {
            digest: found.manifest.digest,
            media_type: found.parsed.media_type().to_owned(),
            bytes: found.manifest.bytes,
            tag: wanted.tag,
        });
    }
}

/// The entries of an index for some platforms, with what is attested of them.
fn choose<'a>(
    entries: &'a [Descriptor],
    platforms: &[String],
) -> Result<Vec<&'a Descriptor>, ImportError> {
    if platforms.is_empty() {
        return Ok(entries.iter().collect());
    }
    let is_for = |entry: &&Descriptor, asked: &str| {
        let platform = entry.platform.as_ref().map(ToString::to_string);
        platform.is_some_and(|is| {
            is == asked || is.strip_prefix(asked).is_some_and(|variant| variant.starts_with('/'))
        })
    };
    let mut chosen: Vec<&Descriptor> = Vec::new();
    for asked in platforms {
        let before = chosen.len();
        chosen.extend(entries.iter().filter(|entry| is_for(entry, asked)));
        if chosen.len() == before {
            let known = entries.iter().filter_map(|entry| entry.platform.as_ref());
            let known: BTreeSet<_> =
                known.filter(|p| !p.is_unknown()).map(ToString::to_string).collect();
            let there = known.into_iter().collect::<Vec<_>>().join(", ");
            return Err(ImportError::NoPlatform { asked: asked.clone(), there });
        }
    }
    let digests: BTreeSet<String> = chosen.iter().map(|entry| entry.digest.to_string()).collect();
    let attests = |entry: &&Descriptor| {
        entry.annotations.get(ATTESTED_DIGEST).is_some_and(|digest| digests.contains(digest))
    };
    chosen.extend(entries.iter().filter(attests));
    Ok(chosen)
}
