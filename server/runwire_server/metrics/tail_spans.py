"""Frames out of blocks, whose columns lie apart, put together again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from runwire_server.metrics import rows
from runwire_server.metrics.frames import Ints
from runwire_server.metrics.rows import Rows


class _Group(NamedTuple):
    """The rows of one key set by (place, step, time), and where each place begins."""

    rows: Rows
    places: Ints
    starts: Ints

    def part(self, place: int, until: int) -> Rows:
        """From a place up to another one, inclusive."""
        first, end = np.searchsorted(self.places, (place, until + 1)).tolist()
        stop = self.starts[end] if end < len(self.starts) else len(self.rows.steps)
        return self.rows.take(slice(self.starts[first], stop))


def spans_of(parts: Sequence[Rows], next_place: int) -> Iterator[Rows]:
    """Of parts of any keys, the rows from a place on in the order of their places. Frames
    that consist of the same groups of columns, one behind the other, are one span."""
    groups = _groups(parts, next_place)
    if not groups:
        return
    places = np.concatenate([group.places for group in groups])
    owners = np.repeat(np.arange(len(groups)), [len(group.places) for group in groups])
    order = np.argsort(places, kind="stable")
    places, owners = places[order], owners[order]
    named, starts = np.unique(places, return_index=True)
    makeup = np.array([_makeup(group) for group in groups], np.uint64)
    made_of = np.add.reduceat(makeup[owners], starts)
    firsts = np.flatnonzero(np.concatenate(([True], made_of[1:] != made_of[:-1])))
    lasts = np.append(firsts[1:], len(named)) - 1
    ends = np.append(starts[1:], len(places))
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        members = owners[starts[first] : ends[first]].tolist()
        inside = [groups[member].part(named[first], named[last]) for member in members]
        yield from _side_by_side(inside)


def _groups(parts: Sequence[Rows], next_place: int) -> list[_Group]:
    by_keys: dict[bytes, list[Rows]] = {}
    for part in parts:
        by_keys.setdefault(part.key_ids.tobytes(), []).append(part)
    found = []
    for members in by_keys.values():
        whole = rows.join(members)
        order = np.lexsort((whole.times, whole.steps, whole.arrivals))
        whole = whole.take(order[whole.arrivals[order] >= next_place])
        if len(whole.steps):
            found.append(_Group(whole, *np.unique(whole.arrivals, return_index=True)))
    return found


def _makeup(group: _Group) -> int:
    """A number for its keys, so that the sum over a frame's groups tells which these are."""
    digest = hashlib.blake2b(group.rows.key_ids.tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _side_by_side(inside: Sequence[Rows]) -> Iterator[Rows]:
    """Columns of the same rows as one, ordered by key. Where blocks are damaged the rows may
    not be the same: then each by itself."""
    first = inside[0]
    alike = all(
        np.array_equal(one.arrivals, first.arrivals)
        and np.array_equal(one.steps, first.steps)
        and np.array_equal(one.times, first.times)
        for one in inside[1:]
    )
    for some in [inside] if alike else [[one] for one in inside]:
        key_ids = np.concatenate([one.key_ids for one in some])
        values = np.concatenate([one.values for one in some])
        order = np.argsort(key_ids, kind="stable")
        yield some[0]._replace(key_ids=key_ids[order], values=values[order])
