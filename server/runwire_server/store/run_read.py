"""What runs carry beside their row, read for many runs in a few queries.

A run shows at most ``MAX_ENTRIES`` params, tags, metrics and inputs each, and at most
``MAX_BYTES`` of each, so that no message outgrows its limit; ``truncated`` names the
runs that have more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, TypeVar

import sqlalchemy as sa

from runwire_server.store import run_entries
from runwire_server.store.database import Transaction
from runwire_server.store.dialects import Among
from runwire_server.store.filter_tree import Key, Kind
from runwire_server.store.run_data import KEYS_A_QUERY, chunks
from runwire_server.store.tables import (
    metric_keys,
    metric_summaries,
    run_inputs,
    run_params,
    run_tags,
)

MAX_ENTRIES = 1000
MAX_BYTES = 512 * 1024
# A query takes this many rows at most: so many that its own cost is lost among them,
# so few that a run of a million metrics does no harm.
ROWS_A_QUERY = 5000
RUNS_A_QUERY = 250

V = TypeVar("V")
ByRun = dict[str, dict[str, V]]
"""run_id -> key -> value; a run without any is not in it."""


@dataclass
class Data:
    params: ByRun[str] = field(default_factory=dict)
    tags: ByRun[str] = field(default_factory=dict)
    metrics: ByRun[float] = field(default_factory=dict)
    inputs: ByRun[bytes] = field(default_factory=dict)  # serialized DatasetInput
    names: dict[int, str] = field(default_factory=dict)  # of metrics met so far
    truncated: set[str] = field(default_factory=set)

    def add_full(self, tx: Transaction, run_ids: Sequence[str]) -> None:
        """Everything, up to the caps; metrics are the last values of series."""
        self.params = _first(tx, _PARAMS, run_ids, self.truncated)
        self.tags = _first(tx, _TAGS, run_ids, self.truncated)
        self.add_inputs(tx, run_ids)
        last: dict[str, dict[int, float | None]] = _first(tx, _LAST, run_ids, self.truncated)
        self._add_names(tx, set().union(*last.values()))
        names = self.names
        for run_id, series in last.items():
            self.metrics[run_id] = {
                names[key_id]: math.nan if value is None else value
                for key_id, value in series.items()
            }

    def add_full_of_one(self, tx: Transaction, run_id: str) -> None:
        """The same of a single run."""
        params, tags, metrics, inputs = run_entries.first(tx, run_id, MAX_ENTRIES + 1)
        self.params[run_id] = self._kept(run_id, params)
        self.tags[run_id] = self._kept(run_id, tags)
        self.metrics[run_id] = self._kept(run_id, metrics)
        self.inputs[run_id] = self._kept(run_id, inputs)

    def _kept(self, run_id: str, entries: dict[str, V]) -> dict[str, V]:
        if len(entries) <= MAX_ENTRIES and _fits(entries):
            return entries
        self.truncated.add(run_id)
        return _cut(entries)

    def _add_names(self, tx: Transaction, key_ids: set[int]) -> None:
        for some in chunks(sorted(key_ids - self.names.keys()), KEYS_A_QUERY):
            self.names.update(tx.tuples(_NAMES, key_ids=some))

    def add_inputs(self, tx: Transaction, run_ids: Sequence[str]) -> None:
        self.inputs = _first(tx, _INPUTS, run_ids, self.truncated)

    def add_columns(self, tx: Transaction, run_ids: Sequence[str], columns: Sequence[Key]) -> None:
        """Just these params, tags and metrics, beside what is there already."""
        _add_entries(tx, self.params, run_params, run_ids, columns, Kind.PARAM)
        _add_entries(tx, self.tags, run_tags, run_ids, columns, Kind.TAG)
        _add_metrics(tx, self.metrics, run_ids, columns)
        if any(column.kind is Kind.DATASET for column in columns):
            self.add_inputs(tx, run_ids)


def tags_of(tx: Transaction, run_id: str) -> dict[str, str]:
    """All tags of one run, without a cap."""
    query = sa.select(run_tags.c.key, run_tags.c.value).where(run_tags.c.run_id == run_id)
    return {row.key: row.value for row in tx.execute(query)}


def _query(table: sa.Table, key: str, value: str) -> sa.Select[Any]:
    return (
        sa.select(table.c.run_id, table.c[key], table.c[value])
        .where(Among(table.c.run_id, "run_ids"))
        .order_by(table.c.run_id, table.c[key])
        .limit(ROWS_A_QUERY)
    )


_PARAMS = _query(run_params, "key", "value")
_TAGS = _query(run_tags, "key", "value")
_INPUTS = _query(run_inputs, "input_id", "dataset_input")
_LAST = _query(metric_summaries, "key_id", "last")
_NAMES = sa.select(metric_keys).where(Among(metric_keys.c.key_id, "key_ids"))


def _first(
    tx: Transaction, query: sa.Select[Any], run_ids: Sequence[str], truncated: set[str]
) -> dict[str, dict[Any, Any]]:
    found: dict[str, dict[Any, Any]] = {}
    for some in chunks(run_ids, RUNS_A_QUERY):
        waiting: Sequence[str] = some
        while waiting:
            rows = tx.tuples(query, run_ids=waiting)
            complete = len(rows) < ROWS_A_QUERY
            last = "" if complete else rows[-1][0]
            for run_id, group in groupby(rows, itemgetter(0)):
                entries = {key: value for _, key, value in group}
                if len(entries) > MAX_ENTRIES or not _fits(entries):
                    truncated.add(run_id)
                    found[run_id] = _cut(entries)
                elif run_id != last:  # of the last one there may be more rows to come
                    found[run_id] = entries
            waiting = [] if complete else [id for id in waiting if id not in found]
    return found


def _size(entry: Any) -> int:
    if isinstance(entry, str):
        return len(entry.encode())
    return len(entry) if isinstance(entry, bytes) else 8


def _fits(entries: Mapping[Any, Any]) -> bool:
    """Whether they stay under MAX_BYTES; four bytes a character is the quick bound."""
    values = entries.values()
    if len(entries) < 2 or not isinstance(next(iter(values)), str | bytes):
        return True
    quick = sum(map(len, entries)) + sum(map(len, values))
    return 4 * quick <= MAX_BYTES or sum(map(_size, [*entries, *values])) <= MAX_BYTES


def _cut(entries: Mapping[Any, V]) -> dict[Any, V]:
    kept: dict[Any, V] = {}
    size = 0
    for key, value in islice(entries.items(), MAX_ENTRIES):
        size += _size(key) + _size(value)
        if size > MAX_BYTES and kept:
            break
        kept[key] = value
    return kept


def _add_entries(
    tx: Transaction,
    into: ByRun[str],
    table: sa.Table,
    run_ids: Sequence[str],
    columns: Sequence[Key],
    kind: Kind,
) -> None:
    keys = [column.name for column in columns if column.kind is kind]
    if not keys:
        return
    query = sa.select(table.c.run_id, table.c.key, table.c.value).where(
        table.c.key.in_(keys), Among(table.c.run_id, "run_ids")
    )
    for some in chunks(run_ids, RUNS_A_QUERY):
        for run_id, key, value in tx.tuples(query, run_ids=some):
            into.setdefault(run_id, {})[key] = value


_STORED = {"last": "last", "min": "min", "max": "max", "mean": "mean", "count": "points"}


def _add_metrics(
    tx: Transaction, into: ByRun[float], run_ids: Sequence[str], columns: Sequence[Key]
) -> None:
    # Here and not above: the package metrics is built on the package store.
    from runwire_server.metrics.keys import key_id

    wanted: dict[int, list[Key]] = {}
    for column in columns:
        if column.kind is Kind.METRIC:
            wanted.setdefault(key_id(column.name), []).append(column)
    if not wanted:
        return
    summaries = metric_summaries.c
    query = sa.select(metric_summaries).where(
        summaries.key_id.in_(sorted(wanted)), Among(summaries.run_id, "run_ids")
    )
    for some in chunks(run_ids, RUNS_A_QUERY):
        for row in tx.execute(query, {"run_ids": some}):
            for column in wanted[row.key_id]:
                value = getattr(row, _STORED[column.function])
                if value is None and column.function != "last":
                    continue  # no finite value: there is no min, max or mean
                into.setdefault(row.run_id, {})[column.label] = math.nan if value is None else value
