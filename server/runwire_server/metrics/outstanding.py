"""Which frames are acknowledged but not in the summaries yet, a chunk at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

from runwire_server.metrics import frames
from runwire_server.metrics.frames import Frame
from runwire_server.store.database import Transaction
from runwire_server.store.tables import metric_frames

log = logging.getLogger("runwire.metrics")

CHUNK_BYTES = 32 << 20
CHUNK_FRAMES = 4096


# A frame's place in the order of arrival of its run: the arrival of its batch, and in the
# low bits which frame of the batch it is.
PLACE_BITS = 20


class Stored(NamedTuple):
    """A row of ``metric_frames``."""

    arrival: int
    origin: frames.Origin
    data: bytes

    def decode(self) -> list[tuple[Frame, int]]:
        """Its frames and their places in the order of arrival. Raises ``FrameDamaged``."""
        first = self.arrival << PLACE_BITS
        found = frames.decode(self.data, self.origin)
        return [(frame, first + place) for place, frame in enumerate(found)]


def chunk_end(tx: Transaction, run_id: str, after: int, until: int) -> int:
    """The last arrival of the chunk that begins behind ``after``: at most ``until``,
    ``CHUNK_FRAMES`` and ``CHUNK_BYTES`` (or one frame). ``after``: there is nothing."""
    query = (
        sa.select(metric_frames.c.arrival, sa.func.length(metric_frames.c.data).label("size"))
        .where(
            metric_frames.c.run_id == run_id,
            metric_frames.c.arrival > after,
            metric_frames.c.arrival <= until,
        )
        .order_by(metric_frames.c.arrival)
        .limit(CHUNK_FRAMES)
    )
    held = 0
    for row in tx.execute(query):
        held += row.size
        if held > CHUNK_BYTES and held > row.size:
            break
        after = row.arrival
    return after


def read_frames(tx: Transaction, run_id: str, after: int, until: int) -> Iterator[Stored]:
    """The frames behind ``after`` up to ``until``, in the order of arrival."""
    table = metric_frames.c
    query = (
        sa.select(table.arrival, table.writer_id, table.sequence, table.data)
        .where(table.run_id == run_id, table.arrival > after, table.arrival <= until)
        .order_by(table.arrival)
    )
    for row in tx.execute(query):
        yield Stored(row.arrival, frames.Origin(run_id, row.writer_id, row.sequence), row.data)


def decoded(stored: Iterator[Stored]) -> Iterator[tuple[Frame, int]]:
    """Frames and their places; reads of the points report those that cannot be read."""
    for one in stored:
        try:
            yield from one.decode()
        except frames.FrameDamaged as error:
            log.error("%s; its points are missing from the summaries", error)
