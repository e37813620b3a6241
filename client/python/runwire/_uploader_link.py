"""The calls that an uploader makes, and what their failures mean to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from runwire._batches import log_batch_request
from runwire.v1.metric_service_pb2 import GetWriterRequest, GetWriterResponse, LogBatchResponse
from runwire.v1.metric_service_pb2_grpc import MetricServiceStub
from runwire.v1.run_pb2 import DatasetInput, Run
from runwire.v1.run_service_pb2 import (
    CreateRunRequest,
    FinishRunRequest,
    GetRunRequest,
    ResumeRunRequest,
)
from runwire.v1.run_service_pb2_grpc import RunServiceStub

TIMEOUT_S = 30.0


class CallFailed(Exception):
    """A call that ended with an error: its code's name, reason and message."""

    def __init__(
        self, code: str, reason: str, message: str, retry_after_s: float | None, metadata: Any = None
    ):
        super().__init__(f"{reason or code}: {message}")
        self.code, self.reason, self.retry_after_s = code, reason, retry_after_s
        self.metadata: dict[str, str] = dict(metadata or {})

    @property
    def is_passing(self) -> bool:
        """Whether the same call may succeed later, with nothing changed by us."""
        if self.code == "RESOURCE_EXHAUSTED":
            return self.retry_after_s is not None
        return self.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED", "UNKNOWN")

    @property
    def is_too_large(self) -> bool:
        """Refused for its size: by the server's limit, or by a message limit on the way."""
        return self.code == "RESOURCE_EXHAUSTED" and self.reason in ("TOO_LARGE", "")

    @property
    def server_is_away(self) -> bool:
        return self.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED") and self.reason in ("", "DRAINING")


class Link:
    """One connection of one writer. Safe for threads."""

    def __init__(self, connection: Any, writer_id: str):
        self._connection, self._writer_id = connection, writer_id
        self.uri: str = getattr(connection, "uri", "")
        channel = connection.channel
        self._runs, self._metrics = RunServiceStub(channel), MetricServiceStub(channel)
        # Batches are bytes already.
        self._log_batch = channel.unary_unary(
            "/runwire.v1.MetricService/LogBatch",
            request_serializer=bytes,
            response_deserializer=LogBatchResponse.FromString,
        )

    def create_run(self, request: dict[str, Any]) -> Run:
        message = json_format.ParseDict(request, CreateRunRequest())
        run: Run = _call(self._runs.CreateRun, message).run
        return run

    def ended(self, run_id: str) -> dict[str, Any] | None:
        """How a run ended, as ``finish_run`` takes it; None: it has not."""
        run: Run = _call(self._runs.GetRun, GetRunRequest(run_id=run_id)).run
        if run.state not in (Run.STATE_FINISHED, Run.STATE_FAILED, Run.STATE_KILLED):
            return None
        state = Run.State.Name(run.state).removeprefix("STATE_")
        return {"state": state, "end_time_micros": run.end_time.ToMicroseconds()}

    def resume_run(self, run_id: str) -> Run:
        run: Run = _call(self._runs.ResumeRun, ResumeRunRequest(run_id=run_id)).run
        return run

    def finish_run(self, run_id: str, state: str, end_time_micros: int, sequence: int) -> None:
        """Ends the run once this writer's batches up to ``sequence`` are in."""
        end_time = Timestamp()
        end_time.FromMicroseconds(end_time_micros)
        request = FinishRunRequest(
            run_id=run_id,
            state=Run.State.Value(f"STATE_{state}"),
            end_time=end_time,
            after={self._writer_id: sequence},
        )
        _call(self._runs.FinishRun, request)

    def writer(self, run_id: str) -> tuple[int, int]:
        """(committed sequence, position); zeros where the run is not known yet."""
        request = GetWriterRequest(run_id=run_id, writer_id=self._writer_id)
        try:
            response: GetWriterResponse = _call(self._metrics.GetWriter, request)
        except CallFailed as error:
            if error.code == "NOT_FOUND":
                return 0, 0
            raise
        return response.committed_sequence, response.position

    def log_batch(self, run_id: str, batch: bytes | None, names: bytes = b"") -> LogBatchResponse:
        """Send a batch; None: a heartbeat, which registers the writer."""
        request = log_batch_request(run_id, self._writer_id, batch, names)
        response: LogBatchResponse = _call(self._log_batch, request)
        return response

    def put_artifact(self, run_id: str, local: Path, artifact_path: str) -> None:
        """Upload and commit one file. Raises CallFailed, OSError."""

    def close(self) -> None:
        self._connection.close()


def input_bytes(payload: dict[str, Any]) -> bytes:
    """A DatasetInput, from JSON. Raises ParseError."""
    return json_format.ParseDict(payload, DatasetInput()).SerializeToString()


def _call(method: Callable[..., Any], request: Any) -> Any:
    try:
        return method(request, timeout=TIMEOUT_S)
    except grpc.RpcError as error:
        raise _failure(error) from error
