//! How long a transfer goes on through cuts: as long as it makes progress.

use std::time::Duration;

use crate::v1::ErrorReason;
use crate::{Code, Error, Result, random};

/// Half a minute or so without a single byte, over a server's restart.
const ATTEMPTS: u32 = 8;
const FIRST: Duration = Duration::from_millis(200);
const MOST: Duration = Duration::from_secs(8);

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
        self.failures += 1;
        if !(again || is_passing(&error)) || self.failures >= ATTEMPTS {
            return Err(error);
        }
        let pause = (FIRST * (1 << (self.failures - 1))).min(MOST);
        let pause = pause.max(error.retry_after().unwrap_or_default());
        tokio::time::sleep(pause / 2 + random::up_to(pause / 2)).await;
        Ok(())
    }
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

    #[tokio::test(start_paused = true)]
    async fn transfer_goes_on_while_it_makes_progress() {
        let mut patience = Patience::default();
        for _ in 0..20 {
            patience.wait(Error::unavailable(""), false).await.unwrap();
            patience.progress();
        }
        let mut attempts = 1;
        while patience.wait(Error::unavailable(""), false).await.is_ok() {
            attempts += 1;
        }
        assert_eq!(attempts, ATTEMPTS);
    }

    #[tokio::test(start_paused = true)]
    async fn full_disk_is_told_at_once() {
        let full = Error::unavailable("").with_reason(ErrorReason::StorageUnavailable);
        assert!(Patience::default().wait(full, false).await.is_err());
        let gap = Error::new(Code::OutOfRange, "").with_reason(ErrorReason::OffsetGap);
        assert!(Patience::default().wait(gap, false).await.is_ok());
    }
}
