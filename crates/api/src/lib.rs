//! HTTP only: distribution, azure, portal.

pub mod portal;
