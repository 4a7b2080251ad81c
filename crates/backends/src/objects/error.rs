//! Errors of the object store as those of a store.

use object_store::{Error, Result};
use store::StoreError;

/// For `map_err` on requests.
pub(super) fn remote(attempted: impl Into<String>) -> impl FnOnce(Error) -> StoreError {
    let attempted = attempted.into();
    move |source| StoreError::Remote { attempted, source: Box::new(source) }
}

/// `NotFound` is an answer.
pub(super) fn found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
