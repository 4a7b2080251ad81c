//! Package, purl, ecosystem, inventory; version order.

pub mod inventory;
pub mod namespace;
pub mod os_release;
pub mod package;
pub mod purl;
pub mod version;

pub use inventory::{Inventory, InventoryItem, Problem, ProblemKind};
pub use namespace::Namespace;
pub use os_release::OsRelease;
pub use package::{Package, PackageType, SourcePackage};
