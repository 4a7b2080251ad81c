//! Principals, roles, scopes -> permit or denial.
//!
//! ```text
//! role at a scope ----+
//! scope map ----------+--> grants of a principal --+
//! anonymous pull -----+                            +--> Permit, or Denied
//!                         scopes of its token -----+
//! ```
//!
//! Pure: who somebody is was established elsewhere. What no grant allows is
//! denied. A check leaves a [`Permit`] behind, and use cases take the permit,
//! so that a forgotten check does not compile.

pub mod permit;
pub mod principal;
pub mod repositories;
pub mod request;
pub mod role;
pub mod role_scope;
pub mod scope;
pub mod scope_map;

pub use permit::{
    Administration, Catalog, Configuration, Delete, DeletedCatalog, DeletedRead, DeletedRestore,
    Denied, Findings, MetadataRead, MetadataWrite, Permit, Pull, Push, RegistryPermit,
    RegistryRight, Right, authorise, authorise_catalog, authorise_mount, authorise_registry,
};
pub use principal::{Kind, Principal};
pub use repositories::RepositoryPattern;
pub use request::RequestInfo;
pub use role::{OnRegistry, Role};
pub use role_scope::{RoleScope, RoleScopeError};
pub use scope::{Action, ResourceKind, Scope};
pub use scope_map::{ScopeMapAction, ScopeMapError, SystemScopeMap};
