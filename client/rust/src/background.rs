//! One thread of this crate's own, on which all of its network lives.
//!
//! So a client can be made and used anywhere: from any runtime, from several, and by a writer in a
//! program without one; and a runtime that is busy, or blocked in [`Writer::log`](crate::Writer),
//! does not keep what was logged from being sent.

use std::future::Future;
use std::sync::OnceLock;
use std::thread;

use tokio::runtime::{Builder, Handle};

/// The thread's runtime; started when it is first asked for, and never ended.
pub(crate) fn handle() -> &'static Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the system gives a thread and an event queue");
        let handle = runtime.handle().clone();
        let thread = thread::Builder::new().name("runwire".into());
        thread
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .expect("the system gives a thread");
        handle
    })
}

/// Waits for a future in a program without a runtime.
///
/// # Panics
/// Where it is called from asynchronous code: that has `.await`.
///
/// ```no_run
/// # fn main() -> runwire::Result<()> {
/// let client = runwire::Client::from_env()?;
/// let run = runwire::block_on(client.runs().create().name("baseline").send())?;
/// # Ok(())
/// # }
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    handle().block_on(future)
}
