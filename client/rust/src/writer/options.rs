//! How a writer behaves.

use std::sync::Arc;
use std::time::Duration;

use super::delivery::Delivery;
use super::shared::{Shared, Sizes};
use super::{Handle, Writer};
use crate::caller::Caller;
use crate::events::Events;
use crate::v1::Rejection;
use crate::{Error, background, random, time};

/// As servers advise; they take no larger ones, whatever they are told.
const BATCH_BYTES: usize = 1 << 20;
const MIN_BATCH_BYTES: usize = 16 << 10;
const BUFFERED_BYTES: usize = 64 << 20;

/// What [`Writer::log`] does where the memory for what was not sent yet is full.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum WhenFull {
    /// Wait for room, however long the server is away.
    #[default]
    Block,
    /// Wait for so long, then drop.
    BlockFor(Duration),
    /// Drop what is being logged, and count it.
    Drop,
}

/// What a writer has to tell; see [`WriterBuilder::on_event`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Somebody asked the run to stop; told once for each request.
    StopRequested,
    /// An entry was not stored: of an acknowledged batch, or one that is too large to be sent.
    Rejected(Rejection),
    /// Memory is full, and points are being dropped; told once until there is room again.
    Dropping,
    /// The writer has ended: what is not acknowledged will not be.
    Ended(Error),
}

/// What a [`Writer`] is to be; [`open`](Self::open) makes it.
#[must_use]
pub struct WriterBuilder {
    caller: Caller,
    run_id: String,
    flush_interval: Duration,
    max_batch_bytes: usize,
    max_buffered_bytes: usize,
    when_full: WhenFull,
    events: Events<Event>,
}

impl WriterBuilder {
    pub(crate) fn new(caller: Caller, run_id: String) -> Self {
        Self {
            caller,
            run_id,
            flush_interval: Duration::from_millis(200),
            max_batch_bytes: BATCH_BYTES,
            max_buffered_bytes: BUFFERED_BYTES,
            when_full: WhenFull::default(),
            events: Events::none(),
        }
    }

    /// How long points are gathered before they are sent: 200 ms unless told otherwise.
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = time::bounded(interval);
        self
    }

    /// Of a batch, serialised: 1 MiB, which is the most that servers take.
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.max_batch_bytes = bytes.clamp(MIN_BATCH_BYTES, BATCH_BYTES);
        self
    }

    /// Of all that is logged and not acknowledged: 64 MiB unless told otherwise.
    pub fn max_buffered_bytes(mut self, bytes: usize) -> Self {
        self.max_buffered_bytes = bytes.max(MIN_BATCH_BYTES);
        self
    }

    /// What happens where that is full.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Is told what happens to the writer, on a thread of its own.
    pub fn on_event(mut self, handle: impl Fn(Event) + Send + 'static) -> Self {
        self.events = Events::told_to(move |events| events.into_iter().for_each(&handle));
        self
    }

    /// The writer. It connects in the background, and does not fail: what keeps it from writing is
    /// told by [`Writer::flush`].
    pub fn open(self) -> Writer {
        let sizes = Sizes {
            // Some batches fit the buffer, so that there is one to send while another one grows.
            max_batch_bytes: self.max_batch_bytes.min(self.max_buffered_bytes / 4),
            max_buffered_bytes: self.max_buffered_bytes,
        };
        let shared = Arc::new(Shared::new(sizes, self.when_full, self.events));
        let writer_id = random::id();
        let delivery = Delivery::new(
            self.caller,
            shared.clone(),
            self.run_id.clone(),
            writer_id.clone(),
            self.flush_interval,
        );
        background::handle().spawn(delivery.run());
        Writer {
            handle: Arc::new(Handle {
                shared,
                run_id: self.run_id,
                writer_id,
            }),
        }
    }
}

impl std::fmt::Debug for WriterBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriterBuilder")
            .field("run_id", &self.run_id)
            .finish_non_exhaustive()
    }
}
