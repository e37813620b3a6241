//! What references to models mean, from memory, through restarts and outages of the server.

mod changes;
mod follow;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use changes::ModelChange;
use changes::announce;
use follow::Follower;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::caller::Caller;
use crate::events::Events;
use crate::v1::ModelVersion;
use crate::{Error, Result, background};

const MAX_REFERENCES: usize = 1000;

/// By reference, what it means, or why it means nothing.
pub(crate) type Meanings = BTreeMap<String, Result<ModelVersion>>;

/// Knows what references to models mean, and hears of it when that changes.
///
/// Answers come from memory. A task follows the registry, over restarts and outages of the server,
/// during which the last answers stay. Dropping it ends that.
///
/// ```no_run
/// # async fn example(client: runwire::Client) -> runwire::Result<()> {
/// use std::time::Duration;
///
/// let models = client
///     .model_watcher(["fraud@champion"])
///     .on_change(|change| println!("{} is now {:?}", change.reference, change.now))
///     .start()?;
/// models.wait_ready(Duration::from_secs(30)).await?;
/// println!("{}", models.get("fraud@champion")?.version);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ModelWatcher {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What the task that follows and those who ask have in common.
pub(crate) struct Shared {
    state: Mutex<State>,
    ready: watch::Sender<bool>,
    events: Events<Arc<Meanings>>,
}

#[derive(Default)]
struct State {
    meanings: Arc<Meanings>,
    is_connected: bool,
    confirmed: Option<Instant>,
    error: Option<Error>,
}

impl ModelWatcher {
    /// The version that a reference means, as far as is known; without any I/O.
    ///
    /// While it means nothing: NOT_FOUND, or what else resolving it would say. While nothing was
    /// heard of any server: UNAVAILABLE, or why not.
    pub fn get(&self, reference: &str) -> Result<ModelVersion> {
        let state = self.shared.lock();
        match state.meanings.get(reference) {
            Some(meaning) => meaning.clone(),
            None if state.meanings.is_empty() => Err(state.error.clone().unwrap_or_else(unheard)),
            None => Err(Error::invalid(
                "reference",
                format!("{reference:?} is not watched"),
            )),
        }
    }

    /// Whether a server tells of changes now.
    pub fn connected(&self) -> bool {
        self.shared.lock().is_connected
    }

    /// How long ago the answers were last known to be right: while connected, since a message of the
    /// server, of which there is one every 15 s. None: there are no answers.
    pub fn age(&self) -> Option<Duration> {
        self.shared
            .lock()
            .confirmed
            .map(|confirmed| confirmed.elapsed())
    }

    /// Waits until there are answers. UNAVAILABLE, or what keeps it from them, after the timeout.
    pub fn wait_ready(&self, timeout: Duration) -> impl Future<Output = Result<()>> + use<> {
        let shared = self.shared.clone();
        async move {
            let mut ready = shared.ready.subscribe();
            match tokio::time::timeout(timeout, ready.wait_for(|ready| *ready)).await {
                Ok(_) => Ok(()),
                Err(_) => Err(shared.lock().error.clone().unwrap_or_else(unheard)),
            }
        }
    }
}

impl Drop for ModelWatcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server said what the references mean; told again with every message.
    fn hear(&self, meanings: Option<Meanings>) {
        let mut state = self.lock();
        (state.is_connected, state.error) = (true, None);
        state.confirmed = Some(Instant::now());
        if let Some(meanings) = meanings.filter(|meanings| *meanings != *state.meanings) {
            state.meanings = Arc::new(meanings);
            self.events.tell(state.meanings.clone());
        }
        drop(state);
        self.ready.send_replace(true);
    }

    fn lost(&self, error: Error) {
        let mut state = self.lock();
        (state.is_connected, state.error) = (false, Some(error));
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        let references: Vec<_> = state.meanings.keys().collect();
        f.debug_struct("Shared")
            .field("references", &references)
            .field("is_connected", &state.is_connected)
            .finish_non_exhaustive()
    }
}

/// What a [`ModelWatcher`] is to be; [`start`](Self::start) makes it.
#[must_use]
pub struct WatcherBuilder {
    caller: Caller,
    references: Vec<String>,
    events: Events<Arc<Meanings>>,
}

impl WatcherBuilder {
    pub(crate) fn new(caller: Caller, references: Vec<String>) -> Self {
        Self {
            caller,
            references,
            events: Events::none(),
        }
    }

    /// Is told each change, on a thread of its own: first what each reference means at the start.
    /// Several changes while it runs are one.
    pub fn on_change(mut self, handle: impl FnMut(ModelChange) + Send + 'static) -> Self {
        self.events = Events::told_to(move |news| announce(news, handle));
        self
    }

    /// The watcher. It connects in the background, and goes on where no server answers.
    /// INVALID_ARGUMENT for references that can never mean anything.
    pub fn start(self) -> Result<ModelWatcher> {
        check(&self.references)?;
        let ready = watch::Sender::new(false);
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            ready,
            events: self.events,
        });
        let follower = Follower::new(self.caller, self.references, shared.clone());
        let task = background::handle().spawn(follower.run()).abort_handle();
        Ok(ModelWatcher { shared, task })
    }
}

impl std::fmt::Debug for WatcherBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatcherBuilder")
            .field("references", &self.references)
            .finish_non_exhaustive()
    }
}

fn unheard() -> Error {
    Error::unavailable("nothing was heard of any server yet")
}

fn check(references: &[String]) -> Result<()> {
    if !(1..=MAX_REFERENCES).contains(&references.len()) {
        let problem = format!("1 to {MAX_REFERENCES}, not {}", references.len());
        return Err(Error::invalid("references", problem));
    }
    let means_nothing = |reference: &&String| {
        let rest = reference.split_once(['@', '/']);
        rest.is_none_or(|(model, rest)| model.is_empty() || rest.is_empty())
    };
    match references.iter().find(means_nothing) {
        Some(reference) => {
            let problem = format!("{reference:?} is not MODEL@ALIAS or MODEL/VERSION");
            Err(Error::invalid("references", problem))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_a_model_and_what_of_it() {
        let checked = |one: &str| check(&[one.to_owned()]).map_err(|error| error.code_name());
        for reference in ["fraud@champion", "fraud/7", "a@b/c"] {
            assert_eq!(checked(reference), Ok(()));
        }
        for reference in ["", "fraud", "@champion", "fraud/", "/7"] {
            assert_eq!(checked(reference), Err("INVALID_ARGUMENT"), "{reference}");
        }
        assert!(check(&[]).is_err());
    }
}
