//! Azure Container Registry's own data plane under `/acr/v1`: attributes,
//! untag, deletion of repositories, and what was deleted and can be restored.

mod path;
mod router;
mod wire;

pub use router::router;
