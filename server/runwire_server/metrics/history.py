"""Folded points by their arrival: what a tail missed whose frames are removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from runwire_server.metrics import block_store
from runwire_server.metrics.block_store import SCATTERED, Wanted
from runwire_server.metrics.blocks import BlockDamaged
from runwire_server.metrics.frames import INT, Ints
from runwire_server.metrics.outstanding import PLACE_BITS
from runwire_server.metrics.rows import Rows
from runwire_server.store.database import Transaction
from runwire_server.store.tables import metric_blocks

# Points of whole blocks in memory at a time, unless those of one arrival are more.
MAX_POINTS = 1 << 20


class Stretch(NamedTuple):
    """The points that arrived behind ``after`` up to ``until``; each part in the order of
    arrival."""

    until: int
    parts: list[Rows]
    damaged: list[BlockDamaged]


def read_stretch(
    tx: Transaction, run_id: str, key_ids: Iterable[int], after: int
) -> Stretch | None:
    """The next stretch of folded points behind an arrival; None: all are told."""
    wanted = np.unique(np.fromiter(key_ids, INT))
    listed = block_store.listed(tx, run_id, metric_blocks.c.last_arrival > after)
    if not listed:
        return None
    places = {SCATTERED: [0]}
    sets = block_store.key_sets(tx, run_id)
    for number, named in sets.items():
        places[number] = np.flatnonzero(np.isin(named, wanted)).tolist()
    until = _until(listed, {number: len(some) for number, some in places.items()})
    damaged: list[BlockDamaged] = []
    parts: list[Rows] = []
    for number in dict.fromkeys(row.set_id for row in listed):
        found = [row for row in listed if row.set_id == number and row.first_arrival <= until]
        columns = Wanted(number, len(sets.get(number, (0,))), places[number])
        if not columns.places:
            continue
        for block in block_store.load(tx, run_id, columns, found, damaged.append):
            parts += _rows(block, number, sets, columns, wanted)
    return Stretch(
        until, [kept for part in parts for kept in _arrived(part, after, until)], damaged
    )


def _until(listed: Sequence[sa.Row[Any]], widths: dict[int, int]) -> int:
    """Where to stop, so that the blocks that reach in are not too many. ``widths``: wanted
    columns of each set."""
    firsts = np.array([row.first_arrival for row in listed], INT)
    sizes = np.array([row.rows * widths.get(row.set_id, 0) for row in listed], INT)
    order = np.argsort(firsts, kind="stable")
    held = np.cumsum(sizes[order])
    ends = np.unique(np.array([row.last_arrival for row in listed], INT))
    inside = held[np.searchsorted(firsts[order], ends, "right") - 1]
    fit = np.flatnonzero(inside <= MAX_POINTS)
    return int(ends[fit[-1] if len(fit) else 0])


def _rows(
    block: block_store.Decoded, number: int, sets: dict[int, Ints], columns: Wanted, wanted: Ints
) -> Iterable[Rows]:
    if number == SCATTERED:
        return block_store.scattered_rows(block, wanted)
    axis = block.axis
    key_ids = sets[number][list(columns.places)]
    return [Rows(key_ids, axis.steps, axis.times, axis.arrivals, block.values)]


def _arrived(part: Rows, after: int, until: int) -> Iterable[Rows]:
    arrivals = part.arrivals >> PLACE_BITS
    inside = np.flatnonzero((arrivals > after) & (arrivals <= until))
    if len(inside):
        yield part.take(inside[np.argsort(part.arrivals[inside], kind="stable")])
