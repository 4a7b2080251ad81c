//! Principals, roles, scopes -> permit or denial.
//!
//! Pure: who somebody is was established elsewhere. A check leaves a
//! [`Permit`] behind, and use cases take the permit, so that a forgotten check
//! does not compile.

pub mod permit;
pub mod principal;
pub mod request;
pub mod scope;

pub use permit::{
    Catalog, Delete, Denied, MetadataRead, MetadataWrite, Permit, Pull, Push, Right, authorise,
    authorise_catalog, authorise_mount,
};
pub use principal::{Principal, Role};
pub use request::RequestInfo;
pub use scope::{Action, ResourceKind, Scope};
