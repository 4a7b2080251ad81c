//! The OCI distribution API under `/v2/`, and the token service beside it.

pub mod auth;
mod blobs;
pub(crate) mod error;
mod leftover;
mod manifests;
pub(crate) mod path;
mod ranges;
mod referrers;
pub(crate) mod request;
pub(crate) mod router;
pub(crate) mod tags;
mod uploads;
mod verdict;

use std::sync::Arc;

use registry::{Cache, Registry};

pub use auth::Authenticator;
pub use router::router;
pub use verdict::PushVerdict;

/// What the handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct DistributionState {
    /// The use cases.
    pub registry: Arc<Registry>,
    /// Repositories that are copies of other registries'.
    pub cache: Cache,
    /// Who asks.
    pub auth: Arc<Authenticator>,
    /// What to say of a manifest in the answer to its push.
    pub verdict: Option<Arc<dyn PushVerdict>>,
    /// The listener speaks without TLS, so that the challenge must name
    /// `http`. A proxy's `X-Forwarded-Proto` counts more.
    pub plain_http: bool,
    /// `Location` names scheme and host, as the client sees them.
    pub absolute_locations: bool,
    /// Whole blobs are fetched from where they lie, if that gives out addresses.
    pub redirect_blobs: bool,
}
