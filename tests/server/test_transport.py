"""The ports: bounds, health, drain, probes, discovery, workers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import backends
import grpc
import pytest
from drills.balancer import Balancer
from drills.processes import eventually, workers_of
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from runwire.v1.registry_service_pb2 import CreateModelRequest, WatchModelsRequest
from runwire.v1.registry_service_pb2_grpc import RegistryServiceStub
from runwire.v1.run_service_pb2 import CreateRunRequest, GetRunRequest
from runwire.v1.run_service_pb2_grpc import RunServiceStub
from runwire.v1.server_service_pb2 import GetServerInfoRequest
from runwire.v1.server_service_pb2_grpc import ServerServiceStub
from runwire_server import transport
from runwire_server.__main__ import stop_on
from runwire_server.app import SERVICE_NAMES, App
from runwire_server.limits import LIMITS
from runwire_server.settings import Settings
from runwire_server.transport import GrpcServer


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(f"sqlite:///{tmp_path / 'x.db'}", str(tmp_path / "blobs"))
    yield made
    made.close()


@contextlib.contextmanager
def _served(app: App, **settings: Any) -> Iterator[tuple[GrpcServer, grpc.Channel]]:
    server = GrpcServer(app, Settings(grpc_port=0, **settings))
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield server, channel
    server.stop(grace_s=1.0)


def test_health_and_reflection_name_every_service(app: App) -> None:
    with _served(app) as (_, channel):
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", *SERVICE_NAMES):
            request = health_pb2.HealthCheckRequest(service=name)
            assert health.Check(request).status == health_pb2.HealthCheckResponse.SERVING
        asked = reflection_pb2.ServerReflectionRequest(list_services="*")
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        answer = next(iter(stub.ServerReflectionInfo(iter([asked]))))
        assert set(SERVICE_NAMES) <= {each.name for each in answer.list_services_response.service}


def test_message_of_100_mb_is_refused_and_the_server_lives(app: App) -> None:
    with _served(app) as (_, channel):
        stub = RunServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetRun(GetRunRequest(run_id="x" * 100_000_000))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert stub.CreateRun(CreateRunRequest()).run.run_id


def test_calls_beyond_the_pool_are_refused_with_retry_info(app: App) -> None:
    release, entered = threading.Event(), threading.Semaphore(0)

    def wait() -> dict[str, str]:
        entered.release()
        release.wait(120)
        return {}

    app.server_service.info = wait  # type: ignore[method-assign, assignment]
    with _served(app, unary_threads=1) as (_, channel):
        info = ServerServiceStub(channel).GetServerInfo
        calls = [info.future(GetServerInfoRequest(), timeout=120)]
        assert entered.acquire(timeout=120)  # the only thread is taken
        calls += [info.future(GetServerInfoRequest(), timeout=120) for _ in range(40)]
        # Some end while the only thread is still taken.
        refused = eventually(lambda: [call for call in calls if call.done()], "some are refused")
        release.set()
        for call in calls:
            call.exception(timeout=120)
        assert refused[0].code() is grpc.StatusCode.UNAVAILABLE
        trailer = dict(refused[0].trailing_metadata())["grpc-status-details-bin"]
        assert b"OVERLOADED" in trailer
        assert b"RetryInfo" in trailer


def test_streams_beyond_the_pool_are_refused_and_never_wait_for_others_to_end(app: App) -> None:
    with _served(app, stream_threads=3) as (_, channel):
        watch = RegistryServiceStub(channel).WatchModels
        streams = [watch(WatchModelsRequest()) for _ in range(3)]
        for stream in streams:
            assert next(stream).HasField("mark")
        with pytest.raises(grpc.RpcError) as caught:
            next(watch(WatchModelsRequest()))
        trailing: Any = caught.value.trailing_metadata()
        assert b"OVERLOADED" in dict(trailing)["grpc-status-details-bin"]
        ServerServiceStub(channel).GetServerInfo(GetServerInfoRequest())
        streams[0].cancel()
        assert eventually(lambda: _is_told(watch), "another takes its place")
        for stream in streams:
            stream.cancel()


def _is_told(watch: Any) -> bool:
    stream = watch(WatchModelsRequest())
    try:
        return bool(next(stream).HasField("mark"))
    except grpc.RpcError:
        return False
    finally:
        stream.cancel()


def test_five_hundred_watchers_of_one_server_are_all_told(app: App) -> None:
    with _served(app) as (_, channel), ThreadPoolExecutor(500) as pool:
        stub = RegistryServiceStub(channel)
        streams = [stub.WatchModels(WatchModelsRequest()) for _ in range(500)]
        assert all(next(stream).HasField("mark") for stream in streams)
        stub.CreateModel(CreateModelRequest(name="fraud"))
        told = list(pool.map(_news, streams))
        assert {event.model.name for event in told} == {"fraud"}
        for stream in streams:
            stream.cancel()


def _news(stream: Any) -> Any:
    return next(event for event in stream if not event.HasField("mark"))


def test_drain_says_so_and_lets_calls_finish(app: App) -> None:
    entered = threading.Event()
    original = app.server_service.info

    def slow() -> Any:
        entered.set()
        app.drain.wait(120)  # answers only once the drain has begun
        return original()

    app.server_service.info = slow  # type: ignore[method-assign]
    server = GrpcServer(app, Settings(grpc_port=0))
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = ServerServiceStub(channel).GetServerInfo.future(GetServerInfoRequest())
        assert entered.wait(120)
        server.stop(grace_s=60)
        assert call.result(timeout=120).limits == LIMITS


def test_drain_does_not_wait_for_those_who_watch_health(app: App) -> None:
    server = GrpcServer(app, Settings(grpc_port=0))
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        server.stop(grace_s=1000)
        told = [each.status for each in watch]
    assert told == [health_pb2.HealthCheckResponse.NOT_SERVING]


def test_connections_are_renewed_and_every_call_taken_is_answered(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    young = [("grpc.max_connection_age_ms", 100), ("grpc.max_connection_age_grace_ms", 60_000)]
    monkeypatch.setattr(transport, "OPTIONS", young)
    original, taken, answered = app.server_service.info, 0, 0

    def counted() -> Any:
        nonlocal taken
        taken += 1
        return original()

    app.server_service.info = counted  # type: ignore[method-assign]
    server = GrpcServer(app, Settings(grpc_port=0))
    server.start()
    once = [("grpc.enable_retries", 0)]
    with (
        Balancer(server.port) as balancer,
        grpc.insecure_channel(balancer.uri.removeprefix("grpc://"), once) as channel,
    ):
        info = ServerServiceStub(channel).GetServerInfo
        while len(balancer.given) < 4:
            # One that meets the farewell of its connection is refused before it is taken.
            with contextlib.suppress(grpc.RpcError):
                info(GetServerInfoRequest(), timeout=120)
                answered += 1
    server.stop(grace_s=1)
    assert taken == answered > 0


def test_port_in_use_is_said_plainly(app: App) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(grpc_port=taken.getsockname()[1])
        with pytest.raises(OSError, match="is the port in use"):
            GrpcServer(app, settings)


@contextlib.contextmanager
def _process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    command = [sys.executable, "-m", "runwire_server", "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield server, server.stdout.readline().split()[3:]
        finally:
            if server.poll() is None:
                server.kill()


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=120) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_web_port_answers_probes_counters_and_discovery(tmp_path: Path) -> None:
    with _process() as (server, (grpc_uri, web)):
        with grpc.insecure_channel(grpc_uri.removeprefix("grpc://")) as channel:
            RunServiceStub(channel).CreateRun(CreateRunRequest())
        assert _get(f"{web}/livez") == (200, "ok\n")
        assert json.loads(_get(f"{web}/readyz")[1]) == {"ready": True, "problems": {}}
        pattern = r'runwire_calls_total\{code="OK",method="RunService/CreateRun"\} 1\.0'
        assert re.search(pattern, _get(f"{web}/metrics")[1])
        about = json.loads(_get(f"{web}/api/v1/server")[1])
        assert grpc_uri.endswith(about["grpc_endpoint"])
        assert _get(f"{web}/nonsense")[0] == 404
        server.send_signal(signal.SIGTERM)
        assert server.wait(120) == 0


def test_readyz_names_what_is_missing(tmp_path: Path) -> None:
    with _process() as (_, (_, web)):
        for blobs in Path("runwire-data").glob("blobs*"):
            blobs.rename(tmp_path / "moved")
        (Path("runwire-data") / "blobs").write_text("a file where the folder was")
        status, body = _get(f"{web}/readyz")
        assert status == 503
        assert "artifacts" in json.loads(body)["problems"]


def test_server_that_cannot_start_says_why_in_one_line() -> None:
    with _process("--backend-store-uri", "sqlite:////proc/nowhere/x.db") as (server, ready):
        assert ready == []
        assert server.wait(120) == 1
        assert server.stderr is not None
        errors = server.stderr.read()
        assert "cannot start" in errors
        assert "Traceback" not in errors


def test_signal_that_comes_while_the_wait_begins_ends_it() -> None:
    stop = threading.Event()
    condition: Any = stop._cond  # type: ignore[attr-defined]

    def release() -> None:  # the wait holds the event's lock here
        os.kill(os.getpid(), signal.SIGTERM)
        condition._lock.release()

    before = signal.getsignal(signal.SIGTERM)
    stop_on(stop, signal.SIGTERM)
    condition._release_save = release
    try:
        assert stop.wait(120)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_workers_share_a_port_and_one_that_dies_is_replaced(
    postgres: backends.Postgres, tmp_path: Path
) -> None:
    with (
        postgres.database(tmp_path / "unused") as url,
        _process("--backend-store-uri", url, "--workers", "2") as (server, (uri, web)),
    ):
        target = uri.removeprefix("grpc://")
        run_ids = set()
        for _ in range(8):  # a connection each: the kernel spreads them
            with grpc.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                run_ids.add(RunServiceStub(channel).CreateRun(CreateRunRequest()).run.run_id)
        assert len(run_ids) == 8
        assert _counted(web) == 8
        victim = workers_of(server.pid)[0]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: len(set(workers_of(server.pid)) - {victim}) == 2, "it is replaced")
        with grpc.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            grpc.channel_ready_future(channel).result(timeout=120)
            request = GetRunRequest(run_id=run_ids.pop())
            assert (
                RunServiceStub(channel).GetRun(request, wait_for_ready=True, timeout=120).run.run_id
            )
        server.send_signal(signal.SIGTERM)
        assert server.wait(120) == 0


def _counted(web: str) -> int:
    pattern = r'runwire_calls_total\{code="OK",method="RunService/CreateRun"\} (\d+)'
    found = re.search(pattern, _get(f"{web}/metrics")[1])
    return int(found.group(1)) if found else 0
