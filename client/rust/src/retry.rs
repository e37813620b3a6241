//! When a call is made again, and after how long.

use std::time::Duration;

use tokio::time::Instant;

use crate::{Error, Result, random};

/// A server that restarts is back within these; one that is away is told within seconds.
const ATTEMPTS: u32 = 5;
const FIRST: Duration = Duration::from_millis(200);
const MOST: Duration = Duration::from_secs(2);
/// What a server may ask for with RetryInfo, all attempts together.
const PATIENCE: Duration = Duration::from_secs(10);

/// Counts failures in a row and waits between them: what the server asks, and a delay that doubles,
/// of which half is left to chance: the other half is time enough for a restart.
pub(crate) struct Retry {
    deadline: Option<Instant>,
    failures: u32,
    waited: Duration,
}

impl Retry {
    pub fn new(deadline: Option<Instant>) -> Self {
        Self {
            deadline,
            failures: 0,
            waited: Duration::ZERO,
        }
    }

    /// Waits before another attempt; gives the error back, at once, where there is to be none.
    pub async fn wait(&mut self, error: Error) -> Result<()> {
        match self.pause(&error) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(error),
        }
        Ok(())
    }

    fn pause(&mut self, error: &Error) -> Option<Duration> {
        self.failures += 1;
        if !error.is_passing() || self.failures >= ATTEMPTS {
            return None;
        }
        let half = random::doubled(FIRST, MOST, self.failures) / 2;
        let pause = error.retry_after().unwrap_or_default() + half + random::up_to(half);
        self.waited += pause;
        let in_time = self
            .deadline
            .is_none_or(|deadline| Instant::now() + pause < deadline);
        (in_time && self.waited <= PATIENCE).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;
    use crate::v1::ErrorReason;

    fn attempts(error: &Error, deadline: Option<Instant>) -> u32 {
        let mut retry = Retry::new(deadline);
        (1..).find(|_| retry.pause(error).is_none()).unwrap()
    }

    #[test]
    fn away_is_tried_five_times_and_nothing_else_twice() {
        let away = Error::unavailable("");
        assert_eq!(attempts(&away, None), 5);
        assert_eq!(
            attempts(
                &away.clone().with_reason(ErrorReason::StorageUnavailable),
                None
            ),
            1
        );
        assert_eq!(attempts(&Error::new(Code::DeadlineExceeded, ""), None), 1);
        assert_eq!(attempts(&Error::new(Code::ResourceExhausted, ""), None), 1);
    }

    #[test]
    fn server_is_left_alone_for_as_long_as_it_asks_within_patience() {
        let asks =
            |seconds| Error::unavailable("").with_retry_after(Some(Duration::from_secs(seconds)));
        assert!(Retry::new(None).pause(&asks(3)).unwrap() >= Duration::from_secs(3));
        assert_eq!(Retry::new(None).pause(&asks(11)), None);
    }

    #[test]
    fn nothing_is_waited_for_past_the_deadline() {
        assert_eq!(attempts(&Error::unavailable(""), Some(Instant::now())), 1);
    }
}
