"""What the fields of a request must look like. Every function raises ``FieldInvalid`` or
``TooLarge`` with the path of the field."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from runwire_server.errors import EtagMismatch, FieldInvalid, TooLarge
from runwire_server.limits import LIMITS, check_key, check_value

MAX_WORKSPACE_BYTES = 255

_RUN_ID = re.compile(r"[0-9a-f]{32}")
# 18 digits: everything that is sure to fit 64 bits.
_EXPERIMENT_ID = re.compile(r"0|[1-9][0-9]{0,17}")


def check_name(field: str, name: str, max_bytes: int = LIMITS.max_key_bytes) -> None:
    """A name that people read: not empty, no control characters, at most 512 bytes of UTF-8."""
    if not name:
        raise FieldInvalid(field, "must not be empty")
    size = len(name.encode())
    if size > max_bytes:
        raise TooLarge(field, size, max_bytes)
    if not name.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        raise FieldInvalid(field, "must not hold control characters")


def check_workspace(field: str, name: str) -> None:
    check_name(field, name, MAX_WORKSPACE_BYTES)


def check_run_id(field: str, run_id: str) -> None:
    if not _RUN_ID.fullmatch(run_id):
        raise FieldInvalid(field, f"{run_id[:80]!r} is not a run id of 32 lower-case hex digits")


def experiment_key(field: str, experiment_id: str) -> int:
    """The id as it is stored."""
    if not _EXPERIMENT_ID.fullmatch(experiment_id):
        raise FieldInvalid(field, f"{experiment_id[:80]!r} is not a decimal experiment id")
    return int(experiment_id)


def check_entries(field: str, entries: Mapping[str, str]) -> None:
    """The keys and values of params or tags."""
    for key, value in entries.items():
        check_key(field, key)
        check_value(f"{field}.{key[:80]}", value)


def check_etag(etag: str, revision: int) -> None:
    """Raises ``EtagMismatch`` where an etag was sent and the row has another revision."""
    if etag and etag != str(revision):
        raise EtagMismatch(etag)
