//! The native API under `/api/v1`: what the portal and scripts read.

mod caches;
mod convert;
mod error;
mod events;
mod finding_detail;
mod findings;
mod history;
mod images;
mod imports;
pub(crate) mod links;
pub mod openapi;
mod overview;
mod packages;
mod registries;
mod request;
mod router;
mod scans;
mod search;
mod session;
mod sort;
pub mod types;
pub mod view;

use std::sync::Arc;

use registry::{Cache, Imports};
use store::AccountStore;

use crate::distribution::Authenticator;
use crate::inspections::Inspections;

pub use router::router;
pub use session::Sessions;

/// What the handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct PortalState {
    /// Checks passwords and tokens.
    pub auth: Arc<Authenticator>,
    /// Accounts as they are now, for sessions that outlive a request.
    pub accounts: Arc<dyn AccountStore>,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// What is known of images.
    pub inspections: Arc<Inspections>,
    /// Repositories that are copies of other registries'.
    pub cache: Cache,
    /// Copies from other registries.
    pub imports: Imports,
    /// Name of the one registry.
    pub registry_name: Arc<str>,
    /// The listener speaks without TLS, so cookies cannot be `Secure`. A
    /// proxy's `X-Forwarded-Proto` counts more.
    pub plain_http: bool,
}
