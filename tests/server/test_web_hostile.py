"""Whatever bytes come to the web port, the answer is a typed error, and the server lives on."""

from __future__ import annotations

import base64
import functools
import gzip
import json
import logging
import socket
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import hypothesis
import pytest
from drills.processes import eventually
from google.protobuf import json_format
from hypothesis import strategies as st
from memory import holds_less_than
from runwire.v1.error_pb2 import ErrorReason
from runwire_server.app import App
from runwire_server.limits import LIMITS
from runwire_server.web import body as web_body

from server import hostile
from server.web_client import (
    DIALECTS,
    Response,
    WebError,
    ask,
    connect_error,
    frame,
    frames,
    grpc_error,
    plain_text,
    web_port,
)

GET_RUN = "/runwire.v1.RunService/GetRun"
LOG = "/runwire.v1.MetricService/LogBatch"
READ = "/runwire.v1.MetricService/ReadSeries"
SINGLE = ("application/json", "application/proto")
STREAMED = ("application/connect+json", "application/connect+proto")
GRPC_WEB = (
    *("application/grpc-web", "application/grpc-web+proto", "application/grpc-web+json"),
    *("application/grpc-web-text", "application/grpc-web-text+proto"),
)
GENERATED = hypothesis.settings(max_examples=100)
LIMIT = LIMITS.max_message_bytes


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("web")
    app = App(f"sqlite:///{folder / 'x.db'}", str(folder / "blobs"), pool_size=4)
    with closing(app), web_port(app) as found:
        yield found


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No thread and no task of the server met what it did not expect."""
    yield
    assert not [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]


def _error(answer: Response, content_type: str) -> WebError | None:
    """The error that a response tells, in the words of its protocol; None for a success."""
    if content_type in SINGLE:
        return None if answer.status == 200 else connect_error(json.loads(answer.body))
    assert answer.status == 200
    body = plain_text(answer.body) if "text" in content_type else answer.body
    flags, end = frames(body)[-1]
    if content_type in STREAMED:
        assert flags == 2
        error = json.loads(end).get("error")
        return connect_error(error) if error else None
    assert flags == 0x80
    trailers = dict(line.split(": ", 1) for line in end.decode().strip().split("\r\n"))
    return None if trailers["grpc-status"] == "0" else grpc_error(trailers)


def _check(port: int, path: str, content_type: str, body: bytes, **headers: Any) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = ask(port, path, body, {"content-type": content_type} | named)
    error = _error(answer, content_type)
    if error is not None and error.code != "DEADLINE_EXCEEDED":  # which gRPC says without details
        assert error.code not in ("INTERNAL", "UNKNOWN"), error
        assert f"ERROR_REASON_{error.info.reason}" in ErrorReason.keys()  # noqa: SIM118
        assert "Traceback" not in error.message


_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(["runId", "writerId", "series", "batch", "sequence", "frames", "values"])
_BODIES = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(_NAMES, _JSON, max_size=4).map(lambda one: json.dumps(one).encode()),
    st.builds(frame, st.integers(0, 255), st.binary(max_size=40)),
    st.builds(frame, st.integers(0, 3), st.binary().map(gzip.compress)),
    st.builds(lambda data: base64.b64encode(frame(0, data)), st.binary(max_size=40)),
    st.builds(lambda data, cut: frame(0, data)[:cut], st.binary(max_size=40), st.integers(0, 40)),
)  # fmt: skip
_HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("content_encoding", "connect_content_encoding", "grpc_encoding", "accept_encoding"),
            *("connect_timeout_ms", "grpc_timeout", "connect_protocol_version", "x_bin"),
        ]
    ),
    st.sampled_from(["gzip", "br", "identity", "", "1", "\xff", "9" * 40, "1S", "YQ", "%00", ","]),
    max_size=3,
)  # fmt: skip


@pytest.mark.parametrize("content_type", [*SINGLE, *GRPC_WEB])
def test_any_bytes_get_an_answer_or_a_typed_error(content_type: str, port: int) -> None:
    @GENERATED
    @hypothesis.given(_BODIES, _HEADERS)
    def check(body: bytes, headers: dict[str, str]) -> None:
        _check(port, LOG, content_type, body, **headers)

    check()


@pytest.mark.parametrize("content_type", [*STREAMED, *GRPC_WEB])
def test_any_bytes_of_a_stream_get_an_answer_or_a_typed_error(content_type: str, port: int) -> None:
    @GENERATED
    @hypothesis.given(_BODIES, _HEADERS)
    def check(body: bytes, headers: dict[str, str]) -> None:
        _check(port, READ, content_type, body, **headers)

    check()


@pytest.mark.parametrize("path", hostile.UNARY)
def test_any_request_in_json_gets_an_answer_or_a_typed_error(path: str, port: int) -> None:
    @hypothesis.settings(max_examples=15, phases=[hypothesis.Phase.generate])
    @hypothesis.given(hostile.messages(hostile.METHODS[path].input_type))
    def check(request: Any) -> None:
        try:
            body = DIALECTS["connect-json"].encode(request)
        except json_format.SerializeToJsonError:
            return  # a time, say, that only binary can hold
        _check(port, path, "application/json", body)

    check()


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "1", '"x"', "{", "{}{}", "{'runId': 1}", '{"runId": null}', "{1: 2}",
        '{"runId": "\\ud800"}', '{"runId": "a", "runId": "b"}', '{"view": 99999999999999999999}',
        '{"view": "NOPE"}', '{"view": 1e400}', "[" * 100_000, '{"a":' * 100_000, "NaN", "\x00",
        '{"runId": ' + "9" * 10_000 + "}", "\ufeff{}", '{"@type": "x"}',
    ],
)  # fmt: skip
def test_json_that_is_no_request_is_refused(text: str, port: int) -> None:
    answer = ask(port, GET_RUN, text.encode(), {"content-type": "application/json"})
    assert answer.status == 400
    assert json.loads(answer.body)["details"][0]["debug"]["reason"] == "FIELD_INVALID"


@functools.cache
def _bomb() -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    zeros = bytes(1 << 20)
    return b"".join(packer.compress(zeros) for _ in range(100)) + packer.flush()


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("application/json", {"content-encoding": "gzip"}),
        ("application/connect+json", {"connect-content-encoding": "gzip"}),
        ("application/grpc-web+proto", {"grpc-encoding": "gzip"}),
    ],
)
def test_small_body_that_unpacks_to_very_much_is_refused_before_it_does(
    kind: str, headers: dict[str, str], port: int
) -> None:
    bomb = _bomb()
    assert len(bomb) < LIMIT
    body = bomb if kind == "application/json" else frame(1, bomb)
    path = READ if "connect+" in kind else GET_RUN

    def send() -> None:
        error = _error(ask(port, path, body, {"content-type": kind} | headers), kind)
        assert error is not None
        assert (error.code, error.info.reason) == ("RESOURCE_EXHAUSTED", "TOO_LARGE")

    holds_less_than(8 * LIMIT, send)


def test_message_said_to_be_larger_than_allowed_is_refused_unread(port: int) -> None:
    for flags_and_size in (b"\x00\xff\xff\xff\xff", b"\x00" + (LIMIT + 1).to_bytes(4, "big")):
        kind = "application/connect+proto"
        error = _error(ask(port, READ, flags_and_size, {"content-type": kind}), kind)
        assert error is not None
        assert error.info.reason == "TOO_LARGE"
    with _sent(port, f"content-length: {10**12}\r\n") as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 429")


def test_body_without_an_end_is_refused_when_it_is_too_large(port: int) -> None:
    with _sent(port, "transfer-encoding: chunked\r\n") as connection:
        chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        for _ in range(LIMIT // (1 << 20) + 1):
            connection.sendall(chunk)
        assert connection.recv(1000).startswith(b"HTTP/1.1 429")


def test_body_that_comes_too_slowly_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_body, "BODY_S", 0.2)
    with _sent(port, "content-length: 10\r\n") as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")


def test_bodies_of_all_calls_together_take_no_more_than_they_may(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_body, "MAX_HELD_BYTES", 1000)
    headers = {"content-type": "application/json"}

    def refused(body: bytes) -> bool:
        return ask(port, GET_RUN, body, headers).status == 503

    small, half = b"{}", b" " * 500
    with _sent(port, "content-length: 1000\r\n", half):
        # As soon as they are in, there is no room for as many again, and for a small one there is.
        eventually(lambda: refused(half + small), "the bytes of the first count")
        error = json.loads(ask(port, GET_RUN, half + small, headers).body)
        assert connect_error(error).info.reason == "OVERLOADED"
        assert not refused(small)
    eventually(lambda: not refused(half + small), "they count no more")
    for _ in range(10):  # nor do those of calls that were answered
        assert not refused(half + small)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00" * 100,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 200_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 50_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
    ],
    ids=range(11),
)
def test_what_is_no_http_is_refused_and_the_server_lives(raw: bytes, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        try:
            connection.sendall(raw)
            answer = connection.recv(1000)
        except ConnectionError:
            answer = b""
        assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 405")
    assert ask(port, "/livez").status == 200


def test_caller_that_leaves_in_the_middle_of_its_request_is_forgotten(port: int) -> None:
    for length in (0, 1, 5):
        _sent(port, "content-length: 10\r\n", b"{" * length).close()
    assert ask(port, "/livez").status == 200


def _sent(port: int, headers: str, body: bytes = b"") -> socket.socket:
    """A connection on which a request has begun."""
    opened = socket.create_connection(("127.0.0.1", port), timeout=120)
    head = f"POST {GET_RUN} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    opened.sendall(f"{head}{headers}\r\n".encode() + body)
    return opened


def test_metadata_of_bytes_must_be_base64(port: int) -> None:
    headers = {"content-type": "application/json", "x-bin": "not base64!"}
    error = json.loads(ask(port, GET_RUN, b"{}", headers).body)
    assert error["details"][0]["debug"]["metadata"]["field"] == "x-bin"


def test_body_in_a_hundred_thousand_parts_is_put_together(port: int) -> None:
    body = b'{"runId": "%s"}' % (b"0" * 100_000)
    with _sent(port, "transfer-encoding: chunked\r\n") as connection:
        connection.sendall(b"".join(b"1\r\n%c\r\n" % one for one in body) + b"0\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")


def test_name_of_no_method_reaches_neither_log_nor_counters(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "runwire.calls")
    answer = ask(port, "/runwire.v1.X/a%0Ab", b"{}", {"content-type": "application/json"})
    assert answer.status == 501
    assert not caplog.records
