//! One request for many who wait: the first asks, the others get its answer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

type Flight<V> = Shared<BoxFuture<'static, Option<V>>>;

/// Requests under way, by what they are for.
pub(super) struct Flights<K, V> {
    under_way: Arc<Mutex<HashMap<K, Flight<V>>>>,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Joins the request for `key`, or begins it. It runs to its end even if
    /// everybody who waits goes away. `None`: it died.
    pub async fn join<F>(&self, key: K, begin: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let flight = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            match under_way.get(&key) {
                Some(flight) => flight.clone(),
                None => {
                    let (all, own, work) = (Arc::clone(&self.under_way), key.clone(), begin());
                    let task = tokio::spawn(async move {
                        // Also when `work` panics, or the key would stay for ever.
                        let _landed = Landed { all, key: own };
                        work.await
                    });
                    let flight = task.map(Result::ok).boxed().shared();
                    under_way.insert(key, flight.clone());
                    flight
                }
            }
        };
        flight.await
    }
}

struct Landed<K: Eq + Hash, V> {
    all: Arc<Mutex<HashMap<K, Flight<V>>>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landed<K, V> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_who_wait_make_one_request() {
        let flights = Flights::<u8, usize>::default();
        let requests = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let requests = Arc::clone(&requests);
            async move {
                tokio::task::yield_now().await;
                requests.fetch_add(1, Ordering::SeqCst) + 1
            }
        };
        let all = futures::future::join_all((0..50).map(|_| flights.join(1, ask))).await;
        assert_eq!(all, [Some(1); 50]);
        assert_eq!(flights.join(1, ask).await, Some(2), "the next one asks again");
    }

    #[tokio::test]
    async fn a_request_that_died_does_not_stay() {
        let flights = Flights::<u8, u8>::default();
        assert_eq!(flights.join(1, || async { panic!("on purpose") }).await, None);
        assert_eq!(flights.join(1, || async { 7 }).await, Some(7));
    }
}
