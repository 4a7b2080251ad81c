//! The native API under `/api/v1`: what the portal and scripts read.

pub mod openapi;
pub mod types;
