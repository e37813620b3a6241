"""Update masks: which fields of a resource a request wants to change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from google.protobuf.field_mask_pb2 import FieldMask

from runwire_server.errors import FieldInvalid
from runwire_server.limits import check_key
from runwire_server.store.check import check_entries

TAGS = "tags"
_TAG_PREFIX = "tags."


@dataclass(frozen=True)
class Mask:
    """``fields``: those named whole, ``tag_keys``: single tags. Nothing else is touched."""

    fields: frozenset[str]
    tag_keys: frozenset[str]

    def __contains__(self, field: str) -> bool:
        return field in self.fields

    def tag_changes(self, sent: Mapping[str, str], stored: Mapping[str, str]) -> TagChanges:
        """What "tags" (replace all) and "tags.KEY" (set, or remove where not sent) come to.

        Raises ``FieldInvalid`` or ``TooLarge`` for a tag that cannot be stored.
        """
        whole = TAGS in self.fields
        keys = {*sent, *stored} if whole else self.tag_keys
        put = {key: sent[key] for key in keys if key in sent and stored.get(key) != sent[key]}
        check_entries(TAGS, put)
        return TagChanges(put, [key for key in keys if key in stored and key not in sent])


@dataclass(frozen=True)
class TagChanges:
    """Tags to write and keys to remove; false where there is nothing to do."""

    put: dict[str, str]
    removed: list[str]

    def __bool__(self) -> bool:
        return bool(self.put or self.removed)


def parse(mask: FieldMask, allowed: Collection[str]) -> Mask:
    """The mask of a resource whose fields ``allowed`` can be changed; "*" is all of them.

    Raises ``FieldInvalid("update_mask", …)`` for an empty mask and an unknown path.
    """
    if not mask.paths:
        raise FieldInvalid("update_mask", f"must name what to change: {_choices(allowed)}")
    fields: set[str] = set()
    tag_keys: set[str] = set()
    for path in mask.paths:
        if path == "*":
            fields.update(allowed)
        elif path in allowed:
            fields.add(path)
        elif path.startswith(_TAG_PREFIX) and TAGS in allowed:
            key = path.removeprefix(_TAG_PREFIX)
            check_key("update_mask", key)
            tag_keys.add(key)
        else:
            problem = f"{path[:80]!r} cannot be changed; choose from {_choices(allowed)}"
            raise FieldInvalid("update_mask", problem)
    return Mask(frozenset(fields), frozenset(tag_keys))


def _choices(allowed: Collection[str]) -> str:
    return ", ".join([*allowed, *(["tags.KEY"] if TAGS in allowed else []), "*"])
