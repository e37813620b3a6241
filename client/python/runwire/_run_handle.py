"""Runs and experiments as the fluent API hands them out: the shape that mlflow's users know.

Times are whole milliseconds since 1970, states mlflow's words. What mlflow keeps in tags
of its own (``mlflow.runName`` …) is a field of a run here; ``data.tags`` shows it under
those names too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from runwire.v1.experiment_pb2 import Experiment as ExperimentMessage
    from runwire.v1.run_pb2 import Run as RunMessage


@dataclass(frozen=True)
class RunInfo:
    """What a run is. ``status``: SCHEDULED, RUNNING, FINISHED, FAILED, KILLED or LOST."""

    run_id: str
    run_name: str
    experiment_id: str
    status: str
    start_time: int | None
    end_time: int | None
    artifact_uri: str
    lifecycle_stage: str
    user_id: str

    @property
    def run_uuid(self) -> str:
        return self.run_id


@dataclass(frozen=True)
class RunData:
    """What was logged to it; of each metric the last value."""

    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]


@dataclass(frozen=True)
class DatasetInput:
    """A dataset that a run read; ``tags`` holds its context."""

    name: str
    digest: str
    source: str
    source_type: str
    schema: str
    profile: str
    tags: dict[str, str]


@dataclass(frozen=True)
class RunInputs:
    dataset_inputs: list[DatasetInput] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """A run as it was when it was read: ``run.info``, ``run.data``, ``run.inputs``."""

    info: RunInfo
    data: RunData
    inputs: RunInputs

    @property
    def run_id(self) -> str:
        return self.info.run_id

    def to_dictionary(self) -> dict[str, Any]:
        return {"info": vars(self.info), "data": vars(self.data)}


@dataclass(frozen=True)
class Experiment:
    """An experiment as it was when it was read."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    tags: dict[str, str]
    creation_time: int | None
    last_update_time: int | None


def run_of(message: RunMessage) -> Run:
    info = RunInfo(
        run_id=message.run_id,
        run_name=message.name,
        experiment_id=message.experiment_id,
        status=message.State.Name(message.state).removeprefix("STATE_"),
        start_time=_millis(message, "start_time"),
        end_time=_millis(message, "end_time"),
        artifact_uri=f"runs:/{message.run_id}",
        lifecycle_stage="deleted" if message.HasField("delete_time") else "active",
        user_id=message.user,
    )
    data = RunData(
        metrics=dict(message.metrics),
        params=dict(message.params),
        tags={**_known_tags(message), **message.tags},
    )
    return Run(info, data, RunInputs([_input_of(one) for one in message.inputs]))


def experiment_of(message: ExperimentMessage) -> Experiment:
    return Experiment(
        experiment_id=message.experiment_id,
        name=message.name,
        artifact_location=f"experiments:/{message.experiment_id}",
        lifecycle_stage="deleted" if message.HasField("delete_time") else "active",
        tags=dict(message.tags),
        creation_time=_millis(message, "create_time"),
        last_update_time=_millis(message, "update_time"),
    )


# mlflow's tag -> the attribute of a run in filters and orders.
TAG_ATTRIBUTES = {
    "mlflow.runName": "run_name",
    "mlflow.note.content": "description",
    "mlflow.parentRunId": "parent_run_id",
    "mlflow.user": "user_id",
    "mlflow.source.name": "source_name",
    "mlflow.source.git.commit": "git_commit",
}


def _known_tags(message: RunMessage) -> Mapping[str, str]:
    known = {
        "mlflow.runName": message.name,
        "mlflow.note.content": message.description,
        "mlflow.parentRunId": message.parent_run_id,
        "mlflow.user": message.user,
        "mlflow.source.name": message.source.name,
        "mlflow.source.git.commit": message.source.git_commit,
    }
    return {key: value for key, value in known.items() if value}


def _input_of(message: Any) -> DatasetInput:
    return DatasetInput(
        name=message.name,
        digest=message.digest,
        source=message.source,
        source_type=message.source_kind,
        schema=message.schema,
        profile=message.profile,
        tags=dict(message.tags),
    )


def _millis(message: Any, name: str) -> int | None:
    if not message.HasField(name):
        return None
    time: Timestamp = getattr(message, name)
    return time.ToMilliseconds()
