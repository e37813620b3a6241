//! How long a transfer goes on through cuts: as long as it makes progress.

use std::time::Duration;

use crate::caller::Responses;
use crate::v1::ErrorReason;
use crate::{Code, Error, Result, random};

/// Half a minute or so without a single byte, over a server's restart.
const ATTEMPTS: u32 = 8;
const FIRST: Duration = Duration::from_millis(200);
const MOST: Duration = Duration::from_secs(8);
const SILENCE: Duration = Duration::from_secs(60);

/// Counts failures since the last progress.
#[derive(Default)]
pub(super) struct Patience {
    failures: u32,
}

impl Patience {
    pub fn progress(&mut self) {
        self.failures = 0;
    }

    /// Waits before another attempt; gives the error back where that would not help, or there were
    /// enough. `again`: the caller knows that it can help.
    pub async fn wait(&mut self, error: Error, again: bool) -> Result<()> {
        match self.pause(&error, again) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(error),
        }
        Ok(())
    }

    fn pause(&mut self, error: &Error, again: bool) -> Option<Duration> {
        self.failures += 1;
        if !(again || is_passing(error)) || self.failures >= ATTEMPTS {
            return None;
        }
        let pause = (FIRST * (1 << (self.failures - 1))).min(MOST);
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
        let (mut patience, away) = (Patience::default(), Error::unavailable(""));
        for _ in 0..20 {
            assert!(patience.pause(&away, false).is_some());
            patience.progress();
        }
        let attempts = (1..).find(|_| patience.pause(&away, false).is_none());
        assert_eq!(attempts, Some(ATTEMPTS));
    }

    #[test]
    fn full_disk_is_told_at_once() {
        let full = Error::unavailable("").with_reason(ErrorReason::StorageUnavailable);
        assert_eq!(Patience::default().pause(&full, false), None);
        let gap = Error::new(Code::OutOfRange, "").with_reason(ErrorReason::OffsetGap);
        assert!(Patience::default().pause(&gap, false).is_some());
    }
}
