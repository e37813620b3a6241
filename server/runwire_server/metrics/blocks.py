"""The stored form of folded points: an axis, and columns of values, each compressed.

A block has R rows of K keys, in the order of (step, time, arrival). Its axis and each
part of its columns are payloads of their own, little endian::

    magic 4s | version u32 | arrays u32 | crc32c u32 of all that follows
    for each array: codec u8 | length u32
    then the arrays, one behind the other

An axis holds ``steps, times (µs), arrivals``; where rows name their key, ``key_ids``
too. A part holds a column an array, or, where columns are short, all of them one
behind the other in one array. Values keep their bits, the payloads of NaNs included.

pcodec (https://github.com/pcodec/pcodec, "pco: a codec for numerical sequences")
needs 2.8 B for a noisy float32 loss, 1.1 for a time and next to nothing for a step or
an arrival; level 4 gains 2 % over level 0 to 3 and runs at the same 25 to 50 M/s.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt
from pcodec import ChunkConfig, standalone

from runwire_server.errors import DataDamaged
from runwire_server.metrics.frames import FLOAT, INT, Floats, Ints
from runwire_server.metrics.rows import Rows

MAGIC = b"RWMB"
VERSION = 1
# A part has at most so many points: 256 KiB, should nothing compress.
MAX_PART_POINTS = 1 << 15
# Columns of fewer rows share an array: 3 µs and 20 bytes for each would be too much.
MIN_COLUMN_ROWS = 128

_HEADER = struct.Struct("<4sIII")
_ENTRY = struct.Struct("<BI")
_RAW, _PCODEC = 0, 1
_LEVEL = ChunkConfig(compression_level=4)

Array = npt.NDArray[Any]


class BlockOrigin(NamedTuple):
    """Which row of ``metric_blocks`` (part None) or ``metric_block_parts`` it is."""

    run_id: str
    set_id: int
    block_no: int
    part: int | None


class BlockDamaged(DataDamaged):
    """A stored payload is not what was written. Others stay readable."""

    def __init__(self, origin: BlockOrigin, problem: str):
        where = "its axis" if origin.part is None else f"part {origin.part}"
        super().__init__(
            f"the stored metrics of run {origin.run_id!r}, block {origin.block_no}, {where} "
            f"are damaged: {problem}",
            run_id=origin.run_id,
            block=origin.block_no,
        )
        self.origin = origin


class Axis(NamedTuple):
    """Of R rows. ``keys``: of each row, where rows name their key."""

    steps: Ints
    times: Ints
    arrivals: Ints
    keys: Ints | None = None


def part_width(rows: int) -> int:
    """How many columns of so many rows make a part."""
    return max(1, MAX_PART_POINTS // rows)


def encode_axis(axis: Axis) -> bytes:
    return _pack([array for array in axis if array is not None])


def decode_axis(payload: bytes, origin: BlockOrigin, rows: int) -> Axis:
    """Raises ``BlockDamaged``."""
    with _damage(origin):
        arrays = [_unpack(*packed, INT) for packed in _packed(payload)]
        if len(arrays) not in (3, 4) or any(len(array) != rows for array in arrays):
            raise ValueError("an axis of another shape")
        return Axis(*arrays)


def encode_parts(rows: Rows) -> list[bytes]:
    """The payloads of the columns, ``part_width`` in each."""
    width = part_width(len(rows.steps))
    return [
        _encode_part(rows.values[start : start + width])
        for start in range(0, len(rows.values), width)
    ]


def _encode_part(values: Floats) -> bytes:
    if values.shape[1] < MIN_COLUMN_ROWS:
        return _pack([np.ascontiguousarray(values).ravel()])
    return _pack([np.ascontiguousarray(column) for column in values])


class Part:
    """Some columns, of which each is decoded when it is asked for.

    All but the numbers themselves was checked. Raises ``BlockDamaged``.
    """

    def __init__(self, payload: bytes, origin: BlockOrigin, rows: int, columns: int):
        self._origin, self._rows = origin, rows
        self._whole: Floats | None = None
        with _damage(origin):
            self._packed = _packed(payload)
            if rows < MIN_COLUMN_ROWS:
                self._whole = _unpack(*self._packed[0], FLOAT).reshape(columns, rows)
            elif len(self._packed) != columns:
                raise ValueError("a part of another width")

    def decode(self, place: int, into: Floats) -> None:
        """The column at this place. ``into`` must be contiguous."""
        if self._whole is not None:
            into[:] = self._whole[place]
            return
        with _damage(self._origin):
            _unpack_into(*self._packed[place], into)


@contextmanager
def _damage(origin: BlockOrigin) -> Iterator[None]:
    try:
        yield
    except (ValueError, IndexError, struct.error, RuntimeError, TypeError) as error:
        raise BlockDamaged(origin, str(error)) from error


def _pack(arrays: Sequence[Array]) -> bytes:
    entries, data = [], []
    for array in arrays:
        codec, packed = _PCODEC, standalone.simple_compress(array, _LEVEL)
        if len(packed) >= array.nbytes:
            codec, packed = _RAW, array.tobytes()
        entries.append(_ENTRY.pack(codec, len(packed)))
        data.append(packed)
    body = b"".join((*entries, *data))
    return _HEADER.pack(MAGIC, VERSION, len(arrays), google_crc32c.value(body)) + body


def _packed(payload: bytes) -> list[tuple[int, memoryview]]:
    """(codec, bytes) of the arrays. Raises ``ValueError``, ``struct.error``."""
    magic, version, count, checksum = _HEADER.unpack_from(payload)
    if magic != MAGIC or version != VERSION:
        raise ValueError("not a block of a known version")
    body = memoryview(payload)[_HEADER.size :]
    if google_crc32c.value(np.frombuffer(body, np.uint8)) != checksum:
        raise ValueError("the checksum does not match")
    at = count * _ENTRY.size
    found = []
    for codec, length in _ENTRY.iter_unpack(body[:at]):
        found.append((codec, body[at : at + length]))
        at += length
    if at != len(body):
        raise ValueError("not as long as it says")
    return found


def _unpack(codec: int, data: memoryview, dtype: np.dtype[Any]) -> Array:
    if codec == _RAW:
        return np.frombuffer(data, dtype)
    if codec != _PCODEC:
        raise ValueError(f"codec {codec} is not known")
    found: Array | None = standalone.simple_decompress(bytes(data))
    if found is None or found.dtype != dtype:
        raise ValueError("numbers of another type")
    return found


def _unpack_into(codec: int, data: memoryview, into: Floats) -> None:
    if codec != _PCODEC:
        found = _unpack(codec, data, FLOAT)
        if len(found) != len(into):
            raise ValueError("a column of another length")
        into[:] = found
        return
    progress = standalone.simple_decompress_into(bytes(data), into)
    if progress.n_processed != len(into) or not progress.finished:
        raise ValueError("a column of another length")
