//! What the threads that log and the task that sends have in common.

use std::borrow::Borrow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::options::{Event, WhenFull};
use super::rows::Rows;
use crate::events::Events;
use crate::v1::Rejection;
use crate::{Code, Error, Result};

#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub max_batch_bytes: usize,
    pub max_buffered_bytes: usize,
}

pub(super) struct Shared {
    state: Mutex<State>,
    pub room: Condvar,
    /// Wakes the task: there is something to do.
    pub wake: Notify,
    pub progress: watch::Sender<Progress>,
    pub sizes: Sizes,
    when_full: WhenFull,
    pub events: Events<Event>,
}

pub(super) struct State {
    pub rows: Rows,
    /// When the first of the rows came.
    pub since: Option<Instant>,
    /// Of batches that are sealed and not acknowledged.
    pub sealed_bytes: usize,
    /// Something waits for the rows to be sent.
    pub is_wanted: bool,
    pub is_closing: bool,
    is_dropping: bool,
    pub stop_requested: bool,
    pub dropped_points: u64,
    pub rejections: Vec<Rejection>,
    pub error: Option<Error>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Progress {
    pub committed: i64,
    pub is_full: bool,
    pub has_ended: bool,
}

impl Shared {
    pub fn new(sizes: Sizes, when_full: WhenFull, events: Events<Event>) -> Self {
        let rows = Rows::new(sizes.max_batch_bytes);
        let state = State {
            rows,
            since: None,
            sealed_bytes: 0,
            is_wanted: false,
            is_closing: false,
            is_dropping: false,
            stop_requested: false,
            dropped_points: 0,
            rejections: Vec::new(),
            error: None,
        };
        Self {
            state: Mutex::new(state),
            room: Condvar::new(),
            wake: Notify::new(),
            progress: watch::Sender::default(),
            sizes,
            when_full,
            events,
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Logging -------------------------------------------------------------------------------------

    pub fn log<K, V>(&self, values: impl Iterator<Item = (K, V)> + Clone, step: i64, time: i64)
    where
        K: AsRef<str>,
        V: Borrow<f64>,
    {
        let mut state = self.with_room();
        if state.takes_nothing() {
            state.dropped_points += values.count() as u64;
            return;
        }
        let sealed = state.rows.sealed.len();
        state.rows.push(values, step, time);
        self.tell_refused(&mut state);
        self.noted(state, sealed);
    }

    pub fn log_param(&self, key: String, value: String) {
        self.log_text(|rows| rows.param(key, value));
    }

    pub fn log_tag(&self, key: String, value: String) {
        self.log_text(|rows| rows.tag(key, value));
    }

    fn log_text(&self, add: impl FnOnce(&mut Rows)) {
        let mut state = self.with_room();
        if state.takes_nothing() {
            return;
        }
        let sealed = state.rows.sealed.len();
        add(&mut state.rows);
        self.tell_refused(&mut state);
        self.noted(state, sealed);
    }

    /// Wakes the task for the first rows, which it is to send in time, and for a full batch.
    fn noted(&self, mut state: MutexGuard<'_, State>, sealed: usize) {
        let is_first = state.since.is_none() && !state.rows.is_empty();
        if is_first {
            state.since = Some(Instant::now());
        }
        let is_full = state.rows.sealed.len() > sealed;
        drop(state);
        if is_first || is_full {
            self.wake.notify_one();
        }
    }

    /// The state when there is room, or when there is to be none.
    fn with_room(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        if !self.is_full(&state) {
            state.is_dropping = false;
            return state;
        }
        state.is_wanted = true;
        self.wake.notify_one();
        let state = match self.when_full {
            WhenFull::Block => self.wait(state, None),
            WhenFull::BlockFor(timeout) => self.wait(state, Some(timeout)),
            WhenFull::Drop => state,
        };
        self.begin_dropping(state)
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        timeout: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        let waits = |state: &mut State| self.is_full(state) && !state.has_ended();
        let woken = match timeout {
            None => self.room.wait_while(state, waits),
            Some(timeout) => self
                .room
                .wait_timeout_while(state, timeout, waits)
                .map(|(state, _)| state)
                .map_err(|error| PoisonError::new(error.into_inner().0)),
        };
        woken.unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_dropping<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let is_full = self.is_full(&state);
        if is_full && !state.is_dropping && !state.has_ended() {
            self.events.tell(Event::Dropping);
        }
        state.is_dropping = is_full;
        state
    }

    pub fn is_full(&self, state: &State) -> bool {
        state.sealed_bytes() + state.rows.size_bytes() >= self.sizes.max_buffered_bytes
    }

    // Waiting -------------------------------------------------------------------------------------

    pub async fn flush(&self) -> Result<()> {
        let target = {
            let mut state = self.lock();
            state.rows.seal();
            state.since = None;
            state.rows.sequence
        };
        self.wake.notify_one();
        let progress = self
            .until(|progress| progress.committed >= target || progress.has_ended)
            .await;
        if progress.committed >= target {
            Ok(())
        } else {
            Err(self.why_ended())
        }
    }

    pub fn close(&self) {
        self.lock().is_closing = true;
        self.room.notify_all();
        self.wake.notify_one();
    }

    /// When the task is at its end: whether all was acknowledged.
    pub async fn ended(&self) -> Result<()> {
        self.until(|progress| progress.has_ended).await;
        match self.lock().error.clone() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    pub async fn ready(&self) {
        {
            let mut state = self.lock();
            if !self.is_full(&state) {
                return;
            }
            state.is_wanted = true;
            self.progress
                .send_modify(|progress| progress.is_full = true);
        }
        self.wake.notify_one();
        self.until(|progress| !progress.is_full || progress.has_ended)
            .await;
    }

    async fn until(&self, is_met: impl FnMut(&Progress) -> bool) -> Progress {
        let mut progress = self.progress.subscribe();
        let met = progress.wait_for(is_met).await.map(|met| *met);
        met.unwrap_or_default() // the sender is ours, and here
    }

    fn why_ended(&self) -> Error {
        let closed = || Error::new(Code::FailedPrecondition, "the writer was closed");
        self.lock().error.clone().unwrap_or_else(closed)
    }
}

impl State {
    fn has_ended(&self) -> bool {
        self.is_closing || self.error.is_some()
    }

    fn takes_nothing(&self) -> bool {
        self.has_ended() || self.is_dropping
    }

    fn sealed_bytes(&self) -> usize {
        self.sealed_bytes
            + self
                .rows
                .sealed
                .iter()
                .map(|batch| batch.size_bytes)
                .sum::<usize>()
    }
}
