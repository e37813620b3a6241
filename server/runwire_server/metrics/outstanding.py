"""Which frames are acknowledged but not in the summaries yet, a chunk at a time.

Chunks follow the order of arrival over all writers of the run: of two points with the
same step and time the later one is met later, in whatever chunk it is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa

from runwire_server.metrics import frames, tally
from runwire_server.metrics.tally import Tally
from runwire_server.store.database import Transaction
from runwire_server.store.tables import metric_frames, metric_writers

log = logging.getLogger("runwire.metrics")

CHUNK_BYTES = 32 << 20
CHUNK_FRAMES = 4096
MIN_FRAMES_A_WRITER = 16

OUTSTANDING = metric_writers.c.committed_sequence > metric_writers.c.summarized_sequence


@dataclass(slots=True)
class Chunk:
    """Frames added up, and how far each of their writers got with them."""

    tally: Tally = tally.EMPTY
    # writer_id -> (summarized_sequence before, and after this chunk)
    advance: dict[str, tuple[int, int]] = field(default_factory=dict)
    complete: bool = True  # nothing was left over


@dataclass(slots=True)
class _Writer:
    writer_id: str
    after: int
    committed: int
    until: int  # taken up to here
    # (arrival, sequence, bytes) of the next frames; ``more``: there are others behind them.
    heads: list[tuple[int, int, int]]
    more: bool


def read_chunk(tx: Transaction, run_id: str) -> Chunk:
    """The next frames of a run, at most ``CHUNK_BYTES`` (or one), in memory until added up."""
    writers = _writers(tx, run_id)
    _take(writers)
    found = [pair for writer in writers for pair in _frames(tx, run_id, writer)]
    return Chunk(
        tally.tally(found),
        {w.writer_id: (w.after, w.until) for w in writers if w.until > w.after},
        all(writer.until == writer.committed for writer in writers),
    )


def _writers(tx: Transaction, run_id: str) -> list[_Writer]:
    query = (
        sa.select(
            metric_writers.c.writer_id,
            metric_writers.c.summarized_sequence,
            metric_writers.c.committed_sequence,
        )
        .where(metric_writers.c.run_id == run_id, OUTSTANDING)
        .order_by(metric_writers.c.writer_id)
    )
    rows = tx.execute(query).all()
    limit = max(MIN_FRAMES_A_WRITER, CHUNK_FRAMES // max(1, len(rows)))
    writers = []
    for row in rows:
        heads = _heads(tx, run_id, row.writer_id, row.summarized_sequence, limit)
        writers.append(
            _Writer(
                row.writer_id,
                row.summarized_sequence,
                row.committed_sequence,
                row.summarized_sequence,
                heads,
                len(heads) == limit,
            )
        )
    return writers


def _heads(
    tx: Transaction, run_id: str, writer_id: str, after: int, limit: int
) -> list[tuple[int, int, int]]:
    query = (
        sa.select(
            metric_frames.c.sequence,
            metric_frames.c.receive_time,
            sa.func.length(metric_frames.c.data).label("size"),
        )
        .where(
            metric_frames.c.run_id == run_id,
            metric_frames.c.writer_id == writer_id,
            metric_frames.c.sequence > after,
        )
        .order_by(metric_frames.c.sequence)
        .limit(limit)
    )
    heads = []
    arrival = 0
    for row in tx.execute(query):
        # A writer's own order stands, whatever the clocks of its servers said.
        arrival = max(arrival, row.receive_time)
        heads.append((arrival, row.sequence, row.size))
    return heads


def _take(writers: list[_Writer]) -> None:
    """Set ``until`` of the writers: the earliest arrivals that fit the chunk."""
    known = min((w.heads[-1][0] for w in writers if w.more), default=None)
    queue = sorted(
        (arrival, sequence, size, place)
        for place, writer in enumerate(writers)
        for arrival, sequence, size in writer.heads
        if known is None or arrival <= known
    )
    taken, held = [0] * len(writers), 0
    for _, sequence, size, place in queue:
        if held and held + size > CHUNK_BYTES:
            break
        held += size
        writers[place].until = sequence
        taken[place] += 1
    for writer, count in zip(writers, taken, strict=True):
        if count == len(writer.heads) and not writer.more:
            writer.until = writer.committed  # behind the last frame come batches without points


def _frames(tx: Transaction, run_id: str, writer: _Writer) -> Iterator[tuple[frames.Frame, int]]:
    if not writer.heads or writer.until < writer.heads[0][1]:
        return
    query = (
        sa.select(metric_frames.c.sequence, metric_frames.c.data)
        .where(
            metric_frames.c.run_id == run_id,
            metric_frames.c.writer_id == writer.writer_id,
            metric_frames.c.sequence > writer.after,
            metric_frames.c.sequence <= writer.until,
        )
        .order_by(metric_frames.c.sequence)
    )
    arrivals = {sequence: arrival for arrival, sequence, _ in writer.heads}
    for row in tx.execute(query):
        try:
            origin = frames.Origin(run_id, writer.writer_id, row.sequence)
            for frame in frames.decode(row.data, origin):
                yield frame, arrivals[row.sequence]
        except frames.FrameDamaged as error:
            # It cannot be summed up now or later; reads of its points report it.
            log.error("%s; its points are missing from the summaries", error)
