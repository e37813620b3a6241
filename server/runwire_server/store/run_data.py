"""Params, tags and inputs of runs: how they are stored.

The functions here write inside the caller's transaction and leave the run's own row
alone: whoever calls them has locked it, has checked that the run may be written to,
and draws its revision. Entries that cannot be kept come back as ``(key, Fault)``; the
others are stored.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from runwire.v1.common_pb2 import Fault
from runwire.v1.run_pb2 import DatasetInput

from runwire_server.errors import ParamConflict, ServiceError, TooLarge
from runwire_server.limits import LIMITS, check_key, check_value
from runwire_server.store.check import check_name
from runwire_server.store.database import Transaction
from runwire_server.store.tables import run_inputs, run_params, run_tags

Faults = list[tuple[str, Fault]]
"""What was not kept and why, by key."""

# A dataset's schema and profile may be long; a stored value stays under 1 MB.
MAX_INPUT_BYTES = 512 * 1024
# The tag of an input by which filters find runs.
CONTEXT = "context"
# Databases take some ten thousand bound values in a statement.
KEYS_A_QUERY = 5000

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")

_INSERT_PARAMS = run_params.insert()

T = TypeVar("T")


def log_params(tx: Transaction, run_id: str, params: Mapping[str, str]) -> Faults:
    """Store params, write-once: the same value again is accepted, another is PARAM_CONFLICT."""
    good, faults = _checked("params", params)
    stored = _stored(tx, run_id, list(good))
    for key, value in stored.items():
        if good.pop(key) != value:
            faults.append((key, ParamConflict(key, value, params[key]).fault()))
    insert_params(tx, run_id, good)
    return faults


def insert_params(tx: Transaction, run_id: str, params: Mapping[str, str]) -> None:
    """Store params that are known to be good and not there yet."""
    if params:
        rows = [
            {"run_id": run_id, "key": key, "value": params[key], "number": number(params[key])}
            for key in sorted(params)
        ]
        tx.execute(_INSERT_PARAMS, rows)


def set_tags(tx: Transaction, run_id: str, tags: Mapping[str, str]) -> Faults:
    """Store tags: the last write wins."""
    good, faults = _checked("tags", tags)
    if good:
        rows = [{"run_id": run_id, "key": key, "value": value} for key, value in good.items()]
        tx.execute(_setting(tx.insert), rows)
    return faults


@cache  # to put it together takes as long as to run it
def _setting(insert: Callable[[sa.Table], Any]) -> sa.Executable:
    tags = insert(run_tags)
    statement: sa.Executable = tags.on_conflict_do_update(
        index_elements=["run_id", "key"], set_={"value": tags.excluded.value}
    )
    return statement


def remove_tags(tx: Transaction, run_id: str, keys: Iterable[str]) -> None:
    """Remove tags; a key that is not there is no fault."""
    # No stored key holds a NUL, and PostgreSQL does not take one in a query.
    possible = sorted(key for key in keys if "\0" not in key)
    for some in chunks(possible, KEYS_A_QUERY):
        of_run = run_tags.c.run_id == run_id
        tx.execute(sa.delete(run_tags).where(of_run, run_tags.c.key.in_(some)))


def add_inputs(tx: Transaction, run_id: str, inputs: Iterable[DatasetInput]) -> Faults:
    """Store dataset inputs; the same one again changes nothing. Faults by the input's name."""
    rows: dict[str, dict[str, object]] = {}
    faults: Faults = []
    for one in inputs:
        try:
            check_input("inputs", one)
        except ServiceError as error:
            faults.append((one.name[: LIMITS.max_key_bytes], error.fault()))
            continue
        data = one.SerializeToString(deterministic=True)
        input_id = hashlib.sha256(data).hexdigest()
        rows[input_id] = {
            "run_id": run_id,
            "input_id": input_id,
            "name": one.name,
            "digest": one.digest,
            "dataset_input": data,
            "context": one.tags.get(CONTEXT, ""),
        }
    if rows:
        ordered = [rows[input_id] for input_id in sorted(rows)]
        tx.execute(tx.insert(run_inputs).on_conflict_do_nothing(), ordered)
    return faults


def check_input(field: str, one: DatasetInput) -> None:
    """Raises ``FieldInvalid`` or ``TooLarge``."""
    check_name(f"{field}.name", one.name)
    if one.digest:
        check_name(f"{field}.digest", one.digest)
    check_value(f"{field}.tags.{CONTEXT}", one.tags.get(CONTEXT, ""))
    if one.ByteSize() > MAX_INPUT_BYTES:
        raise TooLarge(field, one.ByteSize(), MAX_INPUT_BYTES)


def number(value: str) -> float | None:
    """A param as the number that filters compare, None where it is no finite number."""
    if len(value) > 400 or not _NUMBER.fullmatch(value):
        return None
    parsed = float(value)
    return parsed if math.isfinite(parsed) else None


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _checked(field: str, entries: Mapping[str, str]) -> tuple[dict[str, str], Faults]:
    """The entries that can be stored, in the order of their keys, and the faults of others."""
    good: dict[str, str] = {}
    faults: Faults = []
    for key in sorted(entries):
        try:
            check_key(field, key)
            check_value(f"{field}.{key}", entries[key])
        except ServiceError as error:
            faults.append((key, error.fault()))
        else:
            good[key] = entries[key]
    return good, faults


def _stored(tx: Transaction, run_id: str, keys: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for some in chunks(keys, KEYS_A_QUERY):
        query = sa.select(run_params.c.key, run_params.c.value).where(
            run_params.c.run_id == run_id, run_params.c.key.in_(some)
        )
        found |= {row.key: row.value for row in tx.execute(query)}
    return found
