"""What a ReadSeries request asks for, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from runwire.v1.metric_service_pb2 import ReadSeriesRequest

from runwire_server.errors import FieldInvalid
from runwire_server.metrics import read_place
from runwire_server.metrics.read_place import Place
from runwire_server.metrics.reduce import (
    BUCKET_POINTS,
    POINTS_A_BUCKET,
    Cutter,
    Grid,
    Range,
    Reducer,
)
from runwire_server.metrics.selection import Selection
from runwire_server.metrics.series import extent
from runwire_server.metrics.window import Window
from runwire_server.store.database import Transaction

MAX_REDUCED = 1_000_000
# For a reduction that says no number: more than a screen has columns.
DEFAULT_REDUCED = 2_000

_INT64_MIN, _INT64_MAX = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked request."""

    selection: Selection
    by_time: bool
    relative: bool  # bounds count from each run's start
    start: int | None
    end: int | None
    reduce: ReadSeriesRequest.Reduce
    max_points: int  # of a series, where ``reduces``
    digest: bytes
    resume: Place | None

    @classmethod
    def of(cls, request: ReadSeriesRequest) -> Plan:
        """Raises ``FieldInvalid``."""
        selection = Selection.of(request.select)
        reduce = request.reduce
        if reduce == ReadSeriesRequest.REDUCE_UNSPECIFIED and not request.max_points:
            reduce = ReadSeriesRequest.REDUCE_NONE
        relative = request.axis == ReadSeriesRequest.AXIS_RELATIVE_TIME
        digest = read_place.digest_of(request)
        return cls(
            selection=selection,
            by_time=relative or request.axis == ReadSeriesRequest.AXIS_TIME,
            relative=relative,
            start=request.range_start if request.HasField("range_start") else None,
            end=request.range_end if request.HasField("range_end") else None,
            reduce=reduce,
            max_points=_max_points(request.max_points, reduce),
            digest=digest,
            resume=read_place.decode(request.resume, digest) if request.resume else None,
        )

    @property
    def reduces(self) -> bool:
        return self.reduce != ReadSeriesRequest.REDUCE_NONE

    @property
    def shape(self) -> bool:
        return self.reduce == ReadSeriesRequest.REDUCE_SHAPE

    def held(self, points: int) -> int:
        """What stays in memory of a series of so many points, in points."""
        return min(points, BUCKET_POINTS * self.max_points) if self.reduces else points

    def origin(self, run: sa.Row[Any]) -> int:
        """Where the asked axis has its 0 in the times or steps of a run."""
        if not self.relative:
            return 0
        return int(run.create_time if run.start_time is None else run.start_time)

    def range(self, tx: Transaction, found: Sequence[sa.Row[Any]]) -> Range:
        """What buckets have to cover: what was asked for, and where that is open, all that
        the selected series have. (0, 1) where nothing is to be reduced or nothing is there."""
        if not self.reduces:
            return Range(0, 1)
        if self.resume is not None:
            return self.resume.range
        start, end = self.start, self.end
        if start is None or end is None:
            least, after = self._extent(tx, found)
            start, end = least if start is None else start, after if end is None else end
        return Range(start, max(end, start + 1))

    def _extent(self, tx: Transaction, found: Sequence[sa.Row[Any]]) -> Range:
        origins = {run.run_id: self.origin(run) for run in found}
        extents = [
            (row.least - origins[row.run_id], row.greatest - origins[row.run_id])
            for row in extent(tx, self.selection, by_time=self.by_time)
        ]
        if not extents:
            return Range(0, 1)
        return Range(min(low for low, _ in extents), max(high for _, high in extents) + 1)

    def window(self, run: sa.Row[Any], range: Range, until: int) -> Window:
        """What is wanted of a run, in its own times or steps, of what arrived up to ``until``.
        Of a reduced read no more than its buckets cover: these reach further where nothing was
        asked for."""
        start, end = self.start, self.end
        if self.reduces:
            start, end = range.start, range.end if end is None else min(range.end, end)
        return replace(_window(self.by_time, start, end, self.origin(run)), until=until)

    def grid(self, range: Range) -> Grid:
        return Grid.over(range, max(1, self.max_points // (POINTS_A_BUCKET if self.shape else 1)))

    def reducer(self, cutter: Cutter) -> Reducer:
        """For one series."""
        always = self.reduce == ReadSeriesRequest.REDUCE_BUCKETS
        return Reducer(cutter, None if always else self.max_points, to_shape=self.shape)


def _max_points(asked: int, reduce: ReadSeriesRequest.Reduce) -> int:
    """How many points a series may have after its reduction; 0 for none."""
    if asked < 0:
        raise FieldInvalid("max_points", "must not be negative")
    if reduce == ReadSeriesRequest.REDUCE_NONE:
        return 0
    if asked > MAX_REDUCED:
        raise FieldInvalid("max_points", f"a reduction has at most {MAX_REDUCED}")
    if reduce == ReadSeriesRequest.REDUCE_SHAPE and 0 < asked < POINTS_A_BUCKET:
        raise FieldInvalid("max_points", f"REDUCE_SHAPE needs {POINTS_A_BUCKET} at least")
    return asked or DEFAULT_REDUCED


def _window(by_time: bool, start: int | None, end: int | None, origin: int) -> Window:
    """Bounds from ``origin`` on, of which those beyond int64 bound nothing, or leave nothing."""
    low = None if start is None or start + origin <= _INT64_MIN else start + origin
    high = None if end is None or end + origin > _INT64_MAX else max(end + origin, _INT64_MIN)
    if low is not None and low > _INT64_MAX:
        return Window(by_time, _INT64_MAX, _INT64_MAX)
    return Window(by_time, low, high)
