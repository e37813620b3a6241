//! Runs: made, found, changed and ended.

mod create;
mod search;

use std::collections::BTreeMap;
use std::time::SystemTime;

pub use create::CreateRun;
pub use search::SearchRuns;

use crate::caller::Caller;
use crate::v1::run::State;
use crate::v1::{
    CreateRunRequest, DeleteRunRequest, FinishRunRequest, Frame, GetRunRequest, LogBatchRequest,
    MetricBatch, Rejection, RestoreRunRequest, ResumeRunRequest, Run, SearchRunsRequest,
    SeriesName, StopRunRequest, UpdateRunRequest,
};
use crate::{Error, Result, random, time};

/// The run calls of a [`Client`](crate::Client).
#[derive(Clone, Debug)]
pub struct Runs {
    caller: Caller,
}

impl Runs {
    pub(crate) fn new(caller: Caller) -> Self {
        Self { caller }
    }

    /// Makes a run; see [`CreateRun`].
    pub fn create(&self) -> CreateRun {
        let run = Run {
            run_id: random::id(),
            ..Default::default()
        };
        let request = CreateRunRequest {
            run: Some(run.clone()),
            ..Default::default()
        };
        CreateRun {
            caller: self.caller.clone(),
            request,
            run,
        }
    }

    /// A run with all that it has; one in the trash too: its `delete_time` is set. NOT_FOUND.
    pub async fn get(&self, run_id: &str) -> Result<Run> {
        let request = GetRunRequest {
            run_id: run_id.into(),
            ..Default::default()
        };
        required(self.caller.call(request).await?.run)
    }

    /// Finds runs; see [`SearchRuns`].
    pub fn search(&self) -> SearchRuns {
        SearchRuns {
            caller: self.caller.clone(),
            request: SearchRunsRequest::default(),
        }
    }

    /// Changes what `update_mask` names, and nothing else: `name`, `description`, `experiment_id`,
    /// `tags` or `tags.KEY`. NOT_FOUND, DELETED, ETAG_MISMATCH (where `run.etag` is set).
    pub async fn update(&self, run: Run, update_mask: &[&str]) -> Result<Run> {
        let paths = update_mask.iter().map(|path| path.to_string()).collect();
        let update_mask = Some(prost_types::FieldMask { paths });
        required(
            self.caller
                .call(UpdateRunRequest {
                    run: Some(run),
                    update_mask,
                })
                .await?
                .run,
        )
    }

    /// Ends a run as FINISHED, FAILED or KILLED; from then on it takes no data. RUN_SEALED where it
    /// is over in another state.
    pub async fn finish(&self, run_id: &str, state: State) -> Result<Run> {
        let end_time = Some(SystemTime::now().into());
        let request = FinishRunRequest {
            run_id: run_id.into(),
            state: state.into(),
            end_time,
            ..Default::default()
        };
        required(self.caller.call(request).await?.run)
    }

    /// A run that has ended is RUNNING again; a running one stays as it is.
    pub async fn resume(&self, run_id: &str) -> Result<Run> {
        required(
            self.caller
                .call(ResumeRunRequest {
                    run_id: run_id.into(),
                })
                .await?
                .run,
        )
    }

    /// Asks the training job to stop; it learns it with its next acknowledgement.
    pub async fn stop(&self, run_id: &str, reason: &str) -> Result<Run> {
        let request = StopRunRequest {
            run_id: run_id.into(),
            reason: reason.into(),
        };
        required(self.caller.call(request).await?.run)
    }

    /// Puts it in the trash.
    pub async fn delete(&self, run_id: &str) -> Result<Run> {
        let request = DeleteRunRequest {
            run_id: run_id.into(),
            ..Default::default()
        };
        required(self.caller.call(request).await?.run)
    }

    /// Takes it out of the trash.
    pub async fn restore(&self, run_id: &str) -> Result<Run> {
        required(
            self.caller
                .call(RestoreRunRequest {
                    run_id: run_id.into(),
                })
                .await?
                .run,
        )
    }

    /// Stores params, each written once; durable when it returns. What cannot be stored, such as
    /// another value of a param (PARAM_CONFLICT), comes back and keeps nothing else out.
    pub async fn log_params<K, V>(
        &self,
        run_id: &str,
        params: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Vec<Rejection>>
    where
        K: Into<String>,
        V: ToString,
    {
        self.log(
            run_id,
            MetricBatch {
                params: texts(params),
                ..Default::default()
            },
        )
        .await
    }

    /// Stores tags, of which the last write wins; else as [`log_params`](Self::log_params).
    pub async fn log_tags<K, V>(
        &self,
        run_id: &str,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Vec<Rejection>>
    where
        K: Into<String>,
        V: ToString,
    {
        self.log(
            run_id,
            MetricBatch {
                tags: texts(tags),
                ..Default::default()
            },
        )
        .await
    }

    /// Stores one row of values; durable and readable when it returns. For tools and tests: a call of
    /// the network each. Training code wants a [`writer`](crate::Client::writer).
    pub async fn log_metrics<K>(
        &self,
        run_id: &str,
        metrics: impl IntoIterator<Item = (K, f64)>,
        step: i64,
    ) -> Result<Vec<Rejection>>
    where
        K: Into<String>,
    {
        let (keys, values): (Vec<K>, Vec<f64>) = metrics.into_iter().unzip();
        let series: Vec<_> = (1..)
            .zip(keys)
            .map(|(id, key)| SeriesName {
                id,
                key: key.into(),
            })
            .collect();
        let ids = series.iter().map(|one| one.id).collect();
        let frame = Frame {
            series: ids,
            steps: vec![step],
            times_micros: vec![time::now_micros()],
            values,
        };
        self.log(
            run_id,
            MetricBatch {
                series,
                frames: vec![frame],
                ..Default::default()
            },
        )
        .await
    }

    /// One batch as a writer of its own, so that a repeat after a lost answer is not stored twice.
    async fn log(&self, run_id: &str, batch: MetricBatch) -> Result<Vec<Rejection>> {
        let batch = Some(MetricBatch {
            sequence: 1,
            ..batch
        });
        let request = LogBatchRequest {
            run_id: run_id.into(),
            writer_id: random::id(),
            batch,
            ..Default::default()
        };
        Ok(self
            .caller
            .call(request)
            .await?
            .ack
            .unwrap_or_default()
            .rejections)
    }
}

/// What every answer of its kind has.
pub(crate) fn required<T>(found: Option<T>) -> Result<T> {
    found.ok_or_else(|| Error::new(crate::Code::Internal, "the server's answer is empty"))
}

fn texts<K: Into<String>, V: ToString>(
    entries: impl IntoIterator<Item = (K, V)>,
) -> BTreeMap<String, String> {
    entries
        .into_iter()
        .map(|(key, value)| (key.into(), value.to_string()))
        .collect()
}
