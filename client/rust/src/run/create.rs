//! What a new run is to be.

use std::time::SystemTime;

use super::required;
use crate::Result;
use crate::caller::Caller;
use crate::v1::{CreateRunRequest, Run};

/// What a new run is to be; [`send`](Self::send) makes it.
///
/// Its id is chosen here, so that a call which is made again makes no second run.
#[derive(Debug)]
#[must_use]
pub struct CreateRun {
    pub(super) caller: Caller,
    pub(super) request: CreateRunRequest,
    pub(super) run: Run,
}

impl CreateRun {
    /// The experiment, which is made where it is missing. Without it and an id: Default.
    pub fn experiment_name(mut self, name: impl Into<String>) -> Self {
        self.request.experiment_name = name.into();
        self
    }

    /// The experiment by its id.
    pub fn experiment_id(mut self, id: impl Into<String>) -> Self {
        self.run.experiment_id = id.into();
        self
    }

    /// 32 lower-case hex digits. Where there is such a run, it is what is returned.
    pub fn run_id(mut self, run_id: impl Into<String>) -> Self {
        self.run.run_id = run_id.into();
        self
    }

    /// For people.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.run.name = name.into();
        self
    }

    /// For people.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.run.description = description.into();
        self
    }

    /// The run that it is a part of.
    pub fn parent(mut self, run_id: impl Into<String>) -> Self {
        self.run.parent_run_id = run_id.into();
        self
    }

    /// A param, written once.
    pub fn param(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.run.params.insert(key.into(), value.to_string());
        self
    }

    /// A tag, of which the last write wins.
    pub fn tag(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.run.tags.insert(key.into(), value.to_string());
        self
    }

    /// Makes it. NOT_FOUND or DELETED (the experiment).
    pub async fn send(self) -> Result<Run> {
        let mut request = self.request;
        if !request.experiment_name.is_empty() {
            request.workspace = self.caller.workspace("");
        }
        request.run = Some(Run {
            start_time: Some(SystemTime::now().into()),
            ..self.run
        });
        required(self.caller.call(request).await?.run)
    }
}
