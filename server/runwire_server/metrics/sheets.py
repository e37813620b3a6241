"""Points out of stored blocks and frames: some series of a run, a stretch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import sqlalchemy as sa

from runwire_server.metrics import block_store, frames, rows
from runwire_server.metrics.blocks import BlockDamaged
from runwire_server.metrics.frames import INT, FrameDamaged, Ints
from runwire_server.metrics.outstanding import Stored
from runwire_server.metrics.rows import Places, Rows
from runwire_server.metrics.sheet import BlockPiece, Piece
from runwire_server.metrics.stretch import Stretch, apart
from runwire_server.metrics.window import Window
from runwire_server.store.database import Transaction
from runwire_server.store.tables import metric_blocks, metric_frames, runs

# What one query fetches at a time.
FETCH_BYTES = 16 << 20
_FIRST_FETCH = 16
_MAX_FETCH = 4096


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
            for pieces in apart(self._pieces(), window.by_time)
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


def _narrow(frame: frames.Frame, places: Places) -> frames.Frame:
    """Some of its columns. A copy, so that the payload with all the others can go."""
    if len(places) == len(frame.key_ids):
        return frame
    return frames.Frame(
        frame.key_ids[places], frame.steps.copy(), frame.times.copy(), frame.values[:, places]
    )
