"""Points of many series, as sorted columns, in stretches that follow one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from runwire_server.metrics import rows
from runwire_server.metrics.blocks import BlockDamaged
from runwire_server.metrics.frames import FLOAT, INT, Floats, Ints
from runwire_server.metrics.rows import Places
from runwire_server.metrics.sheet import Piece, Sheet

# Rows of a stretch, unless more of them lie across each other: a message, a block.
STRETCH_ROWS = 1 << 15


class Columns(NamedTuple):
    """The points of one series, in order."""

    steps: Ints
    times: Ints
    values: Floats

    def take(self, order: Places) -> Columns:
        return Columns(self.steps[order], self.times[order], self.values[order])


NO_POINTS = Columns(np.empty(0, INT), np.empty(0, INT), np.empty(0, FLOAT))


class Stretch:
    """The series in a stretch of the axis."""

    def __init__(
        self, pieces: Iterable[Piece], by_time: bool, damaged: Callable[[BlockDamaged], None]
    ):
        self._by_time = by_time
        self._found: dict[int, list[tuple[Sheet, int]]] = {}
        groups: dict[bytes, list[Piece]] = {}
        for piece in pieces:
            groups.setdefault(piece.key_ids.tobytes(), []).append(piece)
        while groups:
            alike = groups.popitem()[1]
            sheet = Sheet(alike, by_time, damaged)
            for place, key in enumerate(alike[0].key_ids.tolist()):
                self._found.setdefault(key, []).append((sheet, place))

    def __contains__(self, key_id: int) -> bool:
        return key_id in self._found

    def columns(self, key_id: int) -> Columns:
        """The points of one series, in order; none is fine."""
        found = [(sheet.column(place), sheet) for sheet, place in self._found.get(key_id, ())]
        if len(found) == 1:
            values, sheet = found[0]
            return Columns(sheet.steps, sheet.times, values)
        if not found:
            return NO_POINTS
        steps = np.concatenate([sheet.steps for _, sheet in found])
        times = np.concatenate([sheet.times for _, sheet in found])
        arrivals = np.concatenate([sheet.arrivals for _, sheet in found])
        joined = Columns(steps, times, np.concatenate([values for values, _ in found]))
        order = rows.sorting(steps, times, arrivals, by_time=self._by_time)
        return joined if order is None else joined.take(order)


def apart(pieces: Iterable[Piece], by_time: bool) -> Iterator[list[Piece]]:
    """Some pieces at a time, all of them before all of the next on the axis."""

    def bounds(piece: Piece) -> tuple[int, int]:
        axis = piece.times if by_time else piece.steps
        return int(axis.min()), int(axis.max())

    found = list(pieces)
    some: list[int] = []
    end = held = 0
    for (least, greatest), place in sorted((bounds(piece), n) for n, piece in enumerate(found)):
        more = len(found[place].steps)
        if some and least > end and held + more > STRETCH_ROWS:
            yield [found[place] for place in sorted(some)]  # in the order of arrival
            some, held = [], 0
        end = max(end, greatest) if some else greatest
        some.append(place)
        held += more
    if some:
        yield [found[place] for place in sorted(some)]
