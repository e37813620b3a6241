//! How long a transfer goes on through cuts: as long as it makes progress.

use std::time::{Duration, Instant};

use crate::caller::Responses;
use crate::v1::ErrorReason;
use crate::{Code, Error, Result, random};

/// So many attempts, and half a minute, without a single byte: longer than a server's restart.
const ATTEMPTS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST: Duration = Duration::from_millis(200);
const MOST: Duration = Duration::from_secs(8);
const SILENCE: Duration = Duration::from_secs(60);

/// Counts failures since the last progress.
#[derive(Default)]
pub(super) struct Patience {
    failures: u32,
    first: Option<Instant>,
}

impl Patience {
    pub fn progress(&mut self) {
        *self = Self::default();
    }

    /// Waits before another attempt; gives the error back where that would not help, or there were
    /// enough. `again`: the caller knows that it can help.
    pub async fn wait(&mut self, error: Error, again: bool) -> Result<()> {
        match self.pause(&error, again, Instant::now()) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(error),
        }
        Ok(())
    }

    fn pause(&mut self, error: &Error, again: bool, now: Instant) -> Option<Duration> {
        let first = *self.first.get_or_insert(now);
        self.failures += 1;
        let is_spent = self.failures >= ATTEMPTS && now - first >= PATIENCE;
        if is_spent || !(again || is_passing(error)) {
            return None;
        }
        let pause = (FIRST * (1 << (self.failures - 1).min(10))).min(MOST);
        let pause = pause.max(error.retry_after().unwrap_or_default());
        Some(pause / 2 + random::up_to(pause / 2))
    }
}

/// The next response of a transfer, which is at a standstill where there is none for long.
pub(super) async fn heard<T>(responses: &mut Responses<T>) -> Result<Option<T>> {
    let next = tokio::time::timeout(SILENCE, responses.try_next()).await;
    next.map_err(|_| Error::unavailable("the server says nothing of a transfer"))?
}

/// A full disk is no passing fault: what was acknowledged waits for the next upload.
fn is_passing(error: &Error) -> bool {
    match error.code() {
        Code::Unavailable | Code::DeadlineExceeded => !error.is(ErrorReason::StorageUnavailable),
        _ => error.is(ErrorReason::OffsetGap) || error.is(ErrorReason::ChecksumMismatch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfer_goes_on_while_it_makes_progress() {
        let (mut patience, away, start) =
            (Patience::default(), Error::unavailable(""), Instant::now());
        for hour in 0..20 {
            let now = start + Duration::from_secs(3600 * hour);
            assert!(patience.pause(&away, false, now).is_some());
            patience.progress();
        }
        for _ in 0..2 * ATTEMPTS {
            assert!(patience.pause(&away, false, start).is_some());
        }
        assert_eq!(patience.pause(&away, false, start + PATIENCE), None);
        let late = start + 2 * PATIENCE;
        let mut patience = Patience::default();
        assert!(patience.pause(&away, false, start).is_some());
        let attempts = (2..).find(|_| patience.pause(&away, false, late).is_none());
        assert_eq!(attempts, Some(ATTEMPTS));
    }

    #[test]
    fn full_disk_is_told_at_once() {
        let full = Error::unavailable("").with_reason(ErrorReason::StorageUnavailable);
        let now = Instant::now();
        assert_eq!(Patience::default().pause(&full, false, now), None);
        let gap = Error::new(Code::OutOfRange, "").with_reason(ErrorReason::OffsetGap);
        assert!(Patience::default().pause(&gap, false, now).is_some());
    }
}
