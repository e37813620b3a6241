//! The task of a writer: sends what was logged, through cuts and outages, each batch once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::outbox::Outbox;
use super::shared::Shared;
use crate::caller::Caller;
use crate::v1::{ErrorReason, WriteAck, WriteAdvice};
use crate::{Code, Error, Result, random};

/// Batches under way on a stream.
pub(super) const WINDOW_BATCHES: i64 = 8;
pub(super) const WINDOW_BYTES: usize = 8 << 20;
/// "I am alive", where nothing else was sent.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// Without streams for so long where a call goes through and one, or two in a row, did not serve.
const MISTRUST: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// Failures in a row that may be faults of the server's.
const MAX_FAULTS: u32 = 20;
const MAX_GAPS: u32 = 5;

pub(super) struct Delivery {
    pub caller: Caller,
    pub shared: Arc<Shared>,
    pub run_id: String,
    pub writer_id: String,
    pub outbox: Outbox,
    flush_interval: Duration,
    advice: WriteAdvice,
    /// Failures since something went well.
    failures: u32,
    /// Streams in a row that ended before anything was acknowledged.
    pub useless_streams: u32,
    /// Whether a stream was tried last.
    was_stream: bool,
}

/// How a connection came to its end without a failure.
pub(super) enum End {
    /// All is sent, and there will be no more.
    Closed,
    /// Go on with another one.
    Again,
}

impl Delivery {
    pub fn new(
        caller: Caller,
        shared: Arc<Shared>,
        run_id: String,
        writer_id: String,
        flush_interval: Duration,
    ) -> Self {
        Self {
            caller,
            shared,
            run_id,
            writer_id,
            flush_interval,
            outbox: Outbox::default(),
            advice: WriteAdvice::default(),
            failures: 0,
            useless_streams: 0,
            was_stream: false,
        }
    }

    pub async fn run(mut self) {
        let error = loop {
            match self.send().await {
                Ok(End::Again) => {}
                Ok(End::Closed) => break None,
                Err(_) if self.is_done() => break None,
                Err(error) if self.is_final(&error) => break Some(error),
                Err(error) => self.pause(&error).await,
            }
        };
        self.shared.end(error, self.outbox.points());
    }

    /// One connection up to its end. A stream that was of no use is followed by calls without.
    async fn send(&mut self) -> Result<End> {
        self.was_stream = !(self.was_stream && self.useless_streams > 0);
        if self.was_stream {
            self.send_stream().await
        } else {
            self.send_unary().await
        }
    }

    /// How long calls of their own are made, where they go through.
    pub fn mistrust(&self) -> Duration {
        MISTRUST[usize::from(self.useless_streams > 1)]
    }

    async fn pause(&mut self, error: &Error) {
        let pause = random::pause(FIRST_PAUSE, LAST_PAUSE, self.failures);
        tokio::time::sleep(error.retry_after().unwrap_or_default() + pause).await;
    }

    /// Whether no later attempt can do better.
    fn is_final(&mut self, error: &Error) -> bool {
        self.failures += 1;
        let is_of_streams = error.reason().is_empty() && self.was_stream;
        match error.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted => false,
            Code::ResourceExhausted if error.retry_after().is_some() => false,
            Code::OutOfRange if error.is(ErrorReason::SequenceGap) => self.failures > MAX_GAPS,
            Code::Internal | Code::Unknown => self.failures > MAX_FAULTS,
            _ => !is_of_streams,
        }
    }

    /// Takes over what was logged, and what is being gathered where it is time to send that.
    pub fn collect(&mut self, can_send: bool) {
        let is_due = {
            let state = self.shared.lock();
            let waited = state
                .since
                .is_some_and(|since| since.elapsed() >= self.flush_interval());
            state.is_wanted || state.is_closing || (waited && can_send)
        };
        let taken = self.shared.take(is_due);
        taken.into_iter().for_each(|batch| self.outbox.add(batch));
    }

    /// When what is being gathered is due.
    pub fn due(&self) -> Option<Instant> {
        let since = self.shared.lock().since?;
        Some(Instant::from_std(since + self.flush_interval()))
    }

    fn flush_interval(&self) -> Duration {
        self.flush_interval.max(self.min_interval())
    }

    pub fn min_interval(&self) -> Duration {
        let advised = self
            .advice
            .min_interval
            .and_then(|interval| Duration::try_from(interval).ok());
        advised.unwrap_or_default()
    }

    /// Whether another batch may be under way, after those up to `sent`.
    pub fn has_window(&self, sent: i64) -> bool {
        let advised = i64::from(self.advice.max_unacked_batches);
        let most = if advised > 0 {
            advised.min(WINDOW_BATCHES)
        } else {
            WINDOW_BATCHES
        };
        sent - self.outbox.committed() < most && self.outbox.bytes_to(sent) < WINDOW_BYTES
    }

    /// Whether all that was and will be logged is acknowledged.
    pub fn is_done(&self) -> bool {
        let state = self.shared.lock();
        state.is_closing
            && self.outbox.is_empty()
            && state.rows.is_empty()
            && state.rows.sealed.is_empty()
    }

    /// The server said where this writer stands. What it has forgotten is not here any more.
    pub fn located(&mut self, committed: i64) -> Result<()> {
        if committed < self.outbox.committed() || committed > self.outbox.last() {
            return Err(Error::new(
                Code::DataLoss,
                format!(
                    "the server is at batch {committed} of this writer, which has had {} acknowledged",
                    self.outbox.committed()
                ),
            ));
        }
        self.acknowledged(WriteAck {
            committed_sequence: committed,
            ..Default::default()
        });
        Ok(())
    }

    pub fn acknowledged(&mut self, ack: WriteAck) {
        let size_bytes = self.outbox.acknowledge(ack.committed_sequence);
        if size_bytes > 0 {
            self.went_well();
        }
        self.shared
            .acknowledged(self.outbox.committed(), size_bytes, ack.rejections);
    }

    pub fn went_well(&mut self) {
        self.failures = 0;
        if self.was_stream {
            self.useless_streams = 0;
        }
    }

    pub fn heed(&mut self, advice: WriteAdvice) {
        self.shared.heed(&advice);
        self.advice = advice;
    }
}
