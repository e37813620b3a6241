"""Which blocks a run's rows become: new ones from frames, larger ones from small ones.

A key set gets blocks of its own as soon as it has some points; the points of keys that
hardly come together are *scattered*: blocks of rows that name their key. Small blocks are
merged by size, ``FAN_IN`` of one size into one of the next, so that a point is encoded
about three times in all (O'Neil et al., "The Log-Structured Merge-Tree", 1996, in its
tiered form).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from runwire_server.metrics import block_store, rows
from runwire_server.metrics.block_store import SCATTERED, NewBlock, Wanted
from runwire_server.metrics.blocks import BlockDamaged
from runwire_server.metrics.frames import FLOAT, INT, Ints
from runwire_server.metrics.rows import Rows
from runwire_server.store.database import Transaction

# A full block: longer columns compress no better, and a part stays below 256 KiB.
MAX_ROWS = 1 << 15
MAX_BLOCK_POINTS = 1 << 22
# Wider frames are cut, so that key sets stay small values.
MAX_SET_KEYS = 1 << 13
# With fewer points a new key set is scattered; with so many a scattered key gets a set.
MIN_SET_POINTS = 256
MIN_KEY_POINTS = 1024
FAN_IN = 8
# Points of stored blocks in memory at a time, each 8 bytes, and as much again to sort them.
MAX_MERGED_POINTS = 1 << 23


class Assembly:
    """What is to be inserted and what it replaces. ``thorough``: merge all small blocks,
    because little or nothing will follow."""

    def __init__(self, tx: Transaction, run_id: str, *, thorough: bool):
        self._tx, self._run_id, self._thorough = tx, run_id, thorough
        self._sets = block_store.key_sets(tx, run_id)
        self._stored: dict[int, list[sa.Row[Any]]] = {}
        for row in block_store.listed(tx, run_id):
            self._stored.setdefault(row.set_id, []).append(row)
        self._room = MAX_MERGED_POINTS
        self.made: list[NewBlock] = []
        self.replaced: dict[int, list[int]] = {}
        self.new_sets: dict[int, Ints] = {}
        self.damaged: list[BlockDamaged] = []

    @property
    def complete(self) -> bool:
        """False: there was more to merge than fits in memory at a time."""
        return self._room > 0

    def add(self, parts: Iterable[Rows]) -> None:
        """Rows in the order of arrival. Call it once."""
        sets: dict[int, list[Rows]] = {}
        for part in parts:
            for piece in _narrow(part):
                sets.setdefault(block_store.set_id(piece.key_ids), []).append(piece)
        loose: list[Rows] = []
        for number, members in sets.items():
            if number in self._sets or sum(part.points for part in members) >= MIN_SET_POINTS:
                self._add_to_set(number, members)
            else:
                loose += members
        self._scatter(loose)
        if self._thorough:
            for number in self._sets.keys() - sets.keys():
                self._add_to_set(number, [])

    def _add_to_set(self, number: int, members: list[Rows]) -> None:
        key_ids = members[0].key_ids if members else self._sets[number]
        limit = min(MAX_ROWS, max(1, MAX_BLOCK_POINTS // len(key_ids)))
        peers = self._peers(number, sum(len(part.steps) for part in members), limit)
        parts = self._load(Wanted(number, len(key_ids), range(len(key_ids))), peers, key_ids)
        parts += members
        if not parts:
            return
        if number not in self._sets:
            self.new_sets[number] = key_ids
        whole = rows.in_order(rows.join(parts))
        for piece in rows.cut(whole, limit):
            self.made.append(block_store.encode(self._run_id, number, piece))

    def _peers(self, number: int, added: int, limit: int) -> list[sa.Row[Any]]:
        """The stored blocks to merge with so many new rows."""
        small = [row for row in self._stored.get(number, ()) if 2 * row.rows <= limit]
        if self._thorough:
            peers = small if len(small) + bool(added) > 1 else []
        else:
            peers = _tiered(small, added)
        kept: list[sa.Row[Any]] = []
        for row in peers:
            if self._room <= 0:
                break
            self._room -= row.points
            kept.append(row)
        if not added and len(kept) < 2:
            return []
        taken = {row.block_no for row in kept}
        self._stored[number] = [
            row for row in self._stored.get(number, ()) if row.block_no not in taken
        ]
        return kept

    def _load(self, wanted: Wanted, peers: Sequence[sa.Row[Any]], key_ids: Ints) -> list[Rows]:
        """Blocks that will be replaced. What cannot be read stays where it is."""
        found = []
        for block in self._blocks(wanted, peers):
            axis = block.axis
            found.append(Rows(key_ids, axis.steps, axis.times, axis.arrivals, block.values))
        return found

    def _blocks(
        self, wanted: Wanted, peers: Sequence[sa.Row[Any]]
    ) -> Iterable[block_store.Decoded]:
        load = block_store.load(self._tx, self._run_id, wanted, peers, self.damaged.append)
        for block in load:
            self.replaced.setdefault(wanted.number, []).append(block.block_no)
            yield block

    def _scatter(self, loose: list[Rows]) -> None:
        """Keys that have become many points on the way get blocks of their own."""
        peers = self._peers(SCATTERED, sum(part.points for part in loose), MAX_ROWS)
        columns = [_named(part) for part in loose]
        for block in self._blocks(Wanted(SCATTERED, 1, [0]), peers):
            axis = block.axis
            columns.append((axis.keys, axis.steps, axis.times, axis.arrivals, block.values[0]))
        if not columns:
            return
        keys, steps, times, arrivals, values = (
            np.concatenate(column) for column in zip(*columns, strict=True)
        )
        order = np.lexsort((arrivals, times, steps, keys))
        keys = keys[order]
        whole = Rows(_NO_KEY, steps, times, arrivals, values[np.newaxis]).take(order)
        self._keep_scattered(keys, whole, promote=bool(peers))

    def _keep_scattered(self, keys: Ints, whole: Rows, *, promote: bool) -> None:
        names, starts, counts = np.unique(keys, return_index=True, return_counts=True)
        many = counts >= MIN_KEY_POINTS if promote else np.zeros(len(names), bool)
        for key, start, count in zip(names[many], starts[many], counts[many], strict=True):
            part = whole.take(slice(start, start + count))
            part = part._replace(key_ids=np.array([key], INT))
            self._add_to_set(block_store.set_id(part.key_ids), [part])
        few = ~np.repeat(many, counts)
        keys, whole = keys[few], whole.take(few)
        for start in range(0, len(keys), MAX_ROWS):
            inside = slice(start, start + MAX_ROWS)
            piece = block_store.encode(self._run_id, SCATTERED, whole.take(inside), keys[inside])
            self.made.append(piece)


_NO_KEY = np.empty(0, INT)


def _narrow(part: Rows) -> Iterable[Rows]:
    """The part, cut where it has too many keys for a set."""
    if len(part.key_ids) <= MAX_SET_KEYS:
        return [part]
    return [
        part._replace(
            key_ids=part.key_ids[at : at + MAX_SET_KEYS], values=part.values[at : at + MAX_SET_KEYS]
        )
        for at in range(0, len(part.key_ids), MAX_SET_KEYS)
    ]


def _named(part: Rows) -> tuple[Any, ...]:
    """(keys, steps, times, arrivals, values) with a line for every point."""
    width = len(part.key_ids)
    return (
        np.repeat(part.key_ids, len(part.steps)),
        np.tile(part.steps, width),
        np.tile(part.times, width),
        np.tile(part.arrivals, width),
        np.ascontiguousarray(part.values, FLOAT).ravel(),
    )


def _tiered(small: list[sa.Row[Any]], added: int) -> list[sa.Row[Any]]:
    """Blocks of the size of what is added, or smaller, once they are ``FAN_IN`` with it;
    then those of the size that this makes, and so on."""
    chosen: list[sa.Row[Any]] = []
    left = sorted(small, key=lambda row: row.rows)
    while True:
        tier = _tier(added)
        same = [row for row in left if _tier(row.rows) <= tier]
        if len(same) + 1 < FAN_IN:
            return chosen
        chosen += same
        left = left[len(same) :]
        added += sum(row.rows for row in same)


def _tier(row_count: int) -> int:
    """Each tier is of blocks ``FAN_IN`` times as long."""
    return row_count.bit_length() // (FAN_IN.bit_length() - 1)
