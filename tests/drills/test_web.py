"""The web port of servers that are killed, started again, and several in one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPException
from pathlib import Path

import backends
import grpc
import pytest
from ports import lasting_port
from runwire.v1.registry_service_pb2 import CreateModelVersionRequest
from runwire.v1.registry_service_pb2_grpc import RegistryServiceStub
from runwire.v1.run_service_pb2 import CreateRunRequest, GetRunRequest
from server.web_client import DIALECTS, Stream, ask

from drills.processes import ServerProcess, eventually, server_process

WATCH = "/runwire.v1.RegistryService/WatchModels"
CREATE_VERSION = "/runwire.v1.RegistryService/CreateModelVersion"
CREATE_RUN = "/runwire.v1.RunService/CreateRun"
GET_RUN = "/runwire.v1.RunService/GetRun"
BINARY, WEB = DIALECTS["connect-proto"], DIALECTS["grpc-web"]


@contextmanager
def _server(backend: backends.Backend, *arguments: str) -> Iterator[tuple[ServerProcess, int]]:
    """A server that is started, and its web port."""
    port = lasting_port()
    with server_process(backend, "--port", str(port), *arguments) as server:
        server.start()
        yield server, port


def _publish(port: int) -> None:
    request = CreateModelVersionRequest(model="m", source_uri="s3://x/y", create_model=True)
    BINARY.call(port, CREATE_VERSION, request)


class Watcher:
    """Goes on from the last revision, as a page in a browser does."""

    def __init__(self, port: int):
        self._port = port
        self.versions: list[str] = []
        self._revision = "0"

    def follow(self, versions: int) -> None:
        """Until so many are known. Raises ConnectionError where the server goes away."""
        request = {"afterRevision": self._revision}
        with closing(Stream(self._port, WATCH, request)) as stream:
            while len(self.versions) < versions:
                flags, told = stream.next()
                assert not flags, told
                self._revision = told.get("revision", self._revision)
                if told.get("change", {}).get("kind") == "KIND_VERSION_CREATED":
                    self.versions.append(told["change"]["version"])


def test_watcher_goes_on_where_it_was_when_its_server_is_killed(backend: backends.Backend) -> None:
    with _server(backend) as (server, port):
        watcher = Watcher(port)
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(watcher.follow, 10)
            for _ in range(3):
                _publish(port)
            eventually(lambda: len(watcher.versions) == 3, "it hears of three")
            server.kill()
            with pytest.raises(ConnectionError):
                following.result(120)
            server.start()
            for _ in range(3):
                _publish(port)
            watcher.follow(6)
        assert watcher.versions == ["1", "2", "3", "4", "5", "6"]


def test_what_was_acknowledged_is_there_after_a_kill_in_the_middle(
    backend: backends.Backend,
) -> None:
    acknowledged: list[str] = []

    def is_made(request: CreateRunRequest) -> bool:
        try:
            return bool(BINARY.call(port, CREATE_RUN, request))
        except (OSError, HTTPException):  # it is away, or went in the middle
            return False

    def make(number: int) -> None:
        for count in range(50):
            request = CreateRunRequest()
            request.run.run_id = f"{number:016x}{count:016x}"
            eventually(lambda request=request: is_made(request), "it is made")  # type: ignore[misc]
            acknowledged.append(request.run.run_id)

    with _server(backend) as (server, port), ThreadPoolExecutor(8) as pool:
        making = [pool.submit(make, number) for number in range(8)]
        for least in (50, 200):
            eventually(lambda least=least: len(acknowledged) > least, "some are made")  # type: ignore[misc]
            server.kill()
            server.start()
        for one in making:
            one.result(120)
        assert len(set(acknowledged)) == 400
        for run_id in acknowledged:
            assert WEB.call(port, GET_RUN, GetRunRequest(run_id=run_id))


def test_web_port_of_several_workers_is_a_server_beside_them(
    postgres: backends.Postgres, tmp_path: Path
) -> None:
    with postgres.database(tmp_path / "unused") as url:
        backend = backends.Backend("postgres", url, str(tmp_path / "blobs"), "grpc")
        with _server(backend, "--workers", "2") as (server, port):
            with (
                grpc.insecure_channel(server.uri.removeprefix("grpc://")) as channel,
                closing(Stream(port, WATCH)) as stream,
            ):
                request = CreateModelVersionRequest(
                    model="m", source_uri="s3://x/y", create_model=True
                )
                RegistryServiceStub(channel).CreateModelVersion(request)
                while "change" not in stream.next()[1]:
                    pass
            _publish(port)
            page = ask(port, "/metrics").body.decode()
            assert 'code="OK",method="RegistryService/CreateModelVersion"} 2.0' in page
