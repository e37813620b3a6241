"""What an update changed, field by field, as an event keeps it: bounded, whatever was written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from runwire.v1.model_pb2 import ModelEvent

from runwire_server.store.mask import TagChanges

MAX_BYTES = 64 << 10
MAX_VALUE_BYTES = 1024


class Change(NamedTuple):
    """None: there was no such tag, or there is none any more."""

    field: str
    previous_value: str | None
    value: str | None


def of_tags(tags: TagChanges, stored: Mapping[str, str]) -> list[Change]:
    keys = sorted([*tags.put, *tags.removed])
    return [Change(f"tags.{key}", stored.get(key), tags.put.get(key)) for key in keys]


def dump(changes: Iterable[Change]) -> str:
    """As JSON: the first changes that fit, and how many did not. Empty for none."""
    kept: list[list[str | None]] = []
    more = size = 0
    for change in changes:
        one = [change.field, _cut(change.previous_value), _cut(change.value)]
        size += sum(len((text or "").encode()) for text in one)
        if size > MAX_BYTES:
            more += 1
        else:
            kept.append(one)
    return json.dumps([kept, more], ensure_ascii=False) if kept or more else ""


def load(text: str) -> tuple[list[ModelEvent.Change], int]:
    """What ``dump`` made of them."""
    kept, more = json.loads(text) if text else ([], 0)
    changes = [
        ModelEvent.Change(field=field, previous_value=previous_value, value=value)
        for field, previous_value, value in kept
    ]
    return changes, more


def _cut(text: str | None) -> str | None:
    return text and text.encode()[:MAX_VALUE_BYTES].decode(errors="ignore")
