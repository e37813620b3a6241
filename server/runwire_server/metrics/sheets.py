"""Points out of stored frames: some series of a run, as sorted columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from runwire_server.metrics import frames
from runwire_server.metrics.frames import INT, Floats, Frame, FrameDamaged, Ints, Origin
from runwire_server.store.database import Transaction
from runwire_server.store.tables import metric_frames

Places = npt.NDArray[np.intp]

# What one query fetches at a time.
FETCH_BYTES = 16 << 20
_FIRST_FETCH = 16
_MAX_FETCH = 4096


class Columns(NamedTuple):
    """The points of one series, in order."""

    steps: Ints
    times: Ints
    values: Floats

    def take(self, order: Places) -> Columns:
        return Columns(self.steps[order], self.times[order], self.values[order])


@dataclass(frozen=True, slots=True)
class Window:
    """Which points are wanted: from ``start``, to before ``end``, on an axis.

    Points are ordered by (step, time, arrival), on the time axis by (time, step,
    arrival).
    """

    by_time: bool = False
    start: int | None = None
    end: int | None = None

    def mask(self, frame: Frame) -> npt.NDArray[np.bool_] | None:
        """The rows inside; None: all of them."""
        if self.start is None and self.end is None:
            return None
        axis = frame.times if self.by_time else frame.steps
        inside = np.ones(len(axis), bool)
        if self.start is not None:
            inside &= axis >= self.start
        if self.end is not None:
            inside &= axis < self.end
        return None if inside.all() else inside

    def overlap(self) -> list[sa.ColumnElement[bool]]:
        """Conditions on ``metric_frames`` without which no row of it can be inside."""
        table = metric_frames.c
        least, most = table.step_min, table.step_max
        if self.by_time:
            least, most = table.time_min, table.time_max
        conditions = []
        if self.start is not None:
            conditions.append(most >= self.start)
        if self.end is not None:
            conditions.append(least < self.end)
        return conditions

    def order(self, columns: Columns, arrivals: Ints) -> Places | None:
        """The stable order of the points; None: they are in order."""
        first, second = columns.steps, columns.times
        if self.by_time:
            first, second = second, first
        if (first[1:] > first[:-1]).all():
            return None
        return np.lexsort((arrivals, second, first))


@dataclass(slots=True)
class _Sheet:
    """The frames of one key set: their rows, and the values of the wanted keys."""

    places: Ints  # of the wanted keys in the frame
    frames: list[Frame] = field(default_factory=list)
    arrivals: list[int] = field(default_factory=list)  # of the frames


class _Sorted(NamedTuple):
    steps: Ints
    times: Ints
    arrivals: Ints
    by_key: Floats  # values[key, row]


class Sheets:
    """Some series of a run within a window, held in memory.

    Damaged frames are left out and named in ``damaged``.
    """

    def __init__(self, tx: Transaction, run_id: str, key_ids: Iterable[int], window: Window):
        self._wanted = np.array(sorted(key_ids), INT)
        self._window = window
        self.damaged: list[FrameDamaged] = []
        self._sheets: dict[bytes, _Sheet] = {}
        for origin, arrival, payload in _payloads(tx, run_id, window):
            try:
                decoded = frames.decode(payload, origin)
            except FrameDamaged as error:
                self.damaged.append(error)
                continue
            for frame in decoded:
                self._add(frame, arrival)
        self._found: dict[int, list[tuple[_Sorted, int]]] = {}
        while self._sheets:
            self._sort(self._sheets.popitem()[1])

    def columns(self, key_id: int) -> Columns:
        """The points of one series, in the window's order; none is fine."""
        parts = self._found.get(key_id, [])
        if len(parts) == 1:
            sheet, row = parts[0]
            return Columns(sheet.steps, sheet.times, sheet.by_key[row])
        if not parts:
            return Columns(np.empty(0, INT), np.empty(0, INT), np.empty(0, frames.FLOAT))
        joined = Columns(
            np.concatenate([sheet.steps for sheet, _ in parts]),
            np.concatenate([sheet.times for sheet, _ in parts]),
            np.concatenate([sheet.by_key[row] for sheet, row in parts]),
        )
        order = self._window.order(joined, np.concatenate([sheet.arrivals for sheet, _ in parts]))
        return joined if order is None else joined.take(order)

    def _add(self, frame: Frame, arrival: int) -> None:
        key_set = frame.key_ids.tobytes()
        sheet = self._sheets.get(key_set)
        if sheet is None:
            sheet = _Sheet(np.flatnonzero(np.isin(frame.key_ids, self._wanted)))
            self._sheets[key_set] = sheet
        if not len(sheet.places):
            return
        inside = self._window.mask(frame)
        if inside is not None:
            if not inside.any():
                return
            frame = frame._replace(
                steps=frame.steps[inside], times=frame.times[inside], values=frame.values[inside]
            )
        if len(sheet.places) < len(frame.key_ids):
            # Copies, so that the payload with all other series can go.
            frame = Frame(
                frame.key_ids[sheet.places],
                frame.steps.copy(),
                frame.times.copy(),
                frame.values[:, sheet.places],
            )
        sheet.arrivals.append(arrival)
        sheet.frames.append(frame)

    def _sort(self, sheet: _Sheet) -> None:
        if not sheet.frames:
            return
        joined = Columns(
            np.concatenate([frame.steps for frame in sheet.frames]),
            np.concatenate([frame.times for frame in sheet.frames]),
            np.concatenate([frame.values for frame in sheet.frames]),
        )
        key_ids = sheet.frames[0].key_ids
        arrivals = np.repeat(sheet.arrivals, [len(frame.steps) for frame in sheet.frames])
        sheet.frames.clear()
        order = self._window.order(joined, arrivals)
        if order is not None:
            joined = joined.take(order)
            arrivals = arrivals[order]
        by_key = np.ascontiguousarray(joined.values.T)
        result = _Sorted(joined.steps, joined.times, arrivals, by_key)
        for row, key in enumerate(key_ids.tolist()):
            self._found.setdefault(key, []).append((result, row))


def _payloads(tx: Transaction, run_id: str, window: Window) -> Iterator[tuple[Origin, int, bytes]]:
    """(origin, arrival, payload) of the run's frames that may reach into the window, in the
    order of arrival; about ``FETCH_BYTES`` in memory at a time."""
    table = metric_frames.c
    query = (
        sa.select(table.writer_id, table.sequence, table.arrival, table.data)
        .where(table.run_id == run_id, *window.overlap())
        .order_by(table.arrival)
    )
    rows = tx.execute(query.limit(_FIRST_FETCH)).all()
    while rows:
        for row in rows:
            yield Origin(run_id, row.writer_id, row.sequence), row.arrival, row.data
        size = 1 + sum(len(row.data) for row in rows) // len(rows)
        limit = min(max(FETCH_BYTES // size, _FIRST_FETCH), _MAX_FETCH)
        rows = tx.execute(query.where(table.arrival > rows[-1].arrival).limit(limit)).all()


def windows(
    tx: Transaction, run_id: str, window: Window, points: int, max_points: int
) -> list[Window]:
    """The window in consecutive parts, for a series of so many points, of which each
    brings about ``max_points`` into memory.
    """
    if points <= max_points:
        return [window]
    table = metric_frames.c
    least = table.time_min if window.by_time else table.step_min
    query = (
        sa.select(least.label("least"), table.points)
        .where(table.run_id == run_id, *window.overlap())
        .order_by(least)
    )
    rows = tx.execute(query).all()
    share = min(1.0, points / max(1, sum(row.points for row in rows)))
    cuts: list[int | None] = [window.start]
    held = 0.0
    for row in rows:
        if held >= max_points and (cuts[-1] is None or row.least > cuts[-1]):
            cuts.append(row.least)
            held = 0.0
        held += row.points * share
    ends = [*cuts[1:], window.end]
    return [Window(window.by_time, start, end) for start, end in zip(cuts, ends, strict=True)]
