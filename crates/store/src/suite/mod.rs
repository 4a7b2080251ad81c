//! The same cases for every backend. A backend's tests call each `run` with an
//! empty store; a case panics where a postcondition of the trait does not hold.

pub mod accounts;
pub mod blobs;
pub mod cache_rules;
pub mod catalog;
pub mod collect;
pub mod imports;
pub mod policy;
pub mod registry;
pub mod scan;
pub mod scrub;
pub mod settings;
pub mod webhooks;

/// Every case of metadata.
pub async fn database(store: &dyn crate::Database) {
    registry::run(store).await;
    accounts::run(store).await;
    catalog::run(store).await;
    policy::run(store).await;
    scan::run(store).await;
    settings::run(store).await;
    imports::run(store).await;
    cache_rules::run(store).await;
    webhooks::run(store).await;
    collect::run(store).await;
    scrub::run(store).await;
}
