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
from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from runwire._errors import _CODE_OF_REASON as CODE_OF_REASON
from runwire.v1.error_pb2 import ErrorReason
from runwire.v1.run_pb2 import Run
from runwire.v1.run_service_pb2 import GetRunRequest, GetRunResponse
from runwire.v1.run_service_pb2_grpc import RunServiceServicer, add_RunServiceServicer_to_server

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
            context.add_callback(gone.set)
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
            packed = Any()
            packed.Pack(detail)
            status.details.append(packed)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, status.message)


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
