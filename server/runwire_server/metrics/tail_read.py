"""What a run got behind a place, in the order of arrival, whether it is folded or not.

The order is one and the same at all times, so that a tail that was cut inside of a frame
goes on there: frames as they arrived, the rows of one by (step, time), its columns by
their key ids.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

from runwire_server.metrics import history, rows
from runwire_server.metrics.frames import Frame, FrameDamaged, Origin
from runwire_server.metrics.outstanding import PLACE_BITS, Stored
from runwire_server.metrics.rows import Rows
from runwire_server.metrics.selection import Chosen
from runwire_server.metrics.tail_spans import spans_of
from runwire_server.store.database import Transaction
from runwire_server.store.tables import metric_frames, metric_summaries

log = logging.getLogger("runwire.metrics")

# Frames of one read: as many as come to so many bytes, these at the least and the most.
READ_BYTES = 4 << 20
MIN_FRAMES, MAX_FRAMES = 8, 1024


class Arrived(NamedTuple):
    """Rows in the order of arrival, up to the arrival ``until``; a frame is inside of one
    span. ``left_out``: some of it is damaged."""

    spans: list[Rows]
    until: int
    left_out: bool


class TailReader:
    """Reads of one run, one after the other."""

    def __init__(self, run_id: str, chosen: Chosen):
        self._run_id, self._chosen = run_id, chosen
        self._limit = MIN_FRAMES
        self._folded = 0
        self._folded_keys: list[int] = []

    def read(self, tx: Transaction, run: sa.Row[Any], next_place: int) -> Arrived:
        """What comes next from a place on, some MiB of it. ``run``: its row, in this
        transaction; it has more to read."""
        after = (next_place >> PLACE_BITS) - 1
        found = self._frames(tx, after)
        if found:
            return self._unfolded(tx, found, next_place)
        if after < run.folded_arrival:
            return self._history(tx, run, after, next_place)
        # Whatever was there is gone, which nobody but a fault does.
        return Arrived([], run.last_arrival, left_out=True)

    def _frames(self, tx: Transaction, after: int) -> Sequence[sa.Row[Any]]:
        """Those that follow ``after`` without a gap: some may be removed, as they are folded."""
        table = metric_frames.c
        query = (
            sa.select(table.arrival, table.writer_id, table.sequence, table.data)
            .where(table.run_id == self._run_id, table.arrival > after)
            .order_by(table.arrival)
            .limit(self._limit)
        )
        found = tx.execute(query).all()
        dense = [row for place, row in enumerate(found, after + 1) if row.arrival == place]
        if dense:
            size = 1 + sum(len(row.data) for row in dense) // len(dense)
            self._limit = min(max(READ_BYTES // size, MIN_FRAMES), MAX_FRAMES)
        return dense

    def _unfolded(self, tx: Transaction, found: Sequence[sa.Row[Any]], next_place: int) -> Arrived:
        until, left_out = found[0].arrival, False
        parts: list[Rows] = []
        for row in found:
            until = row.arrival
            try:
                origin = Origin(self._run_id, row.writer_id, row.sequence)
                decoded = Stored(row.arrival, origin, row.data).decode()
            except FrameDamaged as error:
                log.error("%s; a tail goes on without them", error)
                left_out = True
                break
            for frame, place in decoded:
                if place >= next_place:
                    parts += self._narrowed(tx, frame, place)
        return Arrived(list(_joined(parts)), until, left_out)

    def _narrowed(self, tx: Transaction, frame: Frame, place: int) -> Iterable[Rows]:
        """The wanted columns of a frame, if it has any."""
        places = self._chosen.places(tx, frame.key_ids)
        if not len(places):
            return []
        narrow = Frame(frame.key_ids[places], frame.steps, frame.times, frame.values[:, places])
        return [rows.in_order(rows.of_frame(narrow, place))]

    def _history(self, tx: Transaction, run: sa.Row[Any], after: int, next_place: int) -> Arrived:
        if run.folded_arrival != self._folded:
            table = metric_summaries.c
            all_keys = sa.select(table.key_id).where(table.run_id == self._run_id)
            self._folded_keys = self._chosen.wanted(tx, tx.execute(all_keys).scalars())
            self._folded = run.folded_arrival
        stretch = history.read_stretch(tx, self._run_id, self._folded_keys, after)
        if stretch is None:
            return Arrived([], run.folded_arrival, self._has_damaged(tx, after, run.folded_arrival))
        for error in stretch.damaged:
            log.error("%s; a tail goes on without them", error)
        spans = list(spans_of(stretch.parts, next_place))
        left_out = bool(stretch.damaged) or self._has_damaged(tx, after, stretch.until)
        return Arrived(spans, stretch.until, left_out)

    def _has_damaged(self, tx: Transaction, after: int, until: int) -> bool:
        """Whether frames of these arrivals could not be folded."""
        table = metric_frames.c
        inside = (table.arrival > after, table.arrival <= until)
        query = sa.select(table.arrival).where(table.run_id == self._run_id, table.damaged, *inside)
        return tx.execute(query.limit(1)).first() is not None


def _joined(parts: Sequence[Rows]) -> Iterator[Rows]:
    """Frames of the same keys that follow one another, as one span."""
    keyed = ((part.key_ids.tobytes(), part) for part in parts)
    for _, group in groupby(keyed, itemgetter(0)):
        members = [part for _, part in group]
        yield members[0] if len(members) == 1 else rows.join(members)
