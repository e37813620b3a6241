//! The wall clock, and spans of time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Unix time in microseconds.
pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as i64)
}

/// A time that can be added to any instant: longer ones mean for ever.
pub(crate) fn bounded(time: Duration) -> Duration {
    const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);
    time.min(FOREVER)
}
