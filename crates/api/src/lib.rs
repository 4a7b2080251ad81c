//! HTTP only: distribution, azure, portal.

pub mod distribution;
pub mod portal;
