"""Answers to ReadSeries as bytes of the wire.

A packed column of a message is the array's own bytes: one copy from the array to what
gRPC sends, where filling a message, number by number, takes 100 ns each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from runwire.v1.metric_service_pb2 import ReadSeriesResponse

from runwire_server.metrics.reduce import Buckets, Grid
from runwire_server.metrics.stretch import Columns

Column = npt.NDArray[Any]

_LENGTH_DELIMITED = 2
_POINTS, _BUCKETS = (
    ReadSeriesResponse.DESCRIPTOR.fields_by_name[name].number for name in ("points", "buckets")
)


def answer(head: ReadSeriesResponse, rows: Columns | Buckets, grid: Grid) -> bytes:
    """The response with its rows. ``grid``: of the buckets."""
    if isinstance(rows, Buckets):
        number, columns = _BUCKETS, _bucket_columns(rows, grid)
    else:
        number, columns = _POINTS, list(rows)
    data = [part for field, column in enumerate(columns, 1) for part in _packed(field, column)]
    size = sum(len(part) for part in data)
    return b"".join((head.SerializeToString(), _tag(number), _varint(size), *data))


def _bucket_columns(rows: Buckets, grid: Grid) -> list[Column]:
    """In the order of their field numbers."""
    some = rows.non_finite < rows.counts
    return [
        grid.edges(rows.numbers),
        grid.edges(rows.numbers + 1),
        rows.counts.astype(np.uint64),
        rows.first,
        rows.last,
        np.where(some, rows.minimum, np.nan),
        np.where(some, rows.maximum, np.nan),
        rows.total,
        rows.non_finite.astype(np.uint64),
    ]


def _packed(field: int, column: Column) -> Iterable[bytes | memoryview]:
    if not len(column):
        return
    data: bytes | memoryview
    if column.dtype == np.uint64:  # as is its field, which is packed with 7 bits a byte
        data = _varints(column)
    else:
        data = np.ascontiguousarray(column, column.dtype.newbyteorder("<")).data.cast("B")
    yield _tag(field) + _varint(len(data))
    yield data


def _varints(numbers: Column) -> bytes:
    width = max(1, -(-int(numbers.max()).bit_length() // 7))
    groups = numbers[:, None] >> np.arange(0, 7 * width, 7, dtype=np.uint64)
    # A group is written where it or a later one has bits, and the first one always.
    written = groups != 0
    written[:, 0] = True
    more = np.zeros(written.shape, np.uint64)
    more[:, :-1] = written[:, 1:]
    return bytes(((groups & 0x7F) | (more << 7)).astype(np.uint8)[written])


def _tag(field: int) -> bytes:
    return bytes([field << 3 | _LENGTH_DELIMITED])


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
