//! One count of bytes over all files of a transfer.

use std::sync::{Arc, Mutex, PoisonError};

/// Told (bytes done, bytes in all), from one thread at a time; first with 0.
pub(super) type Progress = Box<dyn FnMut(u64, u64) + Send>;

#[derive(Clone)]
pub(super) struct Meter(Arc<Mutex<Count>>);

struct Count {
    done: u64,
    total: u64,
    progress: Option<Progress>,
}

impl Meter {
    pub fn new(progress: Option<Progress>, total: u64) -> Self {
        let meter = Self(Arc::new(Mutex::new(Count {
            done: 0,
            total,
            progress,
        })));
        meter.add(0);
        meter
    }

    /// So many bytes more.
    pub fn add(&self, bytes: u64) {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count.done += bytes;
        let (done, total) = (count.done, count.total);
        if let Some(progress) = &mut count.progress {
            progress(done, total);
        }
    }
}
