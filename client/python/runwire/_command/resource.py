"""Messages of the API as what people and scripts see of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def document(message: Any) -> dict[str, Any]:
    """A message for --json: field names as in the API, integers as numbers, times in ISO 8601.

    Unlike protobuf's own JSON, 64-bit integers are numbers, as ``jq`` and Python expect,
    and enums lose the prefix that the language needs.
    """
    found: dict[str, Any] = {}
    for descriptor in message.DESCRIPTOR.fields:
        if descriptor.has_presence and not message.HasField(descriptor.name):
            continue
        found[descriptor.name] = _field(descriptor, getattr(message, descriptor.name))
    return found


def _field(descriptor: Any, value: Any) -> Any:
    if not _is_repeated(descriptor):
        return _one(descriptor, value)
    if descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry:
        values = descriptor.message_type.fields_by_name["value"]
        return {key: _one(values, value[key]) for key in sorted(value)}
    return [_one(descriptor, one) for one in value]


def _is_repeated(descriptor: Any) -> bool:
    # `label` warns in protobuf 7, `is_repeated` is not there in protobuf 5.
    if hasattr(descriptor, "is_repeated"):
        return bool(descriptor.is_repeated)
    return bool(descriptor.label == descriptor.LABEL_REPEATED)


def _one(descriptor: Any, value: Any) -> Any:
    if descriptor.enum_type is not None:
        return enum_name(descriptor.enum_type, value)
    if descriptor.message_type is None:
        return value.hex() if isinstance(value, bytes) else value
    if descriptor.message_type.full_name == "google.protobuf.Timestamp":
        return time_of(value)
    return document(value)


def enum_name(enum_type: Any, number: int) -> str:
    """ "FINISHED" of Run.State 3."""
    found = enum_type.values_by_number.get(number)
    if found is None:
        return str(number)
    zero: str = enum_type.values_by_number[0].name
    name: str = found.name
    return name.removeprefix(zero.removesuffix("UNSPECIFIED"))


def time_at(micros: int) -> datetime | int:
    """A time since 1970 with its zone; the number itself where no calendar goes so far."""
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return micros


def time_of(timestamp: Any) -> datetime | None:
    """A Timestamp as a time with its zone, or None where it is not set."""
    if not timestamp.seconds and not timestamp.nanos:
        return None
    return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)
