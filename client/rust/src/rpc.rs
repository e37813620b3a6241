//! Which request goes where, and what answers it.

use std::collections::HashSet;
use std::sync::OnceLock;

use prost::Message;
use prost_types::method_options::IdempotencyLevel;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};

use crate::v1;

/// The request of a call with one request and one response; see [`Client::call`](crate::Client::call).
pub trait Rpc: Message + Clone + Default + 'static {
    /// What answers it.
    type Response: Message + Default + 'static;
    /// `/runwire.v1.SERVICE/METHOD`.
    const PATH: &'static str;
}

/// The request of a call with a stream of responses; see [`Client::stream`](crate::Client::stream).
pub trait StreamingRpc: Message + Clone + Default + 'static {
    /// Each of what answers it.
    type Response: Message + Default + 'static;
    /// `/runwire.v1.SERVICE/METHOD`.
    const PATH: &'static str;
}

macro_rules! calls {
    ($kind:ident $($service:literal { $($method:literal $request:ident $response:ident)* })*) => {
        $($(impl $kind for v1::$request {
            type Response = v1::$response;
            const PATH: &'static str = concat!("/runwire.v1.", $service, "/", $method);
        })*)*
        #[cfg(test)]
        pub(super) fn all() -> Vec<(&'static str, &'static str, &'static str)> {
            vec![$($((<v1::$request as $kind>::PATH, stringify!($request), stringify!($response)),)*)*]
        }
    };
}

mod unary {
    use super::*;

    calls! { Rpc
        "ArtifactService" {
            "FindMissingBlobs" FindMissingBlobsRequest FindMissingBlobsResponse
            "BatchPutBlobs" BatchPutBlobsRequest BatchPutBlobsResponse
            "BatchGetArtifacts" BatchGetArtifactsRequest BatchGetArtifactsResponse
            "GetUpload" GetUploadRequest GetUploadResponse
            "ListArtifacts" ListArtifactsRequest ListArtifactsResponse
            "DeleteArtifacts" DeleteArtifactsRequest DeleteArtifactsResponse
        }
        "ExperimentService" {
            "CreateExperiment" CreateExperimentRequest CreateExperimentResponse
            "GetExperiment" GetExperimentRequest GetExperimentResponse
            "SearchExperiments" SearchExperimentsRequest SearchExperimentsResponse
            "UpdateExperiment" UpdateExperimentRequest UpdateExperimentResponse
            "DeleteExperiment" DeleteExperimentRequest DeleteExperimentResponse
            "RestoreExperiment" RestoreExperimentRequest RestoreExperimentResponse
        }
        "MetricService" {
            "LogBatch" LogBatchRequest LogBatchResponse
            "GetWriter" GetWriterRequest GetWriterResponse
            "ListSeries" ListSeriesRequest ListSeriesResponse
            "CompactMetrics" CompactMetricsRequest CompactMetricsResponse
            "GetMetricStorage" GetMetricStorageRequest GetMetricStorageResponse
        }
        "RegistryService" {
            "CreateModel" CreateModelRequest CreateModelResponse
            "GetModel" GetModelRequest GetModelResponse
            "SearchModels" SearchModelsRequest SearchModelsResponse
            "UpdateModel" UpdateModelRequest UpdateModelResponse
            "DeleteModel" DeleteModelRequest DeleteModelResponse
            "RestoreModel" RestoreModelRequest RestoreModelResponse
            "CreateModelVersion" CreateModelVersionRequest CreateModelVersionResponse
            "GetModelVersion" GetModelVersionRequest GetModelVersionResponse
            "SearchModelVersions" SearchModelVersionsRequest SearchModelVersionsResponse
            "UpdateModelVersion" UpdateModelVersionRequest UpdateModelVersionResponse
            "DeleteModelVersion" DeleteModelVersionRequest DeleteModelVersionResponse
            "RestoreModelVersion" RestoreModelVersionRequest RestoreModelVersionResponse
            "SetModelAlias" SetModelAliasRequest SetModelAliasResponse
            "DeleteModelAlias" DeleteModelAliasRequest DeleteModelAliasResponse
            "RollbackModelAlias" RollbackModelAliasRequest RollbackModelAliasResponse
            "TransitionModelVersion" TransitionModelVersionRequest TransitionModelVersionResponse
            "ResolveModels" ResolveModelsRequest ResolveModelsResponse
            "ListModelEvents" ListModelEventsRequest ListModelEventsResponse
            "QueryLineage" QueryLineageRequest QueryLineageResponse
        }
        "RunService" {
            "CreateRun" CreateRunRequest CreateRunResponse
            "GetRun" GetRunRequest GetRunResponse
            "SearchRuns" SearchRunsRequest SearchRunsResponse
            "UpdateRun" UpdateRunRequest UpdateRunResponse
            "FinishRun" FinishRunRequest FinishRunResponse
            "ResumeRun" ResumeRunRequest ResumeRunResponse
            "StopRun" StopRunRequest StopRunResponse
            "DeleteRun" DeleteRunRequest DeleteRunResponse
            "RestoreRun" RestoreRunRequest RestoreRunResponse
        }
        "ServerService" {
            "GetServerInfo" GetServerInfoRequest GetServerInfoResponse
        }
    }
}

mod streaming {
    use super::*;

    calls! { StreamingRpc
        "ArtifactService" {
            "DownloadArtifact" DownloadArtifactRequest DownloadArtifactResponse
        }
        "MetricService" {
            "ReadSeries" ReadSeriesRequest ReadSeriesResponse
            "TailSeries" TailSeriesRequest TailSeriesResponse
        }
        "RegistryService" {
            "WatchModels" WatchModelsRequest WatchModelsResponse
        }
        "RunService" {
            "WatchRuns" WatchRunsRequest WatchRunsResponse
        }
    }
}

/// Whether the protos say that a call may be made twice.
pub(crate) fn is_repeatable(path: &str) -> bool {
    static REPEATABLE: OnceLock<HashSet<String>> = OnceLock::new();
    let found = REPEATABLE.get_or_init(|| {
        methods()
            .filter(|(_, method)| repeats(method))
            .map(|(path, _)| path)
            .collect()
    });
    found.contains(path)
}

fn repeats(method: &MethodDescriptorProto) -> bool {
    let level = method
        .options
        .as_ref()
        .map(|options| options.idempotency_level());
    let safe = [
        IdempotencyLevel::NoSideEffects,
        IdempotencyLevel::Idempotent,
    ];
    level.is_some_and(|level| safe.contains(&level)) && !method.client_streaming()
}

/// Every method of the API with its path.
fn methods() -> impl Iterator<Item = (String, MethodDescriptorProto)> {
    let set = FileDescriptorSet::decode(&include_bytes!("v1/descriptors.binpb")[..]);
    let files = set.expect("buf wrote it").file.into_iter();
    files.flat_map(|file| {
        let package = file.package().to_owned();
        file.service.into_iter().flat_map(move |service| {
            let prefix = format!("/{package}.{}/", service.name());
            service
                .method
                .into_iter()
                .map(move |method| (format!("{prefix}{}", method.name()), method))
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_call_without_a_stream_of_requests_is_offered_with_its_types() {
        let offered = unary::all().into_iter().map(|one| (one, false));
        let offered = offered.chain(streaming::all().into_iter().map(|one| (one, true)));
        let offered: BTreeMap<_, _> = offered
            .map(|((path, request, response), streams)| {
                (
                    path.to_owned(),
                    (request.to_owned(), response.to_owned(), streams),
                )
            })
            .collect();
        let name = |full: &str| full.trim_start_matches(".runwire.v1.").to_owned();
        let there: BTreeMap<_, _> = methods()
            .filter(|(_, method)| !method.client_streaming())
            .map(|(path, method)| {
                let streams = method.server_streaming();
                (
                    path,
                    (
                        name(method.input_type()),
                        name(method.output_type()),
                        streams,
                    ),
                )
            })
            .collect();
        assert_eq!(offered, there);
    }

    #[test]
    fn protos_say_what_may_be_sent_again() {
        assert!(is_repeatable("/runwire.v1.RunService/GetRun"));
        assert!(is_repeatable("/runwire.v1.MetricService/LogBatch"));
        assert!(!is_repeatable(
            "/runwire.v1.ArtifactService/CommitArtifacts"
        ));
        assert!(!is_repeatable("/runwire.v1.MetricService/StreamBatches"));
    }
}
