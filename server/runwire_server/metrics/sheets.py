"""Points out of stored blocks and frames: some series of a run, as sorted columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from runwire_server.metrics import block_store, frames, rows
from runwire_server.metrics.blocks import BlockDamaged
from runwire_server.metrics.frames import FLOAT, INT, Floats, FrameDamaged, Ints
from runwire_server.metrics.outstanding import Stored
from runwire_server.metrics.rows import Places, Rows
from runwire_server.metrics.sheet import BlockPiece, Piece, Sheet
from runwire_server.metrics.window import Window
from runwire_server.store.database import Transaction
from runwire_server.store.tables import metric_blocks, metric_frames, runs

# Rows of a stretch, unless more of them lie across each other: a message, a block.
STRETCH_ROWS = 1 << 15
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


NO_POINTS = Columns(np.empty(0, INT), np.empty(0, INT), np.empty(0, FLOAT))


class Sheets:
    """Some series of a run within a window, held in memory, in stretches: one behind the
    other on the window's axis.

    Damaged frames and blocks are left out and named in ``damaged``, those of which only
    the numbers are damaged once these are asked for.
    """

    def __init__(self, tx: Transaction, run_id: str, key_ids: Iterable[int], window: Window):
        self._tx, self._run_id, self._window = tx, run_id, window
        self._wanted = np.unique(np.fromiter(key_ids, INT))
        self.damaged: list[FrameDamaged | BlockDamaged] = []
        self.stretches = [
            Stretch(pieces, window.by_time, self.damaged.append)
            for pieces in _apart(self._pieces(), window.by_time)
        ]

    def of(self, key_id: int) -> list[Stretch]:
        """Those with the series, or an empty one."""
        found = [stretch for stretch in self.stretches if key_id in stretch]
        return found or [Stretch((), self._window.by_time, self.damaged.append)]

    def _pieces(self) -> Iterator[Piece]:
        """Rows of everything stored: blocks first, frames in the order of arrival."""
        folded = self._tx.execute(
            sa.select(runs.c.folded_arrival).where(runs.c.run_id == self._run_id)
        ).scalar_one_or_none()
        blocks = self._listed() if folded else {}
        scattered = blocks.pop(block_store.SCATTERED, [])
        sets = block_store.key_sets(self._tx, self._run_id) if blocks else {}
        for number, found in blocks.items():
            yield from self._of_set(number, sets[number], found)
        for part in chain(self._scattered(scattered), self._unfolded(folded or 0)):
            inside = self._window.clip(part)
            if inside is not None:
                yield inside

    def _listed(self) -> dict[int, list[sa.Row[Any]]]:
        """Blocks by their set."""
        overlap = self._window.overlap(metric_blocks)
        found: dict[int, list[sa.Row[Any]]] = {}
        for row in block_store.listed(self._tx, self._run_id, *overlap):
            found.setdefault(row.set_id, []).append(row)
        return found

    def _of_set(self, number: int, key_ids: Ints, found: list[sa.Row[Any]]) -> Iterator[BlockPiece]:
        places = np.flatnonzero(np.isin(key_ids, self._wanted))
        if not len(places):
            return
        wanted = block_store.Wanted(number, len(key_ids), places.tolist())
        for block in block_store.opened(self._tx, self._run_id, wanted, found, self.damaged.append):
            piece = BlockPiece.of(key_ids[places], block, self._window)
            if piece is not None:
                yield piece

    def _scattered(self, found: list[sa.Row[Any]]) -> Iterator[Rows]:
        wanted = block_store.Wanted(block_store.SCATTERED, 1, [0])
        for block in block_store.load(self._tx, self._run_id, wanted, found, self.damaged.append):
            yield from block_store.scattered_rows(block, self._wanted)

    def _unfolded(self, folded: int) -> Iterator[Rows]:
        """Frames behind the folded ones, and those that could not be folded."""
        places: dict[bytes, Places] = {}
        for stored in self._stored(folded):
            try:
                decoded = stored.decode()
            except FrameDamaged as error:
                self.damaged.append(error)
                continue
            for frame, place in decoded:
                key_set = frame.key_ids.tobytes()
                if key_set not in places:
                    places[key_set] = np.flatnonzero(np.isin(frame.key_ids, self._wanted))
                if len(places[key_set]):
                    yield rows.of_frame(_narrow(frame, places[key_set]), place)

    def _stored(self, folded: int) -> Iterator[Stored]:
        """In the order of arrival, about ``FETCH_BYTES`` in memory at a time."""
        table = metric_frames.c
        columns = (table.arrival, table.writer_id, table.sequence, table.data)
        query = (
            sa.select(*columns)
            .where(table.run_id == self._run_id, *self._window.overlap(metric_frames))
            .order_by(table.arrival)
        )
        found = self._tx.execute(query.where(table.damaged, table.arrival <= folded)).all()
        limit = _FIRST_FETCH
        last = folded
        while True:
            if not found:
                found = self._tx.execute(query.where(table.arrival > last).limit(limit)).all()
            if not found:
                return
            for row in found:
                origin = frames.Origin(self._run_id, row.writer_id, row.sequence)
                yield Stored(row.arrival, origin, row.data)
            size = 1 + sum(len(row.data) for row in found) // len(found)
            limit = min(max(FETCH_BYTES // size, _FIRST_FETCH), _MAX_FETCH)
            last = max(last, found[-1].arrival)
            found = []


def _apart(pieces: Iterable[Piece], by_time: bool) -> Iterator[list[Piece]]:
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


def _narrow(frame: frames.Frame, places: Places) -> frames.Frame:
    """Some of its columns. A copy, so that the payload with all the others can go."""
    if len(places) == len(frame.key_ids):
        return frame
    return frames.Frame(
        frame.key_ids[places], frame.steps.copy(), frame.times.copy(), frame.values[:, places]
    )
