"""Servers that misbehave as a test wants it, on a free port of loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import grpc
import runwire
from runwire.v1 import (
    metric_service_pb2_grpc,
    run_service_pb2_grpc,
    server_service_pb2_grpc,
)
from runwire.v1.metric_service_pb2 import ReadSeriesRequest, ReadSeriesResponse
from runwire.v1.run_pb2 import Run
from runwire.v1.run_service_pb2 import GetRunRequest, GetRunResponse
from runwire.v1.server_service_pb2 import GetServerInfoResponse
from runwire_server import errors
from runwire_server.interceptors import CallInterceptor

Script = list[BaseException | None]


class _Runs(run_service_pb2_grpc.RunServiceServicer):
    """Answers GetRun as its script says, one entry a call; then well."""

    def __init__(self, script: Script):
        self.script = script
        self.calls: list[dict[str, str]] = []

    def GetRun(self, request: GetRunRequest, context: grpc.ServicerContext) -> GetRunResponse:
        self.calls.append({str(k): str(v) for k, v in context.invocation_metadata() or ()})
        fault = self.script.pop(0) if self.script else None
        if fault is not None:
            raise fault
        return GetRunResponse(run=Run(run_id=request.run_id))

    def StopRun(self, request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "not yours")


class _Metrics(metric_service_pb2_grpc.MetricServiceServicer):
    """Reads ten responses, and is cut after each third."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.release = threading.Event()

    def ReadSeries(
        self, request: ReadSeriesRequest, context: grpc.ServicerContext
    ) -> Iterator[ReadSeriesResponse]:
        start = int(request.resume or b"0")
        self.starts.append(start)
        for number in range(start, 10):
            if number == start + 3:
                raise errors.Draining(0.0)
            yield ReadSeriesResponse(
                run_id="r",
                key="k",
                points=ReadSeriesResponse.Points(steps=[number], times_micros=[0], values=[0.5]),
                resume=b"%d" % (number + 1),
            )

    def StreamBatches(self, requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        context.add_callback(self.release.set)
        self.release.wait(120)
        yield from ()


class _Info(server_service_pb2_grpc.ServerServiceServicer):
    """Takes its time: until the caller has gone, where it is given that event."""

    def __init__(self, gone: threading.Event | None = None) -> None:
        self._gone = gone

    def GetServerInfo(self, request: Any, context: grpc.ServicerContext) -> GetServerInfoResponse:
        if self._gone:
            self._gone.wait(120)
        return GetServerInfoResponse(version="slow")


# The generated base classes are abstract, and these answer one method each.
Runs, Metrics, Info = cast(Any, _Runs), cast(Any, _Metrics), cast(Any, _Info)
ADDERS: dict[type, Any] = {
    _Runs: run_service_pb2_grpc.add_RunServiceServicer_to_server,
    _Metrics: metric_service_pb2_grpc.add_MetricServiceServicer_to_server,
    _Info: server_service_pb2_grpc.add_ServerServiceServicer_to_server,
}


@contextmanager
def serving(*servicers: Any, typed_errors: bool = True, port: int = 0) -> Iterator[str]:
    interceptors: list[grpc.ServerInterceptor] = [CallInterceptor()] if typed_errors else []
    server = grpc.server(ThreadPoolExecutor(8), interceptors=interceptors)
    for servicer in servicers:
        ADDERS[type(servicer)](servicer, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@contextmanager
def calling(*servicers: Any, **options: Any) -> Iterator[runwire.Client]:
    with serving(*servicers) as uri, runwire.Client(uri, **options) as client:
        yield client
