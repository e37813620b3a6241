"""What the write methods of several nouns share: masks, times, request ids."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import overload

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

Time = datetime | Timestamp | int


def changed_tags(
    tags: Mapping[str, str | None] | None, removed_tags: Iterable[str]
) -> tuple[dict[str, str], list[str]]:
    """(tags to set, the paths of a mask for these and for those to remove).

    A tag goes where its value is None, or its key is in ``removed_tags``.
    """
    changes = dict(tags or {}) | dict.fromkeys(removed_tags)
    put = {key: value for key, value in changes.items() if value is not None}
    return put, [f"tags.{key}" for key in changes]


def mask(
    fields: Mapping[str, object], tag_paths: Iterable[str], update_mask: Sequence[str] | None
) -> FieldMask:
    """The mask of an update: fields that are not None, and single tags. ``update_mask``,
    where given, is taken as it is."""
    if update_mask is not None:
        return FieldMask(paths=update_mask)
    return FieldMask(
        paths=[*(name for name, value in fields.items() if value is not None), *tag_paths]
    )


@overload
def timestamp(time: Time) -> Timestamp: ...
@overload
def timestamp(time: None) -> None: ...
@overload
def timestamp(time: Time | None) -> Timestamp | None: ...
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
