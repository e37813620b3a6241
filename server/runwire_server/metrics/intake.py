"""From a ``MetricBatch`` as sent to an ``Entry`` ready to be committed.

Runs in the caller's thread: only checks that need no database, and the encoding of
the points, so that the one committing thread has neither to do.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from runwire.v1 import metric_pb2
from runwire.v1.common_pb2 import Fault
from runwire.v1.metric_pb2 import MetricBatch, Rejection, SeriesName, WriteAck
from runwire.v1.run_pb2 import DatasetInput

from runwire_server.errors import FieldInvalid, TooLarge
from runwire_server.limits import LIMITS
from runwire_server.metrics import frames
from runwire_server.metrics.columns import ColumnCache, Columns
from runwire_server.store.check import check_run_id

MAX_WRITER_ID_BYTES = 64
MAX_REJECTIONS = 200
# protobuf < 7.34 has no bulk access: there a list is the fastest way to an array.
_BULK = hasattr(metric_pb2.Frame().values, "__array__")
# What an entry costs in the queue besides its bytes.
_ENTRY_BYTES = 1024


class Refusals:
    """Points dropped for good, by key."""

    def __init__(self) -> None:
        self._points: dict[str, int] = {}
        self._faults: dict[str, Fault] = {}

    def add(self, key: str, points: int, fault: Fault) -> None:
        self._points[key] = self._points.get(key, 0) + points
        self._faults.setdefault(key, fault)

    def messages(self, sequence: int) -> list[Rejection]:
        """At most ``MAX_REJECTIONS``, so that an ack stays small: the last one, without
        a key, sums up the rest."""
        shown = list(self._faults)
        rest = shown[MAX_REJECTIONS - 1 :] if len(shown) > MAX_REJECTIONS else []
        made = [
            Rejection(
                sequence=sequence,
                key=key[: LIMITS.max_key_bytes],
                points=self._points[key],
                fault=self._faults[key],
            )
            for key in shown[: len(shown) - len(rest)]
        ]
        if rest:
            fault = Fault(reason=self._faults[rest[0]].reason, message=f"{len(rest)} more keys")
            points = sum(self._points[key] for key in rest)
            made.append(Rejection(sequence=sequence, points=points, fault=fault))
        return made


@dataclass(slots=True, eq=False)
class Points:
    """The points of a batch, encoded."""

    payload: bytes
    count: int
    step_min: int
    step_max: int
    time_min: int
    time_max: int
    # Of each frame, in order: its columns and its number of rows.
    columns: list[tuple[Columns, int]]


@dataclass(slots=True, eq=False)
class Entry:
    """One batch (or heartbeat) between ``submit`` and its acknowledgement."""

    run_id: str
    writer_id: str  # empty: a heartbeat without a writer
    sequence: int  # 0: a heartbeat
    position: int = 0
    after_position: int | None = None
    points: Points | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    removed_tags: list[str] = field(default_factory=list)
    inputs: list[DatasetInput] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)
    size_bytes: int = _ENTRY_BYTES
    future: Future[WriteAck] = field(default_factory=Future)


def heartbeat(run_id: str, writer_id: str) -> Entry:
    """Raises ``FieldInvalid``."""
    check_ids(run_id, writer_id)
    return Entry(run_id, writer_id, sequence=0)


def prepare(
    run_id: str,
    writer_id: str,
    batch: MetricBatch,
    names: Mapping[int, str],
    cache: ColumnCache,
) -> Entry:
    """Check and encode a batch. Raises ``FieldInvalid`` and ``TooLarge``."""
    check_ids(run_id, writer_id)
    size = batch.ByteSize()
    if size > LIMITS.max_batch_bytes:
        raise TooLarge("batch", size, LIMITS.max_batch_bytes)
    sequence = batch.sequence
    if not writer_id:
        # Once per call: a writer of its own, so that a second attempt inside the
        # server is recognised as such.
        if sequence not in (0, 1):
            raise FieldInvalid("batch.sequence", "has a meaning only with a writer_id")
        writer_id, sequence = uuid.uuid4().hex, 1
    if sequence < 1:
        raise FieldInvalid("batch.sequence", "counts from 1")
    entry = Entry(run_id, writer_id, sequence, batch.position)
    if batch.HasField("after_position"):
        entry.after_position = batch.after_position
    entry.points = _points(run_id, batch, with_names(names, batch.series), cache, entry.refusals)
    entry.params, entry.tags = dict(batch.params), dict(batch.tags)
    # No database stores a NUL, and one of them refuses to look for it.
    entry.removed_tags = [key for key in batch.removed_tags if "\x00" not in key]
    entry.inputs = list(batch.inputs)
    entry.size_bytes += size
    return entry


def with_names(names: Mapping[int, str], declared: Iterable[SeriesName]) -> Mapping[int, str]:
    """The names with these added; names itself where there is nothing to add. Raises as
    ``new_names``."""
    added = new_names(names, declared)
    return {**names, **added} if added else names


def new_names(names: Mapping[int, str], declared: Iterable[SeriesName]) -> dict[int, str]:
    """Those of these that names lacks. Raises ``FieldInvalid`` where an id gets another key."""
    added: dict[int, str] = {}
    for series in declared:
        known = names.get(series.id, added.get(series.id))
        if known is None:
            added[series.id] = series.key
        elif known != series.key:
            raise FieldInvalid(
                "series",
                f"id {series.id} names {known[:80]!r} and cannot name {series.key[:80]!r}",
            )
    return added


def check_ids(run_id: str, writer_id: str) -> None:
    """Raises ``FieldInvalid``."""
    check_run_id("run_id", run_id)
    if len(writer_id.encode()) > MAX_WRITER_ID_BYTES or not (writer_id + "x").isprintable():
        raise FieldInvalid("writer_id", f"at most {MAX_WRITER_ID_BYTES} printable bytes")


def _points(
    run_id: str,
    batch: MetricBatch,
    names: Mapping[int, str],
    cache: ColumnCache,
    refusals: Refusals,
) -> Points | None:
    made, columns, count = [], [], 0
    for place, message in enumerate(batch.frames):
        cols, frame = _frame(run_id, place, message, names, cache)
        rows = len(frame.steps)
        for key, fault in cols.refused.items():
            refusals.add(key, rows, fault)
        if cols.names:
            made.append(frame)
            columns.append((cols, rows))
            count += frame.values.size
    if not made:
        return None
    return Points(
        frames.encode(made),
        count,
        min(int(frame.steps.min()) for frame in made),
        max(int(frame.steps.max()) for frame in made),
        min(int(frame.times.min()) for frame in made),
        max(int(frame.times.max()) for frame in made),
        columns,
    )


def _frame(
    run_id: str,
    place: int,
    message: metric_pb2.Frame,
    names: Mapping[int, str],
    cache: ColumnCache,
) -> tuple[Columns, frames.Frame]:
    series = message.series
    width, rows = len(series), len(message.steps)
    if not width or not rows:
        raise FieldInvalid(f"batch.frames[{place}]", "needs at least one series and one step")
    if len(message.times_micros) != rows:
        raise FieldInvalid(f"batch.frames[{place}].times_micros", f"must have {rows} entries")
    if len(message.values) != rows * width:
        raise FieldInvalid(
            f"batch.frames[{place}].values", f"must have {rows} x {width} entries, row by row"
        )
    try:
        columns = cache.get(run_id, tuple([names[number] for number in series]))
    except KeyError as error:
        raise FieldInvalid(
            f"batch.frames[{place}].series", f"id {error} was not declared"
        ) from error
    values = _array(message.values, frames.FLOAT).reshape(rows, width)
    if columns.keep is not None:
        values = np.ascontiguousarray(values[:, columns.keep])
    steps = _array(message.steps, frames.INT)
    times = _array(message.times_micros, frames.INT)
    return columns, frames.Frame(columns.key_ids, steps, times, values)


def _array(field: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    return np.asarray(field if _BULK else list(field), dtype)
