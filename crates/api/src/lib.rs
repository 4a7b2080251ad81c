//! HTTP only: distribution, azure, portal.

pub mod accounts;
pub mod acr;
pub mod azure;
pub mod distribution;
pub mod inspections;
pub mod portal;
pub mod settings;

pub use inspections::Inspections;
