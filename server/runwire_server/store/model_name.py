"""What names, stages and aliases of the registry may look like.

A reference is ``MODEL@ALIAS`` or ``MODEL/VERSION``, ``MODEL/latest``, ``MODEL/STAGE``.
The rules here keep every reference unambiguous.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from runwire_server.errors import FieldInvalid, TooLarge

DEFAULT_STAGES = ("none", "staging", "production", "archived")
ARCHIVED = "archived"
LATEST = "latest"

_MAX_NAME_BYTES = 255
_MAX_STAGES = 32
_SEPARATORS = "/:@"
_ALIAS = re.compile(r"[A-Za-z0-9_.-]{1,255}")


def check_name(field: str, name: str) -> None:
    """A model's name: 1 to 255 bytes of UTF-8 without "/", ":", "@" and control characters."""
    if not name.strip():
        raise FieldInvalid(field, "a name must not be empty")
    size = len(name.encode())
    if size > _MAX_NAME_BYTES:
        raise TooLarge(field, size, _MAX_NAME_BYTES)
    for character in name:
        if character in _SEPARATORS:
            raise FieldInvalid(field, f"a name must not hold {character!r}")
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise FieldInvalid(field, f"the name {name!r} holds a control character")


def check_alias(field: str, alias: str) -> None:
    """Letters, digits, "_", "." and "-"; never all digits (a version), never "latest"."""
    if not _ALIAS.fullmatch(alias):
        raise FieldInvalid(field, "an alias is 1 to 255 letters, digits, '_', '.' or '-'")
    if alias.isdigit():
        raise FieldInvalid(field, f"the alias {alias!r} looks like a version")
    if alias.lower() == LATEST:
        raise FieldInvalid(field, f"{LATEST!r} always is the newest version; choose another alias")


def check_stages(field: str, stages: Sequence[str]) -> list[str]:
    """The stages of a model: those given, or the default ones where none are.

    A new version starts in the first of them. They are told apart without regard
    to case and kept as written here.
    """
    if len(stages) > _MAX_STAGES:
        raise FieldInvalid(field, f"at most {_MAX_STAGES} stages")
    seen: set[str] = set()
    for stage in stages:
        check_name(field, stage)
        if stage.isdigit() or stage.lower() == LATEST:
            raise FieldInvalid(field, f"the stage {stage!r} could be taken for a version")
        if stage.lower() in seen:
            raise FieldInvalid(field, f"the stage {stage!r} is there twice")
        seen.add(stage.lower())
    return list(stages or DEFAULT_STAGES)


def canonical_stage(field: str, stages: Sequence[str], stage: str) -> str:
    """The stage as the model's list writes it. Raises ``FieldInvalid`` where it is not there."""
    for known in stages:
        if known.lower() == stage.lower():
            return known
    raise FieldInvalid(field, f"no stage {stage[:80]!r}; this model has {', '.join(stages)[:500]}")
