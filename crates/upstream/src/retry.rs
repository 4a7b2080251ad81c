//! When to ask again.

use std::time::Duration;

use registry::upstream::{Patience, UpstreamError};
use reqwest::Response;
use reqwest::header::RETRY_AFTER;

/// Tries of a job's request: some two minutes in all.
const JOB_TRIES_MAX: u32 = 8;
/// Tries while a client waits.
const CLIENT_TRIES_MAX: u32 = 2;
/// First wait of a job; it doubles with each try.
const JOB_WAIT_FIRST: Duration = Duration::from_millis(500);
/// Longest wait of a job, and the longest `Retry-After` that it honours: an
/// upstream that asks for more is reported instead.
pub const JOB_WAIT_MAX: Duration = Duration::from_secs(120);
/// First wait while a client waits.
const CLIENT_WAIT_FIRST: Duration = Duration::from_millis(200);
/// Longest wait while a client waits.
const CLIENT_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long to wait before try number `tried + 1`, or `None`: give up.
pub fn wait(patience: Patience, tried: u32, error: &UpstreamError) -> Option<Duration> {
    if !error.is_passing() {
        return None;
    }
    let (tries_max, first, longest) = match patience {
        Patience::Job => (JOB_TRIES_MAX, JOB_WAIT_FIRST, JOB_WAIT_MAX),
        Patience::Client => (CLIENT_TRIES_MAX, CLIENT_WAIT_FIRST, CLIENT_WAIT_MAX),
    };
    if tried >= tries_max {
        return None;
    }
    let ours = first.saturating_mul(1 << tried.saturating_sub(1).min(16)).min(longest);
    match error {
        // It says when; asking before that would only make it worse.
        UpstreamError::Throttled { retry_after: Some(theirs), .. } => {
            (*theirs <= longest).then(|| ours.max(*theirs))
        }
        _ => Some(ours),
    }
}

/// `Retry-After` in its form of seconds; a date is taken for none.
pub fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttled(seconds: Option<u64>) -> UpstreamError {
        let retry_after = seconds.map(Duration::from_secs);
        UpstreamError::Throttled { host: "h".into(), words: String::new(), retry_after }
    }

    fn check(patience: Patience, tried: u32, error: &UpstreamError, millis: Option<u64>) {
        assert_eq!(wait(patience, tried, error), millis.map(Duration::from_millis), "{error:?}");
    }

    #[test]
    fn waits_grow_and_end() {
        let passing = UpstreamError::Unreachable { host: "h".into(), why: String::new() };
        check(Patience::Job, 1, &passing, Some(500));
        check(Patience::Job, 4, &passing, Some(4000));
        check(Patience::Job, JOB_TRIES_MAX, &passing, None);
        check(Patience::Client, 1, &passing, Some(200));
        check(Patience::Client, CLIENT_TRIES_MAX, &passing, None);
        let lasting =
            UpstreamError::Unknown { host: "h".into(), what: "x".into(), words: String::new() };
        check(Patience::Job, 1, &lasting, None);
    }

    #[test]
    fn the_upstream_says_when() {
        check(Patience::Job, 1, &throttled(Some(7)), Some(7000));
        check(Patience::Job, 3, &throttled(Some(0)), Some(2000));
        check(Patience::Job, 1, &throttled(None), Some(500));
        check(Patience::Job, 1, &throttled(Some(3600)), None);
        check(Patience::Client, 1, &throttled(Some(1)), Some(1000));
        check(Patience::Client, 1, &throttled(Some(30)), None);
    }
}
