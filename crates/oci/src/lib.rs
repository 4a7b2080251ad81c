//! Digest, descriptor, manifest, index, reference, media types.

pub mod descriptor;
pub mod digest;
pub mod manifest;
pub mod media_type;
pub mod reference;

pub use descriptor::{Descriptor, Platform};
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use manifest::{Image, Index, Manifest, ManifestError};
pub use reference::{Reference, ReferenceError, RepositoryName, Tag};
