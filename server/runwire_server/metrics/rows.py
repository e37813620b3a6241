"""Rows of points that share their keys: what frames and blocks become in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from runwire_server.metrics.frames import FLOAT, Floats, Frame, Ints

Places = npt.NDArray[np.intp]


class Rows(NamedTuple):
    """R rows of K keys; ``values[k, r]``. An arrival is the place of the row's frame in
    the order of arrival (see ``outstanding.PLACE_BITS``)."""

    key_ids: Ints
    steps: Ints
    times: Ints
    arrivals: Ints
    values: Floats

    @property
    def points(self) -> int:
        return int(self.values.size)

    def fill(self, place: int, into: Floats) -> None:
        """Write a column of values."""
        into[:] = self.values[place]

    def take(self, places: Places | npt.NDArray[np.bool_] | slice) -> Rows:
        """Some of the rows."""
        return Rows(
            self.key_ids,
            self.steps[places],
            self.times[places],
            self.arrivals[places],
            self.values[:, places],
        )


def of_frame(frame: Frame, place: int) -> Rows:
    """The rows of a frame; a view of it."""
    arrivals = np.full(len(frame.steps), place)
    return Rows(frame.key_ids, frame.steps, frame.times, arrivals, frame.values.T)


def join(parts: Sequence[Rows]) -> Rows:
    """All rows of parts that have the same keys, one part after the other.

    Each key's values lie one behind the other in memory.
    """
    if len(parts) == 1:
        return parts[0]._replace(values=np.ascontiguousarray(parts[0].values))
    values = np.empty((len(parts[0].key_ids), sum(len(part.steps) for part in parts)), FLOAT)
    at = 0
    for part in parts:
        values[:, at : at + len(part.steps)] = part.values
        at += len(part.steps)
    return Rows(
        parts[0].key_ids,
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.arrivals for part in parts]),
        values,
    )


def in_order(rows: Rows, *, by_time: bool = False) -> Rows:
    """Ordered by (step, time, arrival); by_time: by (time, step, arrival)."""
    order = sorting(rows.steps, rows.times, rows.arrivals, by_time=by_time)
    return rows if order is None else rows.take(order)


def sorting(steps: Ints, times: Ints, arrivals: Ints, *, by_time: bool = False) -> Places | None:
    """The stable order of points; None: they are in order."""
    first, second = (times, steps) if by_time else (steps, times)
    up = first[1:] > first[:-1]
    if up.all():
        return None
    up |= (first[1:] == first[:-1]) & (
        (second[1:] > second[:-1]) | ((second[1:] == second[:-1]) & (arrivals[1:] >= arrivals[:-1]))
    )
    return None if up.all() else np.lexsort((arrivals, second, first))


def cut(rows: Rows, max_rows: int) -> Iterator[Rows]:
    """Consecutive stretches of about equal length, at most ``max_rows`` each."""
    count = -(-len(rows.steps) // max_rows)
    edges = np.linspace(0, len(rows.steps), count + 1).astype(int).tolist()
    for start, end in pairwise(edges):
        yield rows.take(slice(start, end))
