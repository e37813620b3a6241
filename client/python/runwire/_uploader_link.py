"""The calls that an uploader makes, and what their failures mean to it.

They go to the channel directly: an uploader has a policy of its own for what it sends
again and when, and its batches are bytes already. Files go through ``client.artifacts``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from runwire._artifact import Artifacts
from runwire._batches import log_batch_request, open_request
from runwire._call import Caller
from runwire._connect import Connection
from runwire._errors import NotFoundError, RunwireError, UnavailableError
from runwire._fork import gate
from runwire._settings import settings
from runwire._status import error_of
from runwire._uri import shown
from runwire.v1.metric_service_pb2 import (
    GetWriterRequest,
    GetWriterResponse,
    LogBatchResponse,
    StreamBatchesResponse,
)
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
_ENDED = (Run.STATE_FINISHED, Run.STATE_FAILED, Run.STATE_KILLED)
_PASSING = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED", "UNKNOWN"}


def is_passing(error: RunwireError) -> bool:
    """Whether the same call may succeed later, with nothing changed by us."""
    if isinstance(error.__cause__, ImportError):
        return False  # local mode without the server's packages
    if error.code_name == "RESOURCE_EXHAUSTED":
        return error.retry_after_s is not None
    return error.code_name in _PASSING


def is_away(error: RunwireError) -> bool:
    """Whether no call can succeed now. A server with too much to do is not away."""
    return (
        isinstance(error, UnavailableError) and is_passing(error) and error.reason != "OVERLOADED"
    )


class _Stubs(NamedTuple):
    runs: RunServiceStub
    metrics: MetricServiceStub
    log_batch: Callable[..., LogBatchResponse]
    stream_batches: Callable[..., Any]


class Link:
    """The server, as one writer sees it. Opened at the first call. Safe for threads.

    All calls raise ``RunwireError``.
    """

    def __init__(self, connection: Connection, writer_id: str, workspace: str = ""):
        self.connection = connection
        self.uri = shown(connection.uri)
        self._writer_id, self._workspace = writer_id, workspace
        self._lock = threading.Lock()
        self._stubs: _Stubs | None = None
        token = settings().token
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def create_run(self, request: dict[str, Any]) -> Run:
        message = json_format.ParseDict(request, CreateRunRequest())
        run: Run = self._call(lambda stubs: stubs.runs.CreateRun, message).run
        return run

    def resume_run(self, run_id: str) -> None:
        self._call(lambda stubs: stubs.runs.ResumeRun, ResumeRunRequest(run_id=run_id))

    def ended(self, run_id: str) -> dict[str, Any] | None:
        """How a run ended, as ``finish_run`` takes it; None: it has not."""
        request = GetRunRequest(run_id=run_id)
        run: Run = self._call(lambda stubs: stubs.runs.GetRun, request).run
        if run.state not in _ENDED:
            return None
        state = Run.State.Name(run.state).removeprefix("STATE_")
        return {"state": state, "end_time_micros": run.end_time.ToMicroseconds()}

    def finish_run(self, run_id: str, state: str, end_time_micros: int, sequence: int) -> None:
        """Ends the run once this writer's batches up to ``sequence`` are in."""
        end_time = Timestamp()
        end_time.FromMicroseconds(end_time_micros)
        request = FinishRunRequest(
            run_id=run_id,
            state=f"STATE_{state}",
            end_time=end_time,
            after={self._writer_id: sequence},
        )
        self._call(lambda stubs: stubs.runs.FinishRun, request)

    def writer(self, run_id: str) -> tuple[int, int]:
        """(committed sequence, position); zeros where the run is not known yet."""
        request = GetWriterRequest(run_id=run_id, writer_id=self._writer_id)
        try:
            found: GetWriterResponse = self._call(lambda stubs: stubs.metrics.GetWriter, request)
        except NotFoundError:
            return 0, 0
        return found.committed_sequence, found.position

    def log_batch(self, run_id: str, batch: bytes | None, names: bytes = b"") -> LogBatchResponse:
        """Send a batch; None: a heartbeat, which registers the writer."""
        request = log_batch_request(run_id, self._writer_id, batch, names)
        response: LogBatchResponse = self._call(lambda stubs: stubs.log_batch, request)
        return response

    def stream_batches(
        self, run_id: str, requests: Iterator[bytes], timeout_s: float
    ) -> Generator[StreamBatchesResponse]:
        """One call; ``requests``, batches as ``batch_request`` makes them, are taken by
        another thread. Close it where it is not read to its end."""
        opening = open_request(run_id, self._writer_id, "python")
        call = self._open().stream_batches(
            chain([opening], requests), timeout=timeout_s, metadata=self._metadata
        )
        if not self.connection.is_local:
            gate.opened(call)
        try:
            while True:
                with gate.passing():
                    response = next(call, None)
                if response is None:
                    return
                yield response
        except grpc.RpcError as error:
            raise error_of(error, self.uri) from error
        finally:
            call.cancel()

    def put_artifact(self, run_id: str, local: Path, artifact_path: str) -> None:
        """Upload and commit one file. Raises OSError where it cannot be read, too."""
        artifacts = Artifacts(Caller(self.connection))
        artifacts.put(run_id, local, artifact_path, workspace=self._workspace)

    def close(self) -> None:
        self.connection.close()

    def _call(self, method: Callable[[_Stubs], Callable[..., Any]], request: Any) -> Any:
        call = method(self._open())
        try:
            with gate.passing():
                return call(request, timeout=TIMEOUT_S, metadata=self._metadata)
        except grpc.RpcError as error:
            raise error_of(error, self.uri) from error

    def _open(self) -> _Stubs:
        with self._lock:
            if self._stubs is None:
                channel = self.connection.channel
                log_batch = channel.unary_unary(
                    "/runwire.v1.MetricService/LogBatch",
                    request_serializer=bytes,
                    response_deserializer=LogBatchResponse.FromString,
                )
                stream_batches = channel.stream_stream(
                    "/runwire.v1.MetricService/StreamBatches",
                    request_serializer=bytes,
                    response_deserializer=StreamBatchesResponse.FromString,
                )
                self._stubs = _Stubs(
                    RunServiceStub(channel), MetricServiceStub(channel), log_batch, stream_batches
                )
            return self._stubs


def input_bytes(payload: dict[str, Any]) -> bytes:
    """A DatasetInput, from JSON. Raises ParseError."""
    return json_format.ParseDict(payload, DatasetInput()).SerializeToString()
