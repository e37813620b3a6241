"""What the write methods of several nouns share: masks, times, request ids."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

Time = datetime | Timestamp | int


def mask(
    fields: Mapping[str, object],
    tags: Mapping[str, str] | None,
    removed_tags: Iterable[str],
    update_mask: Sequence[str] | None,
) -> FieldMask:
    """The mask of an update: fields that are not None, and single tags. ``update_mask``,
    where given, is taken as it is."""
    if update_mask is not None:
        return FieldMask(paths=update_mask)
    paths = [name for name, value in fields.items() if value is not None]
    paths += [f"tags.{key}" for key in (*(tags or {}), *removed_tags)]
    return FieldMask(paths=paths)


def timestamp(time: Time | None) -> Timestamp | None:
    """A ``datetime`` (naive: local time), or whole microseconds since 1970."""
    if time is None or isinstance(time, Timestamp):
        return time
    made = Timestamp()
    if isinstance(time, datetime):
        made.FromDatetime(time.astimezone(UTC))
    else:
        made.FromMicroseconds(time)
    return made


def new_id() -> str:
    """32 hex digits: a run_id, or a request_id that makes a create safe to repeat."""
    return uuid.uuid4().hex
