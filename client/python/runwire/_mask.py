"""Changes of tags, as an update mask says them."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from google.protobuf.field_mask_pb2 import FieldMask


def tag_changes(
    changes: Mapping[str, str | None] | None, tags: MutableMapping[str, str], mask: FieldMask
) -> None:
    """Set the given tags, remove those of None, and leave all others alone."""
    for key, value in (changes or {}).items():
        mask.paths.append(f"tags.{key}")
        if value is not None:
            tags[key] = value
