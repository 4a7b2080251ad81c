//! The verdict of a push: what the client is told when its manifest is accepted.

use std::time::Duration;

use matching::Status;
use oci::{Descriptor, Digest, Manifest, Platform, Reference, RepositoryName};
use store::scan::{SeverityCounts, StoredImage};

use crate::scan::{ScanError, Scanner, Trigger};

/// Images of an index that a verdict sums up; a wider one is judged in the
/// background.
const INDEX_IMAGES_MAX: usize = 64;

/// What is known of what was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Inspected.
    Done {
        /// Its state; of an index, the worst of its images'.
        status: Status,
        /// Why that state, where it is not applicable.
        cause: Option<String>,
        /// Findings; of an index, those of all its images.
        severities: SeverityCounts,
        /// How many of them have a fix.
        patchable: u64,
    },
    /// The scan goes on in the background.
    Pending,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pending => f.write_str("inspection is still going on"),
            Self::Done { status: Status::Healthy, .. } => f.write_str("healthy, nothing found"),
            Self::Done { status: Status::NotApplicable, cause, .. } => {
                write!(f, "not assessed: {}", cause.as_deref().unwrap_or("no cause is known"))
            }
            Self::Done { severities: s, patchable, .. } => {
                write!(f, "{} findings", s.total())?;
                let words = [
                    (s.critical, "critical"),
                    (s.high, "high"),
                    (s.medium, "medium"),
                    (s.low, "low"),
                    (s.unscored, "unscored"),
                ];
                for (i, (n, word)) in words.iter().filter(|(n, _)| *n > 0).enumerate() {
                    write!(f, "{} {n} {word}", if i == 0 { ":" } else { "," })?;
                }
                write!(f, "; {patchable} can be fixed")
            }
        }
    }
}

impl From<StoredImage> for Verdict {
    fn from(image: StoredImage) -> Self {
        Self::Done {
            status: image.status,
            cause: image.cause,
            severities: image.severities,
            patchable: image.patchable,
        }
    }
}

impl Scanner {
    /// Inspects what was pushed and gives the verdict, or [`Verdict::Pending`]
    /// after `wait`; the scan goes on then.
    pub async fn verdict(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        wait: Duration,
    ) -> Verdict {
        match tokio::time::timeout(wait, self.judge(repository, digest, Trigger::Push)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => {
                tracing::warn!(%digest, %error, "no verdict on a push");
                Verdict::Pending
            }
            Err(_) => Verdict::Pending,
        }
    }

    /// Inspects what nobody waits for; a failure is tried again by
    /// [`Scanner::catch_up_forever`].
    pub async fn take_up(&self, repository: &RepositoryName, digest: &Digest, trigger: Trigger) {
        if let Err(error) = self.judge(repository, digest, trigger).await {
            tracing::warn!(%digest, %error, "a manifest was not inspected yet");
        }
    }

    async fn judge(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        trigger: Trigger,
    ) -> Result<Verdict, ScanError> {
        let reference = Reference::Digest(*digest);
        let stored = self.inner.registry().manifest(repository, &reference).await?;
        let stored = stored.ok_or_else(|| ScanError::UnknownManifest(*digest))?;
        match Manifest::parse(&stored.bytes, Some(&stored.media_type))? {
            Manifest::Image(_) => {
                let image = self.scan(repository, digest, trigger).await?;
                Ok(image.map_or(Verdict::Pending, Verdict::from))
            }
            Manifest::Index(index) => {
                if index.manifests.len() > INDEX_IMAGES_MAX {
                    return Ok(Verdict::Pending);
                }
                // An attestation beside an image is not judged with it.
                let is_image = |child: &&Descriptor| {
                    !child.platform.as_ref().is_some_and(Platform::is_unknown)
                };
                let scans = index
                    .manifests
                    .iter()
                    .filter(is_image)
                    .map(|child| self.scan(repository, &child.digest, trigger));
                let images: Result<Vec<_>, _> =
                    futures::future::join_all(scans).await.into_iter().collect();
                Ok(sum_up(images?))
            }
        }
    }
}

/// An index is as bad as its worst image, and healthy only if every image is.
fn sum_up(images: Vec<Option<StoredImage>>) -> Verdict {
    let mut severities = SeverityCounts::default();
    let mut patchable = 0;
    let mut cause = images.is_empty().then(|| "the index names no image".to_owned());
    let mut healthy = 0;
    for image in &images {
        match image {
            // Named by the index and not in the registry.
            None => {
                cause = cause.or_else(|| {
                    Some("an entry of the index is no image in the registry".to_owned())
                })
            }
            Some(image) => {
                severities.add(&image.severities);
                patchable += image.patchable;
                match image.status {
                    Status::Healthy => healthy += 1,
                    Status::Unhealthy => {}
                    Status::NotApplicable => cause = cause.or_else(|| image.cause.clone()),
                }
            }
        }
    }
    let status = if severities.total() > 0 {
        Status::Unhealthy
    } else if healthy == images.len() && healthy > 0 {
        Status::Healthy
    } else {
        Status::NotApplicable
    };
    Verdict::Done { status, cause, severities, patchable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_reads_in_one_line() {
        let severities = SeverityCounts { critical: 1, medium: 2, ..Default::default() };
        let done = |status, cause: Option<&str>| Verdict::Done {
            status,
            cause: cause.map(str::to_owned),
            severities,
            patchable: 2,
        };
        let check = |verdict: Verdict, expected: &str| assert_eq!(verdict.to_string(), expected);
        check(done(Status::Unhealthy, None), "3 findings: 1 critical, 2 medium; 2 can be fixed");
        check(done(Status::Healthy, None), "healthy, nothing found");
        check(done(Status::NotApplicable, Some("no feed")), "not assessed: no feed");
        check(Verdict::Pending, "inspection is still going on");
    }

    #[test]
    fn an_index_with_an_absent_image_is_never_healthy() {
        match sum_up(vec![None]) {
            Verdict::Done { status, cause, .. } => {
                assert_eq!(status, Status::NotApplicable);
                assert!(cause.is_some());
            }
            Verdict::Pending => panic!("a verdict"),
        }
    }
}
