"""Every failure becomes one clear status, over a socket and in-process alike."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from runwire.v1.registry_service_pb2 import CreateModelRequest
from runwire.v1.run_service_pb2 import GetRunRequest, GetRunResponse
from runwire_server.errors import FieldInvalid, NotFound, Overloaded, ServiceError
from runwire_server.inprocess import InProcessServer
from runwire_server.interceptors import CallInterceptor, status_of
from runwire_server.retry import ConnectionLost, TransactionConflict

SERVICE = "runwire.v1.RunService"


class Harness:
    """One method of a service, whatever it does, behind the interceptor."""

    def __init__(self, behavior: Any, *, streaming: bool = False, asks: Any = GetRunRequest):
        self.ended: list[tuple[str, str]] = []
        server = InProcessServer([CallInterceptor(lambda *a: self.ended.append(a[:2]))])
        make = (
            grpc.unary_stream_rpc_method_handler
            if streaming
            else grpc.unary_unary_rpc_method_handler
        )
        handler = make(behavior, asks.FromString, GetRunResponse.SerializeToString)
        server.add_registered_method_handlers(SERVICE, {"GetRun": handler})
        self.call = server.channel.unary_unary(
            f"/{SERVICE}/GetRun", asks.SerializeToString, GetRunResponse.FromString
        )


def _fails(call: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        list(call(GetRunRequest()))
    return caught.value


def _details(error: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    status = status_pb2.Status.FromString(
        dict(error.trailing_metadata())["grpc-status-details-bin"]
    )
    for detail in status.details:
        name = detail.TypeName().rsplit(".", 1)[-1]
        found[name] = getattr(error_details_pb2, name)()
        detail.Unpack(found[name])
    return found


def test_typed_error_carries_code_reason_and_metadata() -> None:
    def behavior(request: Any, context: Any) -> Any:
        raise NotFound("run", "abc")

    harness = Harness(behavior)
    error: Any = _fails(harness.call)
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "no run 'abc'"
    info = _details(error)["ErrorInfo"]
    assert (info.reason, info.domain) == ("NOT_FOUND", "runwire.v1")
    assert dict(info.metadata) == {"kind": "run", "key": "abc"}
    assert harness.ended == [(f"/{SERVICE}/GetRun", "NOT_FOUND")]


def test_invalid_field_is_named_in_bad_request_too() -> None:
    def behavior(request: Any, context: Any) -> Any:
        raise FieldInvalid("page_size", "must not be negative")

    violations = _details(_fails(Harness(behavior).call))["BadRequest"].field_violations
    assert [(v.field, v.description) for v in violations] == [("page_size", "must not be negative")]


def test_overload_says_when_to_come_back() -> None:
    def behavior(request: Any, context: Any) -> Any:
        raise Overloaded(retry_after_s=1.5)

    retry = _details(_fails(Harness(behavior).call))["RetryInfo"]
    assert retry.retry_delay.ToNanoseconds() == 1_500_000_000


def test_error_inside_a_stream_is_mapped_as_well() -> None:
    def behavior(request: Any, context: Any) -> Iterator[Any]:
        yield GetRunResponse()
        raise NotFound("run", "abc")

    error: Any = _fails(Harness(behavior, streaming=True).call)
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert _details(error)["ErrorInfo"].reason == "NOT_FOUND"


def test_unexpected_error_shows_an_id_and_nothing_of_its_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def behavior(request: Any, context: Any) -> Any:
        raise RuntimeError("SELECT secret FROM table")

    error: Any = _fails(Harness(behavior).call)
    assert error.code() is grpc.StatusCode.INTERNAL
    info = _details(error)["ErrorInfo"]
    assert info.reason == "INTERNAL"
    assert "secret" not in str(error) + str(info)
    assert info.metadata["request_id"] in caplog.text
    assert "SELECT secret" in caplog.text


def test_lost_race_is_run_again_and_the_caller_never_knows() -> None:
    attempts = []

    def behavior(request: Any, context: Any) -> Any:
        attempts.append(1)
        if len(attempts) < 3:
            raise TransactionConflict
        return GetRunResponse()

    harness = Harness(behavior)
    assert harness.call(GetRunRequest()) == GetRunResponse()
    assert len(attempts) == 3
    assert harness.ended == [(f"/{SERVICE}/GetRun", "OK")]


@pytest.mark.parametrize("own", ["", "mine"])
def test_call_run_again_after_a_lost_connection_is_the_same_request(own: str) -> None:
    ids: list[str] = []

    def behavior(request: Any, context: Any) -> Any:
        ids.append(request.request_id)
        if len(ids) == 1:
            raise ConnectionLost("the database went away")  # it may have committed
        return GetRunResponse()

    request = CreateModelRequest(name="one", request_id=own)
    assert Harness(behavior, asks=CreateModelRequest).call(request) == GetRunResponse()
    assert ids == [ids[0]] * 2
    assert ids[0] == own or (own == "" and len(ids[0]) == 32)
    assert request.request_id == own


def test_race_lost_for_ever_is_overload_with_retry_info() -> None:
    def behavior(request: Any, context: Any) -> Any:
        raise TransactionConflict

    error: Any = _fails(Harness(behavior).call)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    details = _details(error)
    assert details["ErrorInfo"].reason == "OVERLOADED"
    assert "RetryInfo" in details


@pytest.mark.parametrize("size", [10, 600, 10_000, 1_000_000])
@pytest.mark.parametrize("character", ["x", "%", "é", "\x01", "\U0001f600"])
def test_trailers_fit_a_header_block_however_long_the_input_was(character: str, size: int) -> None:
    text = character * size
    for error in (NotFound(text, text), FieldInvalid(text, text)):
        status = status_of(error)
        details = len(base64.b64encode(status.trailing_metadata[0][1]))
        assert details + len(quote(status.details, safe=" ")) < 8000


def test_message_in_any_script_that_is_not_too_long_is_sent_whole() -> None:
    assert status_of(NotFound("run", "実験" * 50)).details == f"no run {'実験' * 50!r}"
    assert len(status_of(NotFound("run", "x" * 5000)).details) == 1000


def test_every_error_class_has_a_reason_of_the_protos() -> None:
    from runwire.v1.error_pb2 import ErrorReason

    def classes(root: type[ServiceError]) -> Iterator[type[ServiceError]]:
        yield root
        for child in root.__subclasses__():
            yield from classes(child)

    names = ErrorReason.keys()
    known = {name.removeprefix("ERROR_REASON_") for name in names}
    used = {each.reason for each in classes(ServiceError)}
    assert used == known - {"UNSPECIFIED"}


def test_unknown_method_is_unimplemented() -> None:
    channel = InProcessServer().channel
    call = channel.unary_unary("/x/y", GetRunRequest.SerializeToString, GetRunResponse.FromString)
    error: Any = _fails(call)
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_message_over_the_limit_is_refused_as_over_a_socket() -> None:
    error: Any = _fails(
        lambda _: Harness(lambda *_: None).call(GetRunRequest(run_id="x" * 5_000_000))
    )
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in error.details()


def test_cancelled_stream_runs_callbacks_and_stops() -> None:
    done = []

    def behavior(request: Any, context: Any) -> Iterator[Any]:
        context.add_callback(lambda: done.append(1))
        while True:
            yield GetRunResponse()

    stream = Harness(behavior, streaming=True).call(GetRunRequest())
    next(stream)
    stream.cancel()
    assert done == [1]
    with pytest.raises(grpc.RpcError):
        next(stream)
