"""Points out of stored blocks and frames: some series of a run, as sorted columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from runwire_server.metrics import block_store, frames, rows
from runwire_server.metrics.blocks import BlockDamaged
from runwire_server.metrics.frames import FLOAT, INT, Floats, FrameDamaged, Ints
from runwire_server.metrics.outstanding import PLACE_BITS, Stored
from runwire_server.metrics.rows import Places, Rows
from runwire_server.metrics.window import Window
from runwire_server.store.database import Transaction
from runwire_server.store.tables import metric_blocks, metric_frames, runs

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


class Sheets:
    """Some series of a run within a window, held in memory; of what arrived up to ``until``.

    Damaged frames and blocks are left out and named in ``damaged``.
    """

    def __init__(
        self, tx: Transaction, run_id: str, key_ids: Iterable[int], window: Window, until: int
    ):
        self._tx, self._run_id, self._window, self._until = tx, run_id, window, until
        self._wanted = np.unique(np.fromiter(key_ids, INT))
        self.damaged: list[FrameDamaged | BlockDamaged] = []
        groups: dict[bytes, list[Rows]] = {}
        for part in self._parts():
            inside = window.clip(part)
            if inside is not None:
                groups.setdefault(inside.key_ids.tobytes(), []).append(inside)
        self._found: dict[int, list[tuple[Rows, int]]] = {}
        while groups:
            sheet = rows.in_order(rows.join(groups.popitem()[1]), by_time=window.by_time)
            for place, key in enumerate(sheet.key_ids.tolist()):
                self._found.setdefault(key, []).append((sheet, place))

    def columns(self, key_id: int) -> Columns:
        """The points of one series, in the window's order; none is fine."""
        parts = self._found.get(key_id, [])
        if len(parts) == 1:
            sheet, place = parts[0]
            return Columns(sheet.steps, sheet.times, sheet.values[place])
        if not parts:
            return Columns(np.empty(0, INT), np.empty(0, INT), np.empty(0, FLOAT))
        steps = np.concatenate([sheet.steps for sheet, _ in parts])
        times = np.concatenate([sheet.times for sheet, _ in parts])
        arrivals = np.concatenate([sheet.arrivals for sheet, _ in parts])
        joined = Columns(steps, times, np.concatenate([s.values[place] for s, place in parts]))
        order = rows.sorting(steps, times, arrivals, by_time=self._window.by_time)
        return joined if order is None else joined.take(order)

    def _parts(self) -> Iterator[Rows]:
        """The wanted columns of everything stored."""
        folded = self._tx.execute(
            sa.select(runs.c.folded_arrival).where(runs.c.run_id == self._run_id)
        ).scalar_one_or_none()
        if folded:
            yield from self._folded()
        yield from self._unfolded(folded or 0)

    def _folded(self) -> Iterator[Rows]:
        sets = block_store.key_sets(self._tx, self._run_id)
        places = {
            number: np.flatnonzero(np.isin(key_ids, self._wanted))
            for number, key_ids in sets.items()
        }
        overlap = [
            *self._window.overlap(metric_blocks),
            metric_blocks.c.first_arrival <= self._until,
        ]
        found: dict[int, list[sa.Row[Any]]] = {}
        for row in block_store.listed(self._tx, self._run_id, *overlap):
            found.setdefault(row.set_id, []).append(row)
        for number, blocks in found.items():
            if number == block_store.SCATTERED:
                yield from self._scattered(blocks)
            elif len(places[number]):
                yield from self._of_set(number, sets[number], places[number], blocks)

    def _of_set(
        self, number: int, key_ids: Ints, places: Places, found: list[sa.Row[Any]]
    ) -> Iterator[Rows]:
        wanted = block_store.Wanted(number, len(key_ids), places.tolist())
        for block in self._load(wanted, found):
            axis, values = block.axis, np.stack(block.columns)
            part = Rows(key_ids[places], axis.steps, axis.times, axis.arrivals, values)
            yield self._arrived(part)

    def _scattered(self, found: list[sa.Row[Any]]) -> Iterator[Rows]:
        for block in self._load(block_store.Wanted(block_store.SCATTERED, 1, [0]), found):
            for part in block_store.scattered_rows(block, self._wanted):
                yield self._arrived(part)

    def _arrived(self, part: Rows) -> Rows:
        """Of rows of a block, those that may be seen: nearly always all."""
        seen = part.arrivals < (self._until + 1) << PLACE_BITS
        return part if seen.all() else part.take(seen)

    def _load(
        self, wanted: block_store.Wanted, found: list[sa.Row[Any]]
    ) -> Iterator[block_store.Block]:
        return block_store.load(self._tx, self._run_id, wanted, found, self.damaged.append)

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
            .where(table.run_id == self._run_id, table.arrival <= self._until)
            .where(*self._window.overlap(metric_frames))
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
