//! The same cases for every backend. A backend's tests call each `run` with an
//! empty store; a case panics where a postcondition of the trait does not hold.

pub mod accounts;
pub mod blobs;
pub mod registry;
pub mod webhooks;
