//! Several batches under way on one call of StreamBatches.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;

use super::delivery::{Delivery, End, HEARTBEAT, WINDOW_BATCHES};
use super::wire::StreamRequest;
use crate::caller::Responses;
use crate::v1::StreamBatchesResponse;
use crate::v1::stream_batches_request::{Heartbeat, Open};
use crate::v1::stream_batches_response::{Message, Opened};
use crate::{Error, Result};

const PATH: &str = "/runwire.v1.MetricService/StreamBatches";
/// A window of batches, Open and heartbeats: a server that takes none of these is gone.
const QUEUE: usize = WINDOW_BATCHES as usize + 8;
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The sending half of a call.
struct Sending {
    /// None: half-closed.
    requests: Option<Sender<StreamRequest>>,
    /// Sequence of the last batch that was put on this call.
    sent: i64,
    sent_at: Instant,
    heard_at: Instant,
    declared: HashSet<u32>,
}

impl Sending {
    fn put(&mut self, request: StreamRequest) -> bool {
        self.sent_at = Instant::now();
        self.requests
            .as_ref()
            .is_some_and(|requests| requests.try_send(request).is_ok())
    }
}

impl Delivery {
    pub(super) async fn send_stream(&mut self) -> Result<End> {
        self.useless_streams += 1; // until something is acknowledged, or it lasts
        let (requests, receiver) = channel(QUEUE);
        let opened = timeout(OPEN_TIMEOUT, self.open(&requests, receiver)).await;
        let (mut responses, opened) =
            opened.map_err(|_| Error::unavailable("no stream was opened in time"))??;
        self.located(opened.committed_sequence)?;
        self.heed(opened.advice.unwrap_or_default());
        let now = Instant::now();
        let mut sending = Sending {
            requests: Some(requests),
            sent: opened.committed_sequence,
            sent_at: now,
            heard_at: now,
            declared: HashSet::new(),
        };
        loop {
            self.put_batches(&mut sending);
            if self.is_done() {
                sending.requests = None;
            }
            let wake_at = self.wake_at(&sending);
            tokio::select! {
                response = responses.try_next() => match response? {
                    Some(response) => self.hear(response, &mut sending),
                    None => return self.stream_ended(&sending),
                },
                () = self.shared.wake.notified() => {}
                () = sleep_until(wake_at) => self.idle(&mut sending)?,
            }
        }
    }

    async fn open(
        &self,
        requests: &Sender<StreamRequest>,
        receiver: Receiver<StreamRequest>,
    ) -> Result<(Responses<StreamBatchesResponse>, Opened)> {
        let open = Open {
            run_id: self.run_id.clone(),
            writer_id: self.writer_id.clone(),
            client: concat!("rust/", env!("CARGO_PKG_VERSION")).into(),
            ..Default::default()
        };
        let _ = requests.try_send(StreamRequest {
            open: Some(open),
            ..Default::default()
        });
        let mut responses = self
            .caller
            .bidirectional(PATH, ReceiverStream::new(receiver))
            .await?;
        let first: Option<StreamBatchesResponse> = responses.try_next().await?;
        match first.and_then(|response| response.message) {
            Some(Message::Opened(opened)) => Ok((responses, opened)),
            _ => Err(Error::unavailable("the server did not open a stream")),
        }
    }

    fn put_batches(&mut self, sending: &mut Sending) {
        let can_send = sending.requests.is_some()
            && sending.sent >= self.outbox.last()
            && self.has_window(sending.sent);
        self.collect(can_send);
        while self.has_window(sending.sent) && Instant::now() >= self.next_at(sending) {
            let sequence = sending.sent + 1;
            let Some(batch) = self.outbox.get(sequence).map(|batch| batch.bytes.clone()) else {
                return;
            };
            if sending.requests.is_none() {
                return;
            }
            if sending.sent == self.outbox.committed() {
                sending.heard_at = Instant::now(); // from now on we wait for an answer
            }
            let series = self.outbox.undeclared(sequence, &mut sending.declared);
            if !sending.put(StreamRequest {
                batch: Some(batch),
                series,
                ..Default::default()
            }) {
                return;
            }
            sending.sent = sequence;
        }
    }

    /// When the next batch may be sent.
    fn next_at(&self, sending: &Sending) -> Instant {
        match self.min_interval() {
            Duration::ZERO => sending.sent_at,
            interval => sending.sent_at + interval,
        }
    }

    /// When there is something to do, if nothing happens before.
    fn wake_at(&self, sending: &Sending) -> Instant {
        let mut times = Vec::with_capacity(3);
        if sending.requests.is_some() {
            times.push(sending.sent_at + HEARTBEAT);
        }
        let waits = sending.sent > self.outbox.committed();
        if waits || sending.requests.is_none() {
            times.push(sending.heard_at + self.caller.timeout);
        }
        if self.has_window(sending.sent) && sending.requests.is_some() {
            if sending.sent < self.outbox.last() {
                times.push(self.next_at(sending));
            } else {
                times.extend(self.due());
            }
        }
        times.into_iter().min().unwrap_or(sending.sent_at)
    }

    fn hear(&mut self, response: StreamBatchesResponse, sending: &mut Sending) {
        sending.heard_at = Instant::now();
        match response.message {
            Some(Message::Ack(ack)) => {
                self.acknowledged(ack);
                // A stream before this one may have brought more than this one has sent.
                sending.sent = sending.sent.max(self.outbox.committed());
            }
            Some(Message::Advice(advice)) => self.heed(advice),
            Some(Message::Closing(_)) => {
                self.went_well();
                sending.requests = None;
            }
            Some(Message::Opened(_)) | None => {}
        }
    }

    /// Nothing happened: say that we live, and do not wait for an answer for ever.
    fn idle(&mut self, sending: &mut Sending) -> Result<()> {
        let waits = sending.sent > self.outbox.committed() || sending.requests.is_none();
        if waits && sending.heard_at.elapsed() >= self.caller.timeout {
            return Err(Error::unavailable("batches were not acknowledged in time"));
        }
        let is_silent = sending.sent_at.elapsed() >= HEARTBEAT;
        if is_silent && sending.requests.is_some() {
            self.went_well();
            let heartbeat = Some(Heartbeat {});
            if !sending.put(StreamRequest {
                heartbeat,
                ..Default::default()
            }) {
                return Err(Error::unavailable("the server takes no heartbeats"));
            }
        }
        Ok(())
    }

    fn stream_ended(&self, sending: &Sending) -> Result<End> {
        match &sending.requests {
            Some(_) => Err(Error::unavailable("the server ended a stream")),
            None if self.is_done() => Ok(End::Closed),
            None => Ok(End::Again),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Caller;
    use crate::events::Events;
    use crate::v1::WriteAck;
    use crate::writer::options::WhenFull;
    use crate::writer::shared::{Shared, Sizes};

    /// With three batches to send.
    fn delivery() -> Delivery {
        let sizes = Sizes {
            max_batch_bytes: 1 << 20,
            max_buffered_bytes: 1 << 20,
        };
        let shared = Shared::new(sizes, WhenFull::Drop, Events::none());
        for step in 0..3 {
            shared.log([("loss", 1.0)].into_iter(), step, 0);
            shared.lock().rows.seal();
        }
        let pace = Duration::from_secs(3600);
        let mut delivery =
            Delivery::new(Caller::away(), shared.into(), "r".into(), "w".into(), pace);
        delivery.collect(false);
        delivery
    }

    #[tokio::test]
    async fn batch_that_came_on_a_stream_before_is_not_waited_for_on_this_one() {
        let (mut delivery, now) = (delivery(), Instant::now());
        let (requests, mut receiver) = channel(QUEUE);
        let mut sending = Sending {
            requests: Some(requests),
            sent: 0,
            sent_at: now,
            heard_at: now,
            declared: HashSet::new(),
        };
        let ack = WriteAck {
            committed_sequence: 2,
            ..Default::default()
        };
        let message = Some(Message::Ack(ack));
        delivery.hear(StreamBatchesResponse { message }, &mut sending);
        delivery.put_batches(&mut sending);
        assert_eq!(sending.sent, 3);
        assert!(receiver.try_recv().unwrap().batch.is_some());
        assert!(receiver.try_recv().is_err());
    }
}
