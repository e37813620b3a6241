//! A callback on a thread of its own, so that it may take its time.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Where events are put for the callback. Its thread ends when this is dropped.
pub(crate) struct Events<T>(Option<Sender<T>>);

impl<T: Send + 'static> Events<T> {
    pub fn none() -> Self {
        Self(None)
    }

    /// `handle` waits for events, and ends when there can be no more.
    pub fn told_to(handle: impl FnOnce(Receiver<T>) + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        let thread = thread::Builder::new().name("runwire-events".into());
        thread
            .spawn(move || handle(receiver))
            .expect("the system gives a thread");
        Self(Some(sender))
    }

    pub fn tell(&self, event: T) {
        if let Some(sender) = &self.0 {
            let _ = sender.send(event); // a callback that panicked hears no more
        }
    }
}
