"""Blocks in the database: which there are, reading and writing them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from runwire_server.metrics import blocks
from runwire_server.metrics.blocks import Axis, BlockDamaged, BlockOrigin, Part
from runwire_server.metrics.frames import FLOAT, INT, Floats, Ints
from runwire_server.metrics.outstanding import PLACE_BITS
from runwire_server.metrics.rows import Rows
from runwire_server.retry import TransactionConflict
from runwire_server.store.database import Transaction
from runwire_server.store.tables import metric_block_parts, metric_blocks, metric_key_sets

# Of blocks whose rows name their key.
SCATTERED = 0
# What one query fetches at a time, at most about 256 KiB each.
_FETCH = 64

_BLOCK = [column for column in metric_blocks.c if column.name != "data"]
_PART = [metric_block_parts.c[name] for name in ("block_no", "part", "data")]


class Block(NamedTuple):
    """A block read into memory: some of its columns, all of its rows."""

    block_no: int
    axis: Axis
    columns: list[tuple[Part, int]]  # a part, and the place in it

    def decode(self, column: int, into: Floats) -> None:
        """One of the columns. Raises ``BlockDamaged``."""
        part, place = self.columns[column]
        part.decode(place, into)


class Decoded(NamedTuple):
    """The same with its values, [column, row]."""

    block_no: int
    axis: Axis
    values: Floats

    @classmethod
    def of(cls, block: Block) -> Decoded:
        """Raises ``BlockDamaged``."""
        values = np.empty((len(block.columns), len(block.axis.steps)), FLOAT)
        for column, into in enumerate(values):
            block.decode(column, into)
        return cls(block.block_no, block.axis, values)


def set_id(key_ids: Ints) -> int:
    """The number of an ordered key set, 1 to 2**63 - 1: a hash, so that nobody draws it."""
    digest = hashlib.blake2b(key_ids.tobytes(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") & ((1 << 63) - 1)) or 1


def key_sets(tx: Transaction, run_id: str) -> dict[int, Ints]:
    """The key sets of a run's blocks."""
    query = sa.select(metric_key_sets).where(metric_key_sets.c.run_id == run_id)
    return {row.set_id: np.frombuffer(row.key_ids, INT) for row in tx.execute(query)}


def add_key_sets(tx: Transaction, run_id: str, sets: dict[int, Ints]) -> None:
    if sets:
        rows = [
            {"run_id": run_id, "set_id": number, "key_ids": key_ids.tobytes()}
            for number, key_ids in sorted(sets.items())
        ]
        tx.execute(tx.insert(metric_key_sets).on_conflict_do_nothing(), rows)


def listed(
    tx: Transaction, run_id: str, *where: sa.ColumnElement[bool], limit: int | None = None
) -> Sequence[sa.Row[Any]]:
    """The rows of a run's blocks, without their axes, by their sets and numbers."""
    query = sa.select(*_BLOCK).where(metric_blocks.c.run_id == run_id, *where).limit(limit)
    return tx.execute(query.order_by(metric_blocks.c.set_id, metric_blocks.c.block_no)).all()


class Wanted(NamedTuple):
    """Columns of one key set: those at ``places``, ascending, of so many."""

    number: int
    key_count: int
    places: Sequence[int]


def opened(
    tx: Transaction,
    run_id: str,
    wanted: Wanted,
    found: Sequence[sa.Row[Any]],
    damaged: Callable[[BlockDamaged], None],
) -> Iterator[Block]:
    """Blocks of a set (rows of ``listed``), whose columns are decoded when they are asked
    for. Those that cannot be read are left out, and ``damaged`` is told."""
    for start in range(0, len(found), _FETCH):
        group = found[start : start + _FETCH]
        axes = _axes(tx, run_id, wanted.number, [row.block_no for row in group])
        parts = _parts(tx, run_id, wanted, group)
        for row in group:
            origin = BlockOrigin(run_id, wanted.number, row.block_no, None)
            try:
                axis = blocks.decode_axis(axes.get(row.block_no, b""), origin, row.rows)
                yield Block(row.block_no, axis, _columns(origin, row, wanted, parts))
            except BlockDamaged as error:
                damaged(error)


def load(
    tx: Transaction,
    run_id: str,
    wanted: Wanted,
    found: Sequence[sa.Row[Any]],
    damaged: Callable[[BlockDamaged], None],
) -> Iterator[Decoded]:
    """As ``opened``, all of it decoded."""
    for block in opened(tx, run_id, wanted, found, damaged):
        try:
            decoded = Decoded.of(block)
        except BlockDamaged as error:
            damaged(error)
        else:
            yield decoded


def _axes(tx: Transaction, run_id: str, number: int, block_nos: list[int]) -> dict[int, bytes]:
    table = metric_blocks.c
    query = sa.select(table.block_no, table.data).where(
        table.run_id == run_id, table.set_id == number, table.block_no.in_(block_nos)
    )
    return {row.block_no: row.data for row in tx.execute(query)}


def _parts(
    tx: Transaction, run_id: str, wanted: Wanted, group: Sequence[sa.Row[Any]]
) -> dict[tuple[int, int], bytes]:
    """By (block_no, part). Blocks that are cut into parts alike share a query."""
    table = metric_block_parts.c
    alike: dict[int, list[int]] = {}
    for row in group:
        alike.setdefault(row.width, []).append(row.block_no)
    found: dict[tuple[int, int], bytes] = {}
    for width, block_nos in alike.items():
        query = sa.select(*_PART).where(
            table.run_id == run_id,
            table.set_id == wanted.number,
            table.block_no.in_(block_nos),
            table.part.in_(sorted({place // width for place in wanted.places})),
        )
        found |= {(row.block_no, row.part): row.data for row in tx.execute(query)}
    return found


def _columns(
    origin: BlockOrigin,
    row: sa.Row[Any],
    wanted: Wanted,
    parts: dict[tuple[int, int], bytes],
) -> list[tuple[Part, int]]:
    by_part: dict[int, list[int]] = {}
    for place in wanted.places:
        by_part.setdefault(place // row.width, []).append(place % row.width)
    found: list[tuple[Part, int]] = []
    for part, inside in by_part.items():  # in the order of the places, which ascend
        columns = min(row.width, wanted.key_count - part * row.width)
        at = origin._replace(part=part)
        if (row.block_no, part) not in parts:
            raise BlockDamaged(at, "it is missing")
        opened = Part(parts[row.block_no, part], at, row.rows, columns)
        found += [(opened, place) for place in inside]
    return found


class NewBlock(NamedTuple):
    """Encoded, and ready to be inserted."""

    row: dict[str, Any]
    parts: list[bytes]


def encode(run_id: str, number: int, rows: Rows, keys: Ints | None = None) -> NewBlock:
    """``keys``: of each row, where ``number`` is SCATTERED; ``rows`` has one column then.

    It is read again before it is given out: what is inserted can be decoded.
    """
    axis = Axis(rows.steps, rows.times, rows.arrivals, keys)
    data, parts = blocks.encode_axis(axis), blocks.encode_parts(rows)
    width = blocks.part_width(len(rows.steps))
    _verify(BlockOrigin(run_id, number, 0, None), axis, rows.values, data, parts, width)
    row = {
        "run_id": run_id,
        "set_id": number,
        "rows": len(rows.steps),
        "points": rows.points,
        "width": width,
        "step_min": int(rows.steps.min()),
        "step_max": int(rows.steps.max()),
        "time_min": int(rows.times.min()),
        "time_max": int(rows.times.max()),
        "first_arrival": int(rows.arrivals.min()) >> PLACE_BITS,
        "last_arrival": int(rows.arrivals.max()) >> PLACE_BITS,
        "size_bytes": len(data) + sum(len(part) for part in parts),
        "data": data,
    }
    return NewBlock(row, parts)


def _verify(
    origin: BlockOrigin, axis: Axis, values: Floats, data: bytes, parts: list[bytes], width: int
) -> None:
    """Raises ``BlockDamaged`` where decoding does not give the same bits."""
    rows = len(axis.steps)
    for had, got in zip(axis, blocks.decode_axis(data, origin, rows), strict=True):
        if had is not None and (got is None or had.tobytes() != got.tobytes()):
            raise BlockDamaged(origin, "the codec changed it")
    for part, payload in enumerate(parts):
        columns = values[part * width : (part + 1) * width]
        at = origin._replace(part=part)
        opened, found = Part(payload, at, rows, len(columns)), np.empty(rows, FLOAT)
        for place, column in enumerate(columns):
            opened.decode(place, found)
            if column.tobytes() != found.tobytes():
                raise BlockDamaged(at, "the codec changed it")


def insert(tx: Transaction, first_no: int, made: Sequence[NewBlock]) -> None:
    """With numbers from ``first_no`` on."""
    if not made:
        return
    rows, parts = [], []
    for block_no, block in enumerate(made, start=first_no):
        rows.append({**block.row, "block_no": block_no})
        place = {name: block.row[name] for name in ("run_id", "set_id")} | {"block_no": block_no}
        parts += [{**place, "part": part, "data": data} for part, data in enumerate(block.parts)]
    tx.execute(metric_blocks.insert(), rows)
    tx.execute(metric_block_parts.insert(), parts)


def delete(tx: Transaction, run_id: str, numbers: Iterable[tuple[int, Collection[int]]]) -> None:
    """Blocks, by (set, their numbers). Raises ``TransactionConflict`` where one is gone."""
    for number, block_nos in numbers:
        for table in (metric_block_parts.c, metric_blocks.c):
            gone = tx.execute(
                sa.delete(table.run_id.table).where(
                    table.run_id == run_id,
                    table.set_id == number,
                    table.block_no.in_(sorted(block_nos)),
                )
            )
        if gone.rowcount != len(block_nos):
            raise TransactionConflict(what="another server folded the same blocks")


def scattered_rows(block: Decoded, keys: Ints) -> Iterator[Rows]:
    """Of each of these keys, its rows in a block whose rows name their key and come in
    the order of the keys."""
    axis, column = block.axis, block.values[0]
    named = np.empty(0, INT) if axis.keys is None else axis.keys
    starts, ends = np.searchsorted(named, keys), np.searchsorted(named, keys, "right")
    for key, start, end in zip(keys, starts.tolist(), ends.tolist(), strict=True):
        if start < end:
            inside = slice(start, end)
            yield Rows(
                np.array([key], INT),
                axis.steps[inside],
                axis.times[inside],
                axis.arrivals[inside],
                column[np.newaxis, inside],
            )
