//! What the task that sends does to the state: it takes batches over, and says what became of them.

use std::time::Instant;

use super::options::Event;
use super::rows::Batch;
use super::shared::{Shared, State};
use crate::Error;
use crate::v1::{Rejection, WriteAdvice};

const MAX_REJECTIONS: usize = 1000;

impl Shared {
    /// Batches that were sealed since; with `seals`, what is in the rows too.
    pub fn take(&self, seals: bool) -> Vec<Batch> {
        let mut state = self.lock();
        if seals {
            state.rows.seal();
            state.is_wanted = false;
            state.since = None;
        }
        let taken: Vec<Batch> = state.rows.sealed.drain(..).collect();
        state.sealed_bytes += taken.iter().map(|batch| batch.size_bytes).sum::<usize>();
        if state.rows.is_empty() {
            state.since = None;
        } else if state.since.is_none() {
            state.since = Some(Instant::now());
        }
        taken
    }

    pub fn acknowledged(&self, committed: i64, size_bytes: usize, rejections: Vec<Rejection>) {
        let mut state = self.lock();
        state.sealed_bytes -= size_bytes;
        self.tell_rejections(&mut state, rejections);
        let is_full = self.is_full(&state);
        self.progress.send_modify(|progress| {
            progress.committed = progress.committed.max(committed);
            progress.is_full = is_full;
        });
        drop(state);
        self.room.notify_all();
    }

    /// Of what was just logged, what the rows did not take.
    pub fn tell_refused(&self, state: &mut State) {
        let refused = std::mem::take(&mut state.rows.refused);
        self.tell_rejections(state, refused);
    }

    fn tell_rejections(&self, state: &mut State, rejections: Vec<Rejection>) {
        for rejection in rejections {
            if state.rejections.len() < MAX_REJECTIONS {
                state.rejections.push(rejection.clone());
            }
            self.events.tell(Event::Rejected(rejection));
        }
    }

    pub fn heed(&self, advice: &WriteAdvice) {
        let mut state = self.lock();
        if advice.max_batch_bytes > 0 {
            let advised = advice.max_batch_bytes as usize;
            state.rows.limit(self.sizes.max_batch_bytes.min(advised));
        }
        if advice.stop_requested && !state.stop_requested {
            self.events.tell(Event::StopRequested);
        }
        state.stop_requested = advice.stop_requested;
    }

    /// The task is at its end: closed, or by an error, with so many points that were not acknowledged.
    pub fn end(&self, error: Option<Error>, points: u64) {
        let mut state = self.lock();
        state.is_closing = true;
        state.rows.seal();
        let left = state
            .rows
            .sealed
            .drain(..)
            .map(|batch| batch.points)
            .sum::<u64>();
        state.dropped_points += points + left;
        state.error = error.clone();
        drop(state);
        self.room.notify_all();
        self.progress
            .send_modify(|progress| progress.has_ended = true);
        if let Some(error) = error {
            self.events.tell(Event::Ended(error));
        }
    }
}
