"""No request, however wild, gets more than an answer or a typed error out of a server."""

from __future__ import annotations

import base64
import logging
import urllib.parse
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import hypothesis
import pytest
from google.protobuf import message_factory
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import strategies as st
from runwire.v1.error_pb2 import ErrorReason
from runwire.v1.metric_pb2 import MetricBatch
from runwire.v1.metric_service_pb2 import LogBatchRequest
from runwire.v1.run_service_pb2 import GetRunRequest
from runwire_server.app import App
from runwire_server.inprocess import InProcessServer
from runwire_server.interceptors import CallInterceptor
from runwire_server.limits import LIMITS
from runwire_server.store.database import Database

from server import hostile

EXAMPLES = 30
LONG_LIST = 70_000  # past the bound values that either database takes
MAX_RESPONSES = 200
# Calls that end at their deadline only.
ENDLESS = ("/runwire.v1.MetricService/TailSeries", "/runwire.v1.RunService/WatchRuns")
ENDLESS_S = 0.1
# What the trailers of a call may take together: more, and the caller sees another error.
MAX_TRAILER_BYTES = 8000
LEAKS = ("Traceback", 'File "', "SELECT ", "INSERT INTO", "UPDATE runs", "sqlite3.", "psycopg")

# Each call changes what is stored, so a failed example cannot be played again to shrink it.
GENERATED = hypothesis.settings(max_examples=EXAMPLES, phases=[hypothesis.Phase.generate])


class Caller:
    """Calls by path, as a client in any language could make them."""

    def __init__(self, app: App):
        server = InProcessServer([CallInterceptor()])
        app.register(server)
        self._channel = server.channel

    def __call__(self, path: str, request: Any) -> Any:
        """The responses, as a list."""
        method = hostile.METHODS[path]
        call = self._channel.unary_unary(
            path,
            lambda message: message.SerializeToString(),
            message_factory.GetMessageClass(method.output_type).FromString,
        )
        answer = call(request, timeout=ENDLESS_S if path in ENDLESS else 20)
        return list(islice(answer, MAX_RESPONSES)) if method.server_streaming else [answer]


@pytest.fixture
def caller(db: Database, tmp_path: Path) -> Iterator[Caller]:
    url = db.url.render_as_string(hide_password=False)
    with closing(App(url, str(tmp_path / "blobs"), pool_size=4)) as app:
        caller = Caller(app)
        hostile.seed(caller)
        yield caller


def _check_error(error: Any, sent: str) -> None:
    assert isinstance(error, grpc.RpcError)
    call: Any = error
    trailer = dict(call.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(trailer)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert f"ERROR_REASON_{info.reason}" in ErrorReason.keys()  # noqa: SIM118
    assert call.code() not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), sent
    assert status.message == call.details()
    texts = [status.message, *info.metadata.values()]
    assert not [leak for leak in LEAKS for text in texts if leak in text and leak not in sent]
    size = len(base64.b64encode(trailer)) + len(urllib.parse.quote(status.message, safe=" "))
    assert size < MAX_TRAILER_BYTES, f"trailers of {size} bytes: {sent}"


def _responses(caller: Caller, path: str, request: Any, sent: str) -> list[Any]:
    """What came back, each a message that a client takes; none for a typed error."""
    try:
        answers: list[Any] = caller(path, request)
    except grpc.RpcError as error:
        _check_error(error, sent)
        return []
    assert all(answer.ByteSize() < LIMITS.max_message_bytes for answer in answers)
    return answers


def _check_answer(caller: Caller, path: str, request: Any, sent: str) -> None:
    answers = _responses(caller, path, request, sent)
    token = getattr(answers[0], "next_page_token", "") if answers else ""
    if token:
        _check_tokens(caller, path, request, token)


def _check_tokens(caller: Caller, path: str, request: Message, token: str) -> None:
    """A token is good for its own query, and nothing else can be made of it."""
    following = type(request)()
    following.CopyFrom(request)
    following.page_token = token  # type: ignore[attr-defined]
    caller(path, following)
    for damaged in (token[:-1], token[:-2] + "AA", "A" + token[1:], token + "A", token.swapcase()):
        following.page_token = damaged  # type: ignore[attr-defined]
        _responses(caller, path, following, damaged)


def _check_alive(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    """It reads and writes as before, and no thread of it met what it did not expect."""
    batch = LogBatchRequest(run_id=hostile.SPARE, writer_id="alive", batch=MetricBatch(sequence=1))
    assert caller("/runwire.v1.MetricService/LogBatch", batch)[0].ack.committed_sequence == 1
    assert not [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]


def _plain_call(caller: Caller) -> None:
    found = caller("/runwire.v1.RunService/GetRun", GetRunRequest(run_id=hostile.SPARE))
    assert found[0].run.run_id == hostile.SPARE


@pytest.mark.parametrize("path", hostile.paths_of(streams_requests=False))
def test_any_request_gets_an_answer_or_a_typed_error(
    path: str, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    @GENERATED
    @hypothesis.given(hostile.messages(hostile.METHODS[path].input_type))
    def check(request: Message) -> None:
        _check_answer(caller, path, request, str(request)[:3000])
        _plain_call(caller)

    check()
    _check_alive(caller, caplog)


@pytest.mark.parametrize("path", hostile.paths_of(streams_requests=True))
def test_any_stream_of_requests_gets_answers_or_a_typed_error(
    path: str, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    one = hostile.messages(hostile.METHODS[path].input_type)

    @GENERATED
    @hypothesis.given(st.lists(one, max_size=4))
    def check(requests: list[Message]) -> None:
        sent = "\n--\n".join(str(request)[:1000] for request in requests)
        _check_answer(caller, path, iter(requests), sent)
        _plain_call(caller)

    check()
    _check_alive(caller, caplog)


@pytest.mark.parametrize("path", hostile.paths_of(streams_requests=False))
def test_list_of_any_length_gets_a_message_or_a_typed_error(
    path: str, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    for field, request in hostile.long_lists(hostile.METHODS[path].input_type, LONG_LIST):
        _responses(caller, path, request, field)
    _check_alive(caller, caplog)
