//! The task that follows a registry, over restarts and outages.
//!
//! It watches the models, and asks again what the references mean when one of them changes: so it
//! need not know what a change of a stage or a name does to a reference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Meanings, Shared};
use crate::caller::Caller;
use crate::run::required;
use crate::v1::resolve_models_response::Resolved;
use crate::v1::watch_models_request::Start;
use crate::v1::watch_models_response::Event;
use crate::v1::{ErrorReason, ResolveModelsRequest, WatchModelsRequest, WatchModelsResponse};
use crate::{Error, Result, random};

/// Full jitter: thousands of programs whose server comes back do not come back as one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// Servers send a mark every 15 s: one that is silent for longer is gone.
const SILENCE: Duration = Duration::from_secs(45);

pub(super) struct Follower {
    caller: Caller,
    references: Vec<String>,
    models: Vec<String>,
    shared: Arc<Shared>,
    /// Where to go on from; 0: begin anew.
    revision: i64,
    is_connected: bool,
}

impl Follower {
    pub fn new(caller: Caller, references: Vec<String>, shared: Arc<Shared>) -> Self {
        let models: BTreeSet<_> = references
            .iter()
            .map(|reference| model_of(reference))
            .collect();
        let models = models.into_iter().map(str::to_owned).collect();
        Self {
            caller,
            references,
            models,
            shared,
            revision: 0,
            is_connected: false,
        }
    }

    pub async fn run(mut self) {
        let mut failures = 0;
        loop {
            self.is_connected = false;
            let ended = self.follow().await;
            failures = if self.is_connected { 1 } else { failures + 1 };
            let error = ended
                .err()
                .unwrap_or_else(|| Error::unavailable("the server ended a watch"));
            let pause = random::pause(FIRST_PAUSE, LAST_PAUSE, failures);
            let asked = error.retry_after().unwrap_or_default();
            self.shared.lost(error);
            tokio::time::sleep(asked + pause).await;
        }
    }

    /// One connection up to its end.
    async fn follow(&mut self) -> Result<()> {
        let request = WatchModelsRequest {
            workspace: self.caller.workspace(""),
            models: self.models.clone(),
            start: (self.revision > 0).then_some(Start::AfterRevision(self.revision)),
            last_only: true,
        };
        let silent = || Error::unavailable("nothing was heard of the server for too long");
        let opening = tokio::time::timeout(SILENCE, self.caller.stream(request));
        let mut responses = opening.await.map_err(|_| silent())??;
        loop {
            let next = tokio::time::timeout(SILENCE, responses.try_next());
            match next.await.map_err(|_| silent())?? {
                Some(WatchModelsResponse {
                    event: Some(Event::Expired(_)),
                    ..
                }) => {
                    self.revision = 0;
                    return Ok(());
                }
                Some(response) => self.hear(response).await?,
                None => return Ok(()),
            }
        }
    }

    async fn hear(&mut self, response: WatchModelsResponse) -> Result<()> {
        let is_mark = matches!(response.event, Some(Event::Mark(_)));
        let is_news = response.revision > self.revision && !is_mark;
        let meanings = match is_news || !self.is_connected {
            true => Some(self.ask(response.revision).await?),
            false => None,
        };
        self.revision = self.revision.max(response.revision);
        self.is_connected = true;
        self.shared.hear(meanings);
        Ok(())
    }

    /// What the references mean, as of a revision or a later one.
    async fn ask(&mut self, revision: i64) -> Result<Meanings> {
        let mut found = BTreeMap::new();
        let mut left = self.references.clone();
        let mut revision = revision;
        while !left.is_empty() {
            let request = ResolveModelsRequest {
                references: left,
                workspace: self.caller.workspace(""),
                min_revision: revision,
                ..Default::default()
            };
            let answer = self.caller.call(request).await.inspect_err(|error| {
                if error.is(ErrorReason::RevisionAhead) {
                    self.revision = 0; // the registry has another past now
                }
            })?;
            revision = revision.max(answer.revision);
            left = take(answer.resolved, &mut found);
        }
        self.revision = self.revision.max(revision);
        Ok(found)
    }
}

/// Takes over what is answered; returns what did not fit, to be asked again.
fn take(resolved: Vec<Resolved>, found: &mut Meanings) -> Vec<String> {
    let count = resolved.len();
    let mut left = Vec::new();
    for one in resolved {
        match one.fault {
            Some(fault) if fault.reason == "TOO_LARGE" => left.push(one.reference),
            Some(fault) => {
                found.insert(one.reference, Err(fault.into()));
            }
            None => {
                found.insert(one.reference, required(one.model_version));
            }
        }
    }
    if left.len() == count {
        Vec::new()
    } else {
        left
    }
}

/// The model's name. Its reference was checked before.
fn model_of(reference: &str) -> &str {
    reference.split(['@', '/']).next().unwrap_or(reference)
}
