"""Rows that share their keys, in order. A column of values is made when it is asked for:
it is then reduced, or sent, while it is still in the processor's cache, and what waits in
memory is compressed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from runwire_server.metrics import rows
from runwire_server.metrics.block_store import Block
from runwire_server.metrics.blocks import BlockDamaged
from runwire_server.metrics.frames import FLOAT, Floats, Ints
from runwire_server.metrics.rows import Rows
from runwire_server.metrics.window import Window


class Piece(Protocol):
    """Some of the rows, with all their columns."""

    @property
    def key_ids(self) -> Ints: ...
    @property
    def steps(self) -> Ints: ...
    @property
    def times(self) -> Ints: ...
    @property
    def arrivals(self) -> Ints: ...

    def fill(self, place: int, into: Floats) -> None:
        """Write the column at this place. Raises ``BlockDamaged``."""


class BlockPiece(NamedTuple):
    """The rows of a block that are ``inside`` of a window; None: all."""

    key_ids: Ints
    steps: Ints
    times: Ints
    arrivals: Ints
    block: Block
    inside: npt.NDArray[np.bool_] | None

    @classmethod
    def of(cls, key_ids: Ints, block: Block, window: Window) -> BlockPiece | None:
        axis = block.axis
        inside = window.inside(axis.steps, axis.times, axis.arrivals)
        if inside is None:
            return cls(key_ids, axis.steps, axis.times, axis.arrivals, block, None)
        if not inside.any():
            return None
        steps, times, arrivals = (column[inside] for column in axis[:3])
        return cls(key_ids, steps, times, arrivals, block, inside)

    def fill(self, place: int, into: Floats) -> None:
        if self.inside is None:
            self.block.decode(place, into)
            return
        whole = np.empty(len(self.inside), FLOAT)
        self.block.decode(place, whole)
        into[:] = whole[self.inside]


class Sheet:
    """The rows of some pieces. A block that turns out to be damaged is left out from then on,
    and ``damaged`` is told."""

    def __init__(
        self, pieces: Sequence[Piece], by_time: bool, damaged: Callable[[BlockDamaged], None]
    ):
        self._by_time, self._damaged = by_time, damaged
        self._arrange(_together(pieces))

    def _arrange(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        steps, times, arrivals = (
            _joined([getattr(piece, name) for piece in pieces])
            for name in ("steps", "times", "arrivals")
        )
        order = rows.sorting(steps, times, arrivals, by_time=self._by_time)
        if order is not None:
            steps, times, arrivals = steps[order], times[order], arrivals[order]
        self.steps, self.times, self.arrivals, self._order = steps, times, arrivals, order

    def column(self, place: int) -> Floats:
        """The values of a key. Ask for it before the rows: these can become fewer."""
        values: Floats = self._values(place)
        if self._order is not None:
            values = np.take(values, self._order)
        return values

    def _values(self, place: int) -> Floats:
        if len(self._pieces) == 1 and isinstance(self._pieces[0], Rows):
            whole: Floats = self._pieces[0].values[place]
            return whole
        values, at = np.empty(len(self.steps), FLOAT), 0
        for piece in self._pieces:
            end = at + len(piece.steps)
            try:
                piece.fill(place, values[at:end])
            except BlockDamaged as error:
                self._damaged(error)
                self._arrange([one for one in self._pieces if one is not piece])
                return self._values(place)
            at = end
        return values


def _together(pieces: Sequence[Piece]) -> Sequence[Piece]:
    """With their frames joined to one: a frame has its columns across its rows, and each of
    them goes the way through memory that the first one would have to go."""
    loose = [piece for piece in pieces if isinstance(piece, Rows)]
    if not loose:
        return pieces
    return [*(piece for piece in pieces if not isinstance(piece, Rows)), rows.join(loose)]


def _joined(arrays: Sequence[Ints]) -> Ints:
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([np.empty(0, np.int64), *arrays])
