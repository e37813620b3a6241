"""Deadlines, retries, errors and streams of calls, against servers that misbehave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import runwire
from ports import lasting_port
from runwire import _call
from runwire._call import Caller
from runwire._connect import connect
from runwire.v1 import metric_service_pb2_grpc, run_service_pb2_grpc
from runwire.v1.metric_service_pb2 import ReadSeriesRequest
from runwire_server import errors

from client.misbehaving import Info, Metrics, Runs, calling, serving


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each wait between attempts was to be; none of them waits."""
    taken: list[float] = []
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=taken.append)
    monkeypatch.setattr("runwire._call.time", clock)
    return taken


# Errors -----------------------------------------------------------------------------------


def test_error_over_a_socket_has_reason_and_metadata() -> None:
    runs = Runs([errors.NotFound("run", "x")])
    with calling(runs) as client, pytest.raises(runwire.NotFoundError) as caught:
        client.runs.get("x")
    assert str(caught.value) == "no run 'x'"
    assert caught.value.reason == "NOT_FOUND"
    assert caught.value.metadata == {"kind": "run", "key": "x"}
    assert caught.value.code_name == "NOT_FOUND"


def test_code_without_details_becomes_its_class() -> None:
    with (
        serving(Runs([]), typed_errors=False) as uri,
        runwire.Client(uri) as client,
        pytest.raises(runwire.PermissionDeniedError, match="not yours"),
    ):
        client.runs.stop("x")


def test_driver_error_of_the_server_is_internal_and_tells_its_request_id() -> None:
    with (
        calling(Runs([ZeroDivisionError("secret")])) as client,
        pytest.raises(runwire.InternalError) as caught,
    ):
        client.runs.get("x")
    assert caught.value.reason == "INTERNAL"
    assert "secret" not in str(caught.value)
    assert caught.value.metadata["request_id"]


def test_method_that_the_server_lacks_is_unimplemented() -> None:
    with calling(Runs([])) as client, pytest.raises(runwire.UnimplementedError):
        client.experiments.get("0")


def test_100_mb_message_is_too_large() -> None:
    with calling(Runs([])) as client, pytest.raises(runwire.ResourceExhaustedError) as caught:
        client.runs.update("x", description="d" * 100_000_000)
    assert caught.value.reason == "TOO_LARGE"


def test_server_that_is_away_is_named_with_what_to_check(naps: list[float]) -> None:
    with (
        runwire.Client("grpc://127.0.0.1:1") as client,
        pytest.raises(runwire.UnavailableError) as caught,
    ):
        client.runs.get("x")
    assert "grpc://127.0.0.1:1" in str(caught.value)
    assert "5001" in str(caught.value)
    assert caught.value.reason == ""
    assert len(naps) == _call.ATTEMPTS - 1


def test_something_that_is_no_grpc_server_is_unavailable(naps: list[float]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_answer_http, args=(listener,), daemon=True).start()
        uri = f"grpc://127.0.0.1:{listener.getsockname()[1]}"
        with (
            runwire.Client(uri) as client,
            pytest.raises(runwire.UnavailableError, match="no Runwire server answers"),
        ):
            client.runs.get("x")


def _answer_http(listener: Any) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


# Deadlines and retries --------------------------------------------------------------------


def test_call_ends_at_its_deadline() -> None:
    gone = threading.Event()
    with calling(Info(gone), timeout_s=0.01) as client:
        with pytest.raises(runwire.DeadlineExceededError) as caught:
            client.server_info()
        gone.set()
    assert "did not answer in time" in str(caught.value)


def test_deadline_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWIRE_TIMEOUT_S", "7.5")
    assert Caller(connect("grpc://localhost")).timeout_s == 7.5
    monkeypatch.setenv("RUNWIRE_TIMEOUT_S", "soon")
    with pytest.raises(runwire.InvalidArgumentError, match="RUNWIRE_TIMEOUT_S"):
        Caller(connect("grpc://localhost"))


def test_passing_failure_is_tried_again_and_not_seen(naps: list[float]) -> None:
    runs = Runs([errors.Draining(0.5), errors.Overloaded(1.5)])
    with calling(runs) as client:
        assert client.runs.get("x").run_id == "x"
    assert len(runs.calls) == 3
    assert 0.5 <= naps[0] <= 0.5 + _call.FIRST_DELAY_S, "what RetryInfo asks for, and jitter"
    assert 1.5 <= naps[1] <= 1.5 + 2 * _call.FIRST_DELAY_S


def test_waiting_ends_with_the_patience_of_a_person(naps: list[float]) -> None:
    with (
        calling(Runs([errors.Overloaded(60)] * 9)) as client,
        pytest.raises(runwire.UnavailableError) as caught,
    ):
        client.runs.get("x")
    assert caught.value.reason == "OVERLOADED"
    assert naps == []


def test_waiting_ends_with_the_deadline(naps: list[float]) -> None:
    runs = Runs([errors.Overloaded(9.5)] * 9)
    with calling(runs, timeout_s=9.0) as client, pytest.raises(runwire.UnavailableError):
        client.runs.get("x")
    assert (len(runs.calls), naps) == (1, [])


@pytest.mark.parametrize(
    "fault",
    [
        errors.NotFound("run", "x"),
        errors.EtagMismatch("1"),
        errors.StorageUnavailable("the disk is full"),
        errors.TooLarge("f", 2, 1),
        ZeroDivisionError(),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_lasting_failure_is_told_at_once(fault: Exception, naps: list[float]) -> None:
    runs = Runs([fault])
    with calling(runs) as client, pytest.raises(runwire.RunwireError):
        client.runs.get("x")
    assert (len(runs.calls), naps) == (1, [])


def test_only_what_the_protos_call_idempotent_is_repeatable() -> None:
    with serving(Runs([])) as uri, closing(Caller(connect(uri))) as caller:
        metrics, runs = (
            metric_service_pb2_grpc.MetricServiceStub,
            run_service_pb2_grpc.RunServiceStub,
        )
        assert caller._method(runs, "GetRun").is_repeatable
        assert caller._method(runs, "CreateRun").is_repeatable
        assert not caller._method(metrics, "StreamBatches").is_repeatable


def _fails(call: Callable[[], object]) -> bool:
    with pytest.raises(runwire.UnavailableError):
        call()
    return True


def _within(seconds: float, call: Callable[[], str]) -> str:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except runwire.UnavailableError:
            if time.monotonic() > deadline:
                raise


def test_client_finds_a_server_again_that_came_back() -> None:
    port = lasting_port()
    with serving(Runs([]), port=port) as uri, runwire.Client(uri) as client:
        assert client.runs.get("x").run_id == "x"
    server = grpc.server(ThreadPoolExecutor(2))
    run_service_pb2_grpc.add_RunServiceServicer_to_server(Runs([]), server)
    with runwire.Client(uri) as client:
        assert _fails(lambda: client.runs.get("x"))
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        try:
            assert _within(60, lambda: client.runs.get("y").run_id) == "y"
        finally:
            server.stop(None).wait()


# What is sent -----------------------------------------------------------------------------


def test_call_tells_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWIRE_TOKEN", "s3cret")
    runs = Runs([])
    with calling(runs) as client:
        client.runs.get("x")
    (metadata,) = runs.calls
    assert metadata["runwire-client"] == f"python/{runwire.__version__}"
    assert metadata["user-agent"].startswith(f"runwire-python/{runwire.__version__} ")
    assert metadata["authorization"] == "Bearer s3cret"


# Streams ----------------------------------------------------------------------------------


def test_read_goes_on_after_each_cut_without_loss_or_repetition(naps: list[float]) -> None:
    metrics = Metrics()
    with calling(metrics) as client:
        read = client.metrics.read("r")["r", "k"]
    assert list(read.steps) == list(range(10))
    assert metrics.starts == [0, 3, 6, 9]


def test_stream_raises_typed_errors_while_it_is_read() -> None:
    with calling(Runs([]), Metrics()) as client:
        stream = client._caller.stream(
            metric_service_pb2_grpc.MetricServiceStub, "ReadSeries", ReadSeriesRequest()
        )
        assert [next(stream).resume for _ in range(3)] == [b"1", b"2", b"3"]
        with pytest.raises(runwire.UnavailableError) as caught:
            next(stream)
    assert caught.value.reason == "DRAINING"


def test_closed_stream_is_cancelled_at_the_server() -> None:
    metrics = Metrics()
    with calling(metrics) as client:
        stream = client.metrics.stream_batches(iter(()))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(next, stream, None)
            assert not waiting.done()
            metrics.release.set()
            assert waiting.result(timeout=120) is None


# Clients ----------------------------------------------------------------------------------


def test_client_can_be_pickled() -> None:
    import pickle

    with calling(Runs([])) as client, pickle.loads(pickle.dumps(client)) as copy:
        assert copy.tracking_uri == client.tracking_uri
        assert copy.runs.get("x").run_id == "x"


def test_closed_client_says_so() -> None:
    with calling(Runs([])) as client:
        pass
    with pytest.raises(runwire.RunwireError, match="is closed"):
        client.runs.get("x")
