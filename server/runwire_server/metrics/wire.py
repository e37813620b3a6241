"""Columns as bytes of the wire.

A packed column of a message is the array's own bytes: one copy from the array to what
gRPC sends, where filling a message, number by number, takes 100 ns each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]
Parts = list[bytes | memoryview]

_LENGTH_DELIMITED = 2


def packed(field: int, column: Column) -> Iterable[bytes | memoryview]:
    """A packed field of fixed-width numbers, or, where they are uint64, of varints."""
    if not len(column):
        return
    data: bytes | memoryview
    if column.dtype == np.uint64:
        data = varints(column)
    else:
        data = np.ascontiguousarray(column, column.dtype.newbyteorder("<")).data.cast("B")
    yield tag(field) + varint(len(data))
    yield data


def nested(field: int, *parts: bytes | memoryview) -> Parts:
    """A message inside another one, of its parts."""
    return [tag(field) + varint(sum(len(part) for part in parts)), *parts]


def varints(numbers: Column) -> bytes:
    width = max(1, -(-int(numbers.max()).bit_length() // 7))
    groups = numbers[:, None] >> np.arange(0, 7 * width, 7, dtype=np.uint64)
    # A group is written where it or a later one has bits, and the first one always.
    written = groups != 0
    written[:, 0] = True
    more = np.zeros(written.shape, np.uint64)
    more[:, :-1] = written[:, 1:]
    return bytes(((groups & 0x7F) | (more << 7)).astype(np.uint8)[written])


def tag(field: int) -> bytes:
    return varint(field << 3 | _LENGTH_DELIMITED)


def varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 63 bits at a place, and the place behind it. Raises ``ValueError``."""
    number = shift = 0
    while at < len(data) and shift < 63:
        number |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return number, at
    raise ValueError("cut short, or too large")
