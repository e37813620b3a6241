"""A server that answers ``GetRun`` as the run id tells it to: with each error that there is.

| run_id | answer |
|---|---|
| ``e`` and the number of an ErrorReason | that error; RetryInfo where it has one |
| ``a`` | the metadata that came with the call, as tags of the run |
| ``b`` and a number | UNAVAILABLE that many times, then the run |
| ``f`` | nothing, until the caller gives up |
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn, cast

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from runwire._errors import _CODE_OF_REASON as CODE_OF_REASON
from runwire.v1.error_pb2 import ErrorReason
from runwire.v1.run_pb2 import Run
from runwire.v1.run_service_pb2 import GetRunRequest, GetRunResponse
from runwire.v1.run_service_pb2_grpc import RunServiceServicer, add_RunServiceServicer_to_server
from runwire_server.app import App
from runwire_server.pools import Pools
from runwire_server.settings import Settings
from runwire_server.web import WebServer
from runwire_server.web.edge import Edge
from runwire_server.web.guard import Guard

RETRY_AFTER_MS = 10
RETRIED = ("OVERLOADED", "DRAINING", "STORAGE_UNAVAILABLE")


class Answers(RunServiceServicer):
    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def GetRun(self, request: GetRunRequest, context: grpc.ServicerContext) -> GetRunResponse:
        kind, number = request.run_id[0], int(request.run_id[1:], 16)
        self.calls[request.run_id] += 1
        if kind == "e":
            self._fail(context, ErrorReason.Name(number).removeprefix("ERROR_REASON_"))
        if kind == "b" and self.calls[request.run_id] <= number:
            self._fail(context, "DRAINING")
        if kind == "f":
            gone = threading.Event()
            if context.add_callback(gone.set):
                gone.wait()
        sent = {} if kind != "a" else dict(context.invocation_metadata())
        tags = {key: value for key, value in sent.items() if isinstance(value, str)}
        return GetRunResponse(run=Run(run_id=request.run_id, tags=tags))

    def _fail(self, context: grpc.ServicerContext, reason: str) -> NoReturn:
        code = grpc.StatusCode[CODE_OF_REASON[reason]]
        info = ErrorInfo(
            domain="runwire.v1", reason=reason, metadata={"field": "äöü", "reason": reason}
        )
        details = [info]
        if reason in RETRIED:
            details.append(RetryInfo(retry_delay=Duration(nanos=RETRY_AFTER_MS * 1_000_000)))
        status = Status(code=code.value[0], message=f"{reason} ✓")
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        trailers = (("grpc-status-details-bin", status.SerializeToString()),)
        context.abort_with_status(cast(grpc.Status, Failure(code, status.message, trailers)))


class Failure(NamedTuple):
    """What grpc.Status asks for."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


class WebAnswers:
    """As much of an ``App`` as an ``Edge`` asks for."""

    def __init__(self) -> None:
        self.drain = threading.Event()

    def register(self, server: Any) -> None:
        add_RunServiceServicer_to_server(Answers(), server)  # type: ignore[abstract]


@contextmanager
def answering_on_the_web() -> Iterator[str]:
    """The URI of a web port, for pages of every origin."""
    settings = Settings(cors_origins="*")
    pools, answers = Pools(settings), WebAnswers()
    edge = Edge(cast(App, answers), pools)
    server = WebServer(Guard(edge, settings), "127.0.0.1", 0)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        answers.drain.set()
        server.stop()
        pools.close()


@contextmanager
def answering(credentials: grpc.ServerCredentials | None = None) -> Iterator[str]:
    """Its URI; with credentials over TLS."""
    server = grpc.server(ThreadPoolExecutor(8))
    add_RunServiceServicer_to_server(Answers(), server)  # type: ignore[abstract]
    if credentials is None:
        uri = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    else:
        uri = f"grpcs://localhost:{server.add_secure_port('localhost:0', credentials)}"
    server.start()
    try:
        yield uri
    finally:
        server.stop(None).wait()
