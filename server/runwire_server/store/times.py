"""Microseconds since 1970 (as stored) to and from ``Timestamp`` (as sent)."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from runwire_server.errors import FieldInvalid


def to_proto(micros: int | None) -> Timestamp | None:
    if micros is None:
        return None
    seconds, rest = divmod(micros, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def from_proto(field: str, timestamp: Timestamp) -> int:
    """Raises ``FieldInvalid`` outside the years 1 to 9999 that a Timestamp may hold."""
    if not (-62135596800 <= timestamp.seconds <= 253402300799 and 0 <= timestamp.nanos < 10**9):
        raise FieldInvalid(field, "not a valid timestamp")
    return timestamp.seconds * 1_000_000 + timestamp.nanos // 1000


def put(timestamp: Timestamp, micros: int) -> None:
    """Into a field that is there: in place, at half of the cost."""
    timestamp.seconds, rest = divmod(micros, 1_000_000)
    timestamp.nanos = rest * 1000
