//! Slows down who guesses: per account and address, the wait doubles with each
//! failure beyond a few.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures without consequence; people mistype.
const FREE_FAILURES: u32 = 5;
/// First wait; doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A quiet time after which failures are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(900);
/// Pairs of account and address that are watched at once.
const WATCHED_MAX: usize = 10_000;
/// Longest account name that is kept.
const NAME_BYTES_MAX: usize = 128;

type Key = (String, Option<IpAddr>);

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn wait(&self) -> Duration {
        match self.count.checked_sub(FREE_FAILURES) {
            None | Some(0) => Duration::ZERO,
            Some(n) => FIRST_WAIT.saturating_mul(1 << (n - 1).min(16)).min(LONGEST_WAIT),
        }
    }
}

#[derive(Default)]
pub(super) struct Throttle {
    failures: Mutex<HashMap<Key, Failures>>,
}

fn key(name: &str, address: Option<IpAddr>) -> Key {
    (name.chars().take(NAME_BYTES_MAX).collect(), address)
}

impl Throttle {
    /// Lets a try through, or says how long to wait.
    pub fn admit(&self, name: &str, address: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = failures.get(&key(name, address)) else { return Ok(()) };
        let until = known.last + known.wait();
        if now < until { Err(until - now) } else { Ok(()) }
    }

    /// Remembers how a try ended.
    pub fn record(&self, name: &str, address: Option<IpAddr>, succeeded: bool, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(name, address);
        if succeeded {
            failures.remove(&key);
            return;
        }
        if failures.len() >= WATCHED_MAX {
            failures.retain(|_, f| now.duration_since(f.last) < FORGET_AFTER);
            if failures.len() >= WATCHED_MAX {
                // Flooded: better to forget everybody than to grow or to refuse everybody.
                failures.clear();
            }
        }
        let entry = failures.entry(key).or_insert(Failures { count: 0, last: now });
        if now.duration_since(entry.last) >= FORGET_AFTER {
            entry.count = 0;
        }
        *entry = Failures { count: entry.count.saturating_add(1), last: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(failures: u32, after_secs: u64, expected_wait_secs: u64) {
        let (throttle, start) = (Throttle::default(), Instant::now());
        for _ in 0..failures {
            throttle.record("a", None, false, start);
        }
        let wait = throttle
            .admit("a", None, start + Duration::from_secs(after_secs))
            .err()
            .unwrap_or_default();
        assert_eq!(wait.as_secs(), expected_wait_secs, "{failures} failures, {after_secs} s later");
        assert!(throttle.admit("b", None, start).is_ok(), "others are not held up");
    }

    #[test]
    fn waits_double_and_end() {
        check(0, 0, 0);
        check(5, 0, 0);
        check(6, 0, 1);
        check(8, 0, 4);
        check(8, 3, 1);
        check(8, 4, 0);
        check(1000, 0, 60);
    }

    #[test]
    fn success_forgives() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        (0..9).for_each(|_| throttle.record("a", None, false, now));
        throttle.record("a", None, true, now);
        assert!(throttle.admit("a", None, now).is_ok());
    }

    #[test]
    fn a_flood_of_names_does_not_grow_it() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        (0..WATCHED_MAX * 2).for_each(|i| throttle.record(&i.to_string(), None, false, now));
        assert!(throttle.failures.lock().unwrap().len() <= WATCHED_MAX);
    }
}
