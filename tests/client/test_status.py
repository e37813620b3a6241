"""The hand-written reader of google.rpc.Status against the real messages."""

from __future__ import annotations

import contextlib
import pickle

import pytest
import runwire
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st
from runwire import _errors
from runwire._status import parse_status
from runwire.v1 import error_pb2
from runwire.v1.common_pb2 import Fault
from runwire_server import errors as server_errors
from runwire_server.interceptors import status_of

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(
    code=st.integers(0, 16),
    message=texts,
    reason=texts,
    metadata=st.dictionaries(texts, texts, max_size=5),
    retry_ns=st.none() | st.integers(-(10**12), 10**12),
    violations=st.dictionaries(texts, texts, max_size=3),
)
def test_status_is_read_as_its_real_message_says(
    code: int,
    message: str,
    reason: str,
    metadata: dict[str, str],
    retry_ns: int | None,
    violations: dict[str, str],
) -> None:
    status = status_pb2.Status(code=code, message=message)
    info = error_details_pb2.ErrorInfo(reason=reason, domain="runwire.v1", metadata=metadata)
    request = error_details_pb2.BadRequest()
    for field, description in violations.items():
        request.field_violations.add(field=field, description=description)
    for detail in (info, request, error_details_pb2.DebugInfo(detail="of others")):
        status.details.add().Pack(detail)
    if retry_ns is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(retry_ns)
        status.details.add().Pack(retry)

    read = parse_status(status.SerializeToString())

    assert (read.code, read.message, read.reason, read.domain) == (
        code,
        message,
        reason,
        "runwire.v1",
    )
    assert (read.metadata, read.violations) == (metadata, violations)
    assert read.retry_after_s == (None if retry_ns is None else pytest.approx(retry_ns / 1e9))


@given(st.binary(max_size=80))
def test_damaged_status_is_a_value_error_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_status(data)


def test_unknown_fields_are_passed_over() -> None:
    # Field 9 as fixed64, 10 as fixed32, 11 as varint, 12 as bytes.
    unknown = b"\x49" + b"\1" * 8 + b"\x55" + b"\2" * 4 + b"\x58\x05" + b"\x62\x01x"
    assert parse_status(unknown + status_pb2.Status(code=5).SerializeToString()).code == 5


def test_an_any_of_another_kind_is_passed_over() -> None:
    status = status_pb2.Status(details=[Any(type_url="example.org/Odd", value=b"\xff\xff")])
    assert parse_status(status.SerializeToString()).reason == ""


@pytest.mark.parametrize(
    "error",
    [
        server_errors.NotFound("run", "x"),
        server_errors.FieldInvalid("page_size", "must not be negative"),
        server_errors.Overloaded(0.25),
        server_errors.EtagMismatch("7"),
    ],
    ids=lambda error: error.reason,
)
def test_every_detail_of_a_server_error_is_read(error: server_errors.ServiceError) -> None:
    (trailer,) = status_of(error).trailing_metadata
    read = parse_status(trailer[1])
    assert (read.code, read.reason, read.message) == (error.code, error.reason, error.message)
    assert read.metadata == error.metadata
    assert read.retry_after_s == error.retry_after_s


REASONS = [name.removeprefix("ERROR_REASON_") for name in error_pb2.ErrorReason.keys()[1:]]


@pytest.mark.parametrize("reason", REASONS)
def test_fault_becomes_the_error_that_its_own_call_would_have_raised(reason: str) -> None:
    by_reason = {
        one.reason: one
        for one in vars(server_errors).values()
        if isinstance(one, type) and issubclass(one, server_errors.ServiceError)
    }
    error = _errors.from_fault(Fault(reason=reason, message="m", metadata={"a": "b"}))
    code = by_reason[reason].code
    assert error.code_name == _code_name(code)
    assert (str(error), error.reason, error.metadata) == ("m", reason, {"a": "b"})


def test_fault_of_an_unknown_reason_is_still_an_error() -> None:
    error = _errors.from_fault(Fault(reason="OF_A_LATER_SERVER", message="m"))
    assert type(error) is runwire.RunwireError
    assert error.reason == "OF_A_LATER_SERVER"


def test_errors_survive_pickling() -> None:
    error = runwire.ConflictError("m", reason="ALIAS_MOVED", metadata={"a": "b"}, retry_after_s=1)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is runwire.ConflictError
    assert vars(copy) == vars(error)
    assert str(copy) == "m"


def _code_name(code: int) -> str:
    import grpc

    return next(one.name for one in grpc.StatusCode if one.value[0] == code)
