//! Writing metrics from a training loop, without waiting for a server.

mod delivery;
mod limits;
mod options;
mod outbox;
mod rows;
mod settle;
mod shared;
mod stream;
mod unary;
mod wire;

use std::borrow::Borrow;
use std::sync::Arc;

pub use options::{Event, WhenFull, WriterBuilder};
use shared::Shared;

use crate::v1::Rejection;
use crate::{Result, time};

/// Logs to one run. [`log`](Self::log) puts values into memory; a thread of this crate sends them,
/// and keeps them until the server has acknowledged that they are durable and readable.
///
/// Whatever happens to the server or the connection, each point arrives exactly once, for as long as
/// this process lives; only what the server refuses for good, such as a run that is over, ends a
/// writer. [`flush`](Self::flush), [`close`](Self::close) and the callback tell that.
///
/// Cheap to clone, safe for threads, usable outside of asynchronous code. When the last clone is
/// dropped, what was logged is still sent in the background; nothing waits for it but
/// [`close`](Self::close).
///
/// ```no_run
/// # async fn example(client: runwire::Client) -> runwire::Result<()> {
/// let writer = client.writer("0123").open();
/// for step in 0..1000 {
///     writer.log([("loss", 1.0 / (step as f64 + 1.0)), ("accuracy", 0.9)], step);
/// }
/// writer.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Writer {
    handle: Arc<Handle>,
}

/// Dropped with the last clone of a writer.
struct Handle {
    shared: Arc<Shared>,
    run_id: String,
    writer_id: String,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Writer {
    /// Logs one value of each key at a step, with the time of now. A slice, a map, or any iterator of
    /// pairs; those of the same keys in the same order are the quickest.
    ///
    /// Where the memory for what was not sent yet is full, it waits or drops, see [`WhenFull`]; on a
    /// writer that has ended it does nothing. Values may be NaN or infinite. A key of more than 4 KiB is
    /// rejected alone, see [`rejections`](Self::rejections).
    pub fn log<K, V, I>(&self, values: I, step: i64)
    where
        K: AsRef<str>,
        V: Borrow<f64>,
        I: IntoIterator<Item = (K, V), IntoIter: Clone>,
    {
        self.log_at(values, step, time::now_micros());
    }

    /// As [`log`](Self::log), at a time in Unix microseconds.
    pub fn log_at<K, V, I>(&self, values: I, step: i64, time_micros: i64)
    where
        K: AsRef<str>,
        V: Borrow<f64>,
        I: IntoIterator<Item = (K, V), IntoIter: Clone>,
    {
        self.handle
            .shared
            .log(values.into_iter(), step, time_micros);
    }

    /// Logs one value.
    pub fn log_metric(&self, key: impl AsRef<str>, value: f64, step: i64) {
        self.log([(key.as_ref(), value)], step);
    }

    /// Logs a param, which is written once: another value of it is rejected, and so is one of more than
    /// 256 KiB, see [`rejections`](Self::rejections).
    pub fn log_param(&self, key: impl Into<String>, value: impl ToString) {
        self.handle.shared.log_param(key.into(), value.to_string());
    }

    /// Logs a tag, of which the last write wins.
    pub fn log_tag(&self, key: impl Into<String>, value: impl ToString) {
        self.handle.shared.log_tag(key.into(), value.to_string());
    }

    /// Waits until all that was logged before is acknowledged; fails with what has ended the writer.
    /// It waits as long as the server is away: `tokio::time::timeout` bounds it.
    pub async fn flush(&self) -> Result<()> {
        self.handle.shared.flush().await
    }

    /// Flushes and ends the writer, and its clones.
    pub async fn close(&self) -> Result<()> {
        self.handle.shared.close();
        self.handle.shared.ended().await
    }

    /// Waits until there is room in memory, so that the next [`log`](Self::log) does not block:
    /// for asynchronous code that logs more than a network can take.
    pub async fn ready(&self) {
        self.handle.shared.ready().await;
    }

    /// Whether the next [`log`](Self::log) would wait, or drop.
    pub fn is_full(&self) -> bool {
        self.handle.shared.is_full(&self.handle.shared.lock())
    }

    /// Somebody asked the run to stop; see also [`Event::StopRequested`].
    pub fn stop_requested(&self) -> bool {
        self.handle.shared.lock().stop_requested
    }

    /// Points that were dropped because memory was full, or the writer has ended.
    pub fn dropped_points(&self) -> u64 {
        self.handle.shared.lock().dropped_points
    }

    /// What was not stored, the first 1,000 of it: what the server rejected of what it acknowledged, and
    /// what is too large to be sent, a key of 4 KiB or a value of 256 KiB, with FIELD_INVALID.
    pub fn rejections(&self) -> Vec<Rejection> {
        self.handle.shared.lock().rejections.clone()
    }

    /// Why it has ended by itself; None while it has not.
    pub fn error(&self) -> Option<crate::Error> {
        self.handle.shared.lock().error.clone()
    }

    /// The run that it writes to.
    pub fn run_id(&self) -> &str {
        &self.handle.run_id
    }

    /// Its random name, under which the server counts its batches.
    pub fn writer_id(&self) -> &str {
        &self.handle.writer_id
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (run_id, writer_id) = (self.run_id(), self.writer_id());
        f.debug_struct("Writer")
            .field("run_id", &run_id)
            .field("writer_id", &writer_id)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::Client;

    /// A writer with little room, whose server is away.
    fn away(when_full: WhenFull) -> WriterBuilder {
        let client = Client::new("grpc://127.0.0.1:1").unwrap();
        client
            .writer("0".repeat(32))
            .max_buffered_bytes(32 << 10)
            .when_full(when_full)
    }

    fn log_much(writer: &Writer) {
        (0..10_000).for_each(|step| writer.log_metric("loss", 1.0, step));
    }

    #[test]
    fn writers_are_for_threads_and_clients_too() {
        fn is_for_threads<T: Clone + Send + Sync>() {}
        is_for_threads::<Writer>();
        is_for_threads::<Client>();
    }

    #[test]
    fn what_does_not_fit_is_dropped_counted_and_told_once() {
        let (sender, told) = channel();
        let tell = move |event| sender.send(matches!(event, Event::Dropping)).unwrap();
        let writer = away(WhenFull::Drop).on_event(tell).open();
        log_much(&writer);
        let dropped = writer.dropped_points();
        assert!((5_000..10_000).contains(&dropped), "{dropped}");
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(true));
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn whoever_waits_for_room_for_so_long_goes_on_then() {
        let writer = away(WhenFull::BlockFor(Duration::from_millis(1))).open();
        (0..1_400).for_each(|step| writer.log_metric("loss", 1.0, step));
        assert!(writer.dropped_points() > 0);
    }

    #[test]
    fn whoever_waits_for_room_is_let_go_when_the_writer_is_closed() {
        let writer = away(WhenFull::Block).open();
        let logging = std::thread::spawn({
            let writer = writer.clone();
            move || log_much(&writer)
        });
        while !writer.is_full() {
            std::thread::yield_now();
        }
        let closing = writer.close();
        let closed = crate::block_on(async { tokio::time::timeout(Duration::ZERO, closing).await });
        assert!(closed.is_err(), "the server is away");
        logging.join().unwrap();
        assert!(writer.dropped_points() > 0);
    }

    #[test]
    fn writer_that_is_closed_takes_no_more() {
        let writer = away(WhenFull::Block).open();
        assert_eq!(crate::block_on(writer.close()), Ok(()));
        writer.log_metric("loss", 1.0, 0);
        writer.log_param("lr", 0.1);
        assert_eq!(writer.dropped_points(), 1);
        assert_eq!(crate::block_on(writer.flush()), Ok(()));
        assert_eq!(writer.error(), None);
    }

    #[test]
    fn what_is_too_large_is_told_at_once_and_the_writer_goes_on() {
        let (sender, told) = channel();
        let writer = away(WhenFull::Block)
            .on_event(move |event| sender.send(event).unwrap())
            .open();
        writer.log_param("config", "x".repeat(1_100_000));
        writer.log_metric("k".repeat(1_100_000), 1.0, 0);
        for expected in ["value", "key"] {
            let Ok(Event::Rejected(one)) = told.recv_timeout(Duration::from_secs(60)) else {
                panic!("it is no rejection");
            };
            let error = crate::Error::from(one.fault.unwrap());
            assert_eq!(error.code(), crate::Code::InvalidArgument);
            assert_eq!(error.metadata()["field"], expected);
        }
        assert_eq!(writer.rejections().len(), 2);
        assert_eq!(writer.error(), None);
        assert_eq!(crate::block_on(writer.close()), Ok(()));
    }
}
