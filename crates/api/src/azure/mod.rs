//! Azure's REST: the sub-assessments of `Microsoft.Security`, the few
//! resources that lead to them, and `importImage`.
//!
//! ARM matches paths without regard to case and takes `//` for `/`; ids in
//! answers keep one spelling, which published queries rely on.

mod error;
mod import;
mod resources;
mod router;
mod scope;
mod sub_assessments;
mod wire;

use std::sync::Arc;

use registry::Imports;
use uuid::Uuid;

use crate::distribution::Authenticator;
use crate::inspections::Inspections;

pub use resources::{registry_id, registry_scope, subscription_id};
pub use router::router;

/// What the handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct AzureState {
    /// Checks passwords and tokens.
    pub auth: Arc<Authenticator>,
    /// What is known of images.
    pub inspections: Arc<Inspections>,
    /// Copies from other registries.
    pub imports: Imports,
    /// The one subscription; see [`subscription_id`].
    pub subscription: Uuid,
    /// Name of the one registry.
    pub registry_name: Arc<str>,
    /// The listener speaks without TLS, so links must name `http`. A proxy's
    /// `X-Forwarded-Proto` counts more.
    pub plain_http: bool,
}
