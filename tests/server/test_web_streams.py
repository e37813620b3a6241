"""Streams over the web port: hung up on, left unread, refused, drained; and many at once."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from drills.processes import eventually
from runwire.v1.registry_service_pb2 import CreateModelRequest
from runwire.v1.run_service_pb2 import CreateRunRequest, GetRunRequest, WatchRunsRequest
from runwire.v1.server_service_pb2 import GetServerInfoRequest
from runwire_server.app import App
from runwire_server.services.metric import MetricService
from runwire_server.web import call as web_call

from server.web_client import DIALECTS, Stream, WebError, frame, frames, web_port

WATCH_RUNS = "/runwire.v1.RunService/WatchRuns"
WATCH_MODELS = "/runwire.v1.RegistryService/WatchModels"
READ = "/runwire.v1.MetricService/ReadSeries"
INFO = "/runwire.v1.ServerService/GetServerInfo"
CREATE_RUN = "/runwire.v1.RunService/CreateRun"
JSON = DIALECTS["connect-json"]
BINARY = DIALECTS["connect-proto"]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with closing(App(f"sqlite:///{tmp_path / 'x.db'}", str(tmp_path / "blobs"))) as made:
        yield made


def _threads(name: str) -> int:
    return len([one for one in threading.enumerate() if one.name.startswith(name)])


@pytest.mark.parametrize("path", [WATCH_RUNS, WATCH_MODELS])
def test_caller_that_hangs_up_leaves_its_place_to_others(path: str, app: App) -> None:
    with web_port(app, stream_threads=2) as port:
        open_ = [Stream(port, path) for _ in range(2)]
        for stream in open_:
            assert "mark" in stream.next()[1]
        with pytest.raises(WebError) as caught:
            JSON.call(port, path, WatchRunsRequest())
        assert (caught.value.code, caught.value.info.reason) == ("UNAVAILABLE", "OVERLOADED")
        assert caught.value.details[1].type_url.endswith("RetryInfo")
        open_.pop().close()
        assert eventually(lambda: _is_told(port, path), "another takes its place")
        open_.pop().close()


def _is_told(port: int, path: str) -> bool:
    with closing(Stream(port, path)) as stream:
        return "mark" in stream.next()[1]


def test_watcher_hears_what_happens_elsewhere(app: App) -> None:
    with web_port(app) as port, closing(Stream(port, WATCH_MODELS)) as stream:
        assert "mark" in stream.next()[1]
        model = CreateModelRequest(name="fraud")
        BINARY.call(port, "/runwire.v1.RegistryService/CreateModel", model)
        news = next(said for _, said in iter(stream.next, None) if "mark" not in said)
        assert news["model"]["name"] == "fraud"


class Endless:
    """A read that never ends, and knows how far it got."""

    def __init__(self) -> None:
        self.made, self.closed = 0, threading.Event()

    def __call__(self, *_: Any) -> Iterator[bytes]:
        try:
            while True:
                self.made += 1
                yield bytes([0x0A, 0x80, 0x80, 0x40]) + bytes(1 << 20)  # field 1, 1 MiB
        finally:
            self.closed.set()


def test_reader_that_stops_reading_holds_some_messages_and_no_more(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = Endless()
    monkeypatch.setattr(MetricService, "ReadSeries", endless)
    with web_port(app) as port:
        with _unread(port) as stalled:
            assert eventually(lambda: _threads("stream") == 1, "it is under way")
            assert eventually(lambda: _is_still(endless), "it waits for its reader")
            assert endless.made < 20
            assert not endless.closed.is_set()
            # Others are served meanwhile.
            assert BINARY.call(port, INFO, GetServerInfoRequest())
        assert stalled.fileno() == -1
        assert endless.closed.wait(120)


def _unread(port: int) -> socket.socket:
    """A call whose answer nobody reads, over a small window."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    opened.connect(("127.0.0.1", port))
    head = f"POST {READ} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/connect+proto\r\n"
    opened.sendall(f"{head}content-length: 5\r\n\r\n".encode() + frame(0, b""))
    return opened


def _is_still(endless: Endless) -> bool:
    before = endless.made
    return before > 0 and not endless.closed.wait(0.3) and endless.made == before


def test_reader_that_takes_nothing_for_long_is_given_up(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = Endless()
    monkeypatch.setattr(MetricService, "ReadSeries", endless)
    monkeypatch.setattr(web_call, "STALLED_S", 0.2)
    with web_port(app) as port, _unread(port):
        assert endless.closed.wait(120)


def test_deadline_ends_a_stream_with_its_status(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, release, closed = threading.Event(), threading.Event(), threading.Event()

    def wait(*_: Any) -> Iterator[bytes]:
        begun.set()
        try:
            yield b""
            release.wait(120)
            yield b""
        finally:
            closed.set()

    monkeypatch.setattr(MetricService, "ReadSeries", wait)
    with web_port(app) as port:
        with closing(Stream(port, READ, {}, {"connect-timeout-ms": "200"})) as stream:
            said = [stream.next()]
            while said[-1] == (0, {}):  # none, where a thread for it was late
                said.append(stream.next())
        flags, end = said[-1]
        assert (flags, end["error"]["code"]) == (2, "deadline_exceeded")
        assert len(said) <= 2
        release.set()
        assert not begun.is_set() or closed.wait(120)  # and its thread with it


def test_drain_tells_streams_to_go_on_elsewhere_and_lets_calls_finish(app: App) -> None:
    with web_port(app) as port:
        streams = [Stream(port, path) for path in (WATCH_RUNS, WATCH_MODELS)]
        for stream in streams:
            assert "mark" in stream.next()[1]
    for stream in streams:
        said = [stream.next()]
        while not said[-1][0] & 2:
            said.append(stream.next())
        details = said[-1][1]["error"]["details"]
        assert details[0]["debug"]["reason"] == "DRAINING"
        stream.close()


def test_call_under_way_gets_its_answer_while_the_server_drains(app: App) -> None:
    entered = threading.Event()
    original = app.server_service.info

    def slow() -> Any:
        entered.set()
        app.drain.wait(120)
        return original()

    app.server_service.info = slow  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        with web_port(app) as port:
            call = pool.submit(BINARY.call, port, INFO, GetServerInfoRequest())
            assert entered.wait(120)
        assert call.result(120)[0] == original()


def test_calls_beyond_the_pool_are_refused_with_retry_info(app: App) -> None:
    release, entered = threading.Event(), threading.Event()
    original = app.server_service.info

    def wait() -> Any:
        entered.set()
        release.wait(120)
        return original()

    app.server_service.info = wait  # type: ignore[method-assign]
    with web_port(app, unary_threads=1) as port, ThreadPoolExecutor(20) as pool:
        first = pool.submit(BINARY.call, port, INFO, GetServerInfoRequest())
        assert entered.wait(120)
        calls = [pool.submit(BINARY.call, port, INFO, GetServerInfoRequest()) for _ in range(12)]
        refused = eventually(lambda: [one for one in calls if one.done()], "some are refused")
        release.set()
        for one in refused:
            error = one.exception()
            assert isinstance(error, WebError)
            assert error.info.reason == "OVERLOADED"
        for one in set(calls) - set(refused):
            assert one.exception(120) is None or "too much to do" in str(one.exception())
        assert first.result(120)


def test_thirty_two_callers_at_once_all_get_their_own_answers(app: App) -> None:
    dialects = list(DIALECTS.values())

    def work(number: int) -> int:
        dialect, answered = dialects[number % len(dialects)], 0
        for count in range(20):
            request = CreateRunRequest()
            request.run.run_id = f"{number:016x}{count:016x}"
            request.run.name = f"{number}-{count}"
            dialect.call(port, CREATE_RUN, request)
            read = GetRunRequest(run_id=request.run.run_id)
            found: Any = dialect.call(port, "/runwire.v1.RunService/GetRun", read)[0]
            answered += found.run.name == f"{number}-{count}"
        return answered

    with web_port(app) as port, ThreadPoolExecutor(32) as pool:
        watchers = [Stream(port, WATCH_MODELS) for _ in range(32)]
        assert sum(pool.map(work, range(32))) == 32 * 20
        BINARY.call(port, "/runwire.v1.RegistryService/CreateModel", CreateModelRequest(name="m"))
        for watcher in watchers:
            told = watcher.next()[1]
            while "model" not in told:
                told = watcher.next()[1]
            watcher.close()


def test_one_connection_carries_many_calls_one_after_the_other(app: App) -> None:
    with (
        web_port(app) as port,
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection,
    ):
        opened = None
        for path, kind in ((INFO, "application/json"), (READ, "application/connect+json")) * 3:
            body = b"{}" if path == INFO else frame(0, b"{}")
            connection.request("POST", path, body, {"content-type": kind})
            answer = connection.getresponse()
            assert answer.status == 200
            data = answer.read()
            assert path == INFO or frames(data)[-1][0] == 2
            opened = opened or connection.sock
            assert connection.sock is opened
