"""``google.rpc.Status`` out of a call's trailers, and the error that it makes.

The thin client has no googleapis-common-protos, and a private copy of those messages
would collide with an installed one in protobuf's registry; so the few messages are read
from their wire form here (https://protobuf.dev/programming-guides/encoding/).
Definitions: google/rpc/status.proto and google/rpc/error_details.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from runwire._errors import RunwireError, error_class

TRAILER = "grpc-status-details-bin"
_TYPES = "type.googleapis.com/google.rpc."
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass
class Status:
    """What we use of Status and its details; empty where it was not sent."""

    code: int = 0
    message: str = ""
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None
    violations: dict[str, str] = field(default_factory=dict)


def error_of(error: Any, uri: str) -> RunwireError:
    """The ``RunwireError`` of a ``grpc.RpcError``; ``uri`` is what the user connected to."""
    code_name = error.code().name
    text = error.details() or code_name
    status = _status_in(error.trailing_metadata() or ())
    if status is None or not status.reason:
        return _transport_error(code_name, text, uri)
    return error_class(code_name)(
        status.message or text,
        reason=status.reason,
        metadata=status.metadata,
        retry_after_s=status.retry_after_s,
    )


def _transport_error(code_name: str, text: str, uri: str) -> RunwireError:
    """The core, or something between us and the server, ended the call."""
    made = error_class(code_name)
    if code_name == "RESOURCE_EXHAUSTED" and "larger than max" in text:
        return made(f"the message is too large for {uri}: {text}", reason="TOO_LARGE")
    if code_name == "UNAVAILABLE":
        return made(
            f"no Runwire server answers at {uri} ({text}). Is it running, is this its gRPC "
            "port (5001 unless told otherwise) or its web address (http://HOST:5000), and "
            "does a firewall or proxy stand between?"
        )
    if code_name == "DEADLINE_EXCEEDED":
        return made(f"{uri} did not answer in time ({text})")
    if code_name == "UNIMPLEMENTED":
        return made(f"{uri} does not offer this call: another version, or no Runwire server")
    return made(text)


def parse_status(data: bytes) -> Status:
    """Read a serialized ``google.rpc.Status``. Raises ValueError where it is damaged."""
    status = Status()
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            status.code = value
        elif number == 2 and isinstance(value, bytes):
            status.message = value.decode()
        elif number == 3 and isinstance(value, bytes):
            _read_detail(status, value)
    return status


def _status_in(trailers: Iterable[tuple[str, str | bytes]]) -> Status | None:
    for key, value in trailers:
        if key == TRAILER and isinstance(value, bytes):
            try:
                return parse_status(value)
            except ValueError:
                return None  # a proxy's idea of details: the code and text are left
    return None


def _read_detail(status: Status, data: bytes) -> None:
    """One ``google.protobuf.Any``."""
    fields = dict(_fields(data))
    url, body = fields.get(1, b""), fields.get(2, b"")
    if not isinstance(url, bytes) or not isinstance(body, bytes):
        raise ValueError("not an Any")
    kind = url.decode().removeprefix(_TYPES)
    if kind == "ErrorInfo":
        _read_error_info(status, body)
    elif kind == "RetryInfo":
        for number, value in _fields(body):
            if number == 1 and isinstance(value, bytes):
                status.retry_after_s = _seconds(value)
    elif kind == "BadRequest":
        for number, value in _fields(body):
            if number == 1 and isinstance(value, bytes):
                texts = _texts(value)
                status.violations[texts.get(1, "")] = texts.get(2, "")


def _read_error_info(status: Status, data: bytes) -> None:
    for number, value in _fields(data):
        if not isinstance(value, bytes):
            continue
        if number == 1:
            status.reason = value.decode()
        elif number == 2:
            status.domain = value.decode()
        elif number == 3:
            entry = _texts(value)
            status.metadata[entry.get(1, "")] = entry.get(2, "")


def _texts(data: bytes) -> dict[int, str]:
    return {number: value.decode() for number, value in _fields(data) if isinstance(value, bytes)}


def _seconds(duration: bytes) -> float:
    fields = {number: value for number, value in _fields(duration) if isinstance(value, int)}
    return float(_signed(fields.get(1, 0)) + _signed(fields.get(2, 0)) / 1e9)


def _signed(varint: int) -> int:
    return varint - (1 << 64) if varint >> 63 else varint


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, varint or bytes) of a message; fixed-width fields are passed over."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
        elif kind == _BYTES:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("cut short")
            yield number, data[at : at + size]
            at += size
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << 64) - 1), at
        shift += 7
    raise ValueError("cut short")
