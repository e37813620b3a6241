"""What gRPC itself does with the chunks of a large file: no hash, no disk, no checksum.

Messages, stubs and grpcio are ours; all that is left out is what Runwire does with the
bytes. Run as a program, this is the server: it prints its port.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from runwire.v1.artifact_service_pb2 import (
    DownloadArtifactRequest,
    DownloadArtifactResponse,
    UploadBlobRequest,
    UploadBlobResponse,
)
from runwire.v1.artifact_service_pb2_grpc import (
    ArtifactServiceServicer,
    ArtifactServiceStub,
    add_ArtifactServiceServicer_to_server,
)

from benchmarks.work import cpu_s

MIB = 1 << 20
CHUNK_BYTES = MIB


def measure(total: int) -> dict[str, float]:
    """Seconds up and down, and the CPU time of both sides."""
    command = [sys.executable, "-m", "benchmarks.bare_stream"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().strip() if server.stdout else ""
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                return _both_ways(ArtifactServiceStub(channel), total, server.pid)
        finally:
            server.terminate()


def _both_ways(stub: ArtifactServiceStub, total: int, server: int) -> dict[str, float]:
    ways: dict[str, Callable[[int], None]] = {
        "up": lambda size: _exhaust(stub.UploadBlob(_requests(size))),
        "down": lambda size: _exhaust(stub.DownloadArtifact(DownloadArtifactRequest(limit=size))),
    }
    found = {}
    for name, run in ways.items():
        run(4 * MIB)
        start, cpu = time.perf_counter(), _cpu_s(server)
        run(total)
        found[f"bare {name}, s"] = time.perf_counter() - start
        found[f"bare {name}, cpu"] = _cpu_s(server) - cpu
    return found


def _cpu_s(server: int) -> float:
    """Of both sides."""
    return cpu_s(server) + time.process_time()


def _requests(total: int) -> Iterator[UploadBlobRequest]:
    data = bytes(CHUNK_BYTES)
    for offset in range(0, total, CHUNK_BYTES):
        request = UploadBlobRequest()
        request.chunk.offset, request.chunk.data = offset, data
        yield request


def _exhaust(messages: Any) -> None:
    """The bytes themselves too: each reading of ``data`` is a copy."""
    for message in messages:
        _ = message.chunk.data if isinstance(message, DownloadArtifactResponse) else message


class BareService(ArtifactServiceServicer):
    def UploadBlob(self, requests: Any, context: Any) -> Iterator[UploadBlobResponse]:
        for request in requests:
            _ = request.chunk.data
        yield UploadBlobResponse()

    def DownloadArtifact(
        self, request: DownloadArtifactRequest, context: Any
    ) -> Iterator[DownloadArtifactResponse]:
        data = bytes(CHUNK_BYTES)
        for offset in range(0, request.limit, CHUNK_BYTES):
            response = DownloadArtifactResponse()
            response.chunk.offset, response.chunk.data = offset, data
            yield response


def _serve() -> None:
    server = grpc.server(ThreadPoolExecutor(2))
    add_ArtifactServiceServicer_to_server(BareService(), server)  # type: ignore[abstract]
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    _serve()
