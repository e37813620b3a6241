"""Which stretch of an axis is wanted, and how to cut it into parts that fit in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from runwire_server.metrics.frames import Ints
from runwire_server.metrics.outstanding import PLACE_BITS
from runwire_server.metrics.rows import Rows
from runwire_server.store.database import Transaction
from runwire_server.store.tables import metric_blocks, metric_frames

# By table: the first arrival of a row.
_ARRIVALS = {metric_frames: metric_frames.c.arrival, metric_blocks: metric_blocks.c.first_arrival}


@dataclass(frozen=True, slots=True)
class Window:
    """From ``start``, to before ``end``, on an axis; of what arrived up to ``until``.

    Points are ordered by (step, time, arrival), on the time axis by (time, step,
    arrival).
    """

    by_time: bool = False
    start: int | None = None
    end: int | None = None
    until: int | None = None

    def clip(self, rows: Rows) -> Rows | None:
        """The rows inside; None: there is none."""
        inside = self.inside(rows.steps, rows.times, rows.arrivals)
        if inside is None:
            return rows
        return rows.take(inside) if inside.any() else None

    def inside(self, steps: Ints, times: Ints, arrivals: Ints) -> npt.NDArray[np.bool_] | None:
        """Which rows are; None: all."""
        axis = times if self.by_time else steps
        inside = np.ones(len(axis), bool)
        if self.start is not None:
            inside &= axis >= self.start
        if self.end is not None:
            inside &= axis < self.end
        if self.until is not None:
            inside &= arrivals < (self.until + 1) << PLACE_BITS
        return None if inside.all() else inside

    def overlap(self, table: sa.Table) -> list[sa.ColumnElement[bool]]:
        """Conditions on frames or blocks without which no row of theirs can be inside."""
        least, most = self.range_of(table)
        conditions: list[sa.ColumnElement[bool]] = []
        if self.start is not None:
            conditions.append(most >= self.start)
        if self.end is not None:
            conditions.append(least < self.end)
        if self.until is not None:
            conditions.append(_ARRIVALS[table] <= self.until)
        return conditions

    def range_of(self, table: sa.Table) -> tuple[sa.Column[int], sa.Column[int]]:
        """Columns: the least and the greatest of a row, on this axis."""
        axis = "time" if self.by_time else "step"
        return table.c[f"{axis}_min"], table.c[f"{axis}_max"]


def windows(
    tx: Transaction, run_id: str, window: Window, points: int, max_points: int
) -> list[Window]:
    """The window in consecutive parts, for a series of so many points, of which each
    brings about ``max_points`` into memory."""
    if points <= max_points:
        return [window]
    found = sorted(
        chain(*(_extents(tx, run_id, window, t) for t in (metric_frames, metric_blocks)))
    )
    share = min(1.0, points / max(1, sum(size for _, size in found)))
    cuts: list[int | None] = [window.start]
    held = 0.0
    for least, size in found:
        if held >= max_points and (cuts[-1] is None or least > cuts[-1]):
            cuts.append(least)
            held = 0.0
        held += size * share
    ends = [*cuts[1:], window.end]
    return [replace(window, start=start, end=end) for start, end in zip(cuts, ends, strict=True)]


def _extents(
    tx: Transaction, run_id: str, window: Window, table: sa.Table
) -> list[tuple[int, int]]:
    """(where it begins, its points) of every row; folded frames count twice, which is no harm."""
    query = sa.select(window.range_of(table)[0].label("least"), table.c.points)
    found = tx.execute(query.where(table.c.run_id == run_id, *window.overlap(table)))
    return [(row.least, row.points) for row in found]
