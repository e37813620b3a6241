"""The stored form of a batch's points: one payload per row of ``metric_frames``.

Little endian, every array aligned to 8 bytes, nothing compressed::

    magic 4s | version u32 | frames u32 | crc32c u32 of all that follows
    then, for each frame:
    series K u32 | rows R u32
    key_ids i64[K] | steps i64[R] | times i64[R] (µs) | values f64[R*K] row by row

A payload explains itself: reading it needs no other row. Values keep their bits, the
payloads of NaNs included. Decoding copies nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt

from runwire_server.errors import DataDamaged

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAGIC = b"RWMF"
VERSION = 1
INT = np.dtype("<i8")
FLOAT = np.dtype("<f8")

_HEADER = struct.Struct("<4sIII")
_SHAPE = struct.Struct("<II")


class Frame(NamedTuple):
    """A dense block: ``values[row, column]``; column ``c`` belongs to ``key_ids[c]``."""

    key_ids: Ints
    steps: Ints
    times: Ints
    values: Floats


class Origin(NamedTuple):
    """Which row of ``metric_frames`` a payload comes from."""

    run_id: str
    writer_id: str
    sequence: int


class FrameDamaged(DataDamaged):
    """A stored payload is not what was written. Other payloads stay readable."""

    def __init__(self, origin: Origin, problem: str):
        super().__init__(
            f"the stored metrics of run {origin.run_id!r}, writer {origin.writer_id!r}, "
            f"batch {origin.sequence} are damaged: {problem}",
            **origin._asdict(),
        )
        self.origin = origin


def encode(frames: Iterable[Frame]) -> bytes:
    """The payload of the frames; their arrays must be contiguous."""
    parts: list[bytes | memoryview] = []
    count = 0
    for frame in frames:
        count += 1
        parts.append(_SHAPE.pack(len(frame.key_ids), len(frame.steps)))
        parts += (frame.key_ids.data, frame.steps.data, frame.times.data, frame.values.data)
    body = b"".join(parts)
    return _HEADER.pack(MAGIC, VERSION, count, google_crc32c.value(body)) + body


def decode(payload: bytes, origin: Origin) -> list[Frame]:
    """The frames of a payload, as read-only views of it. Raises ``FrameDamaged``."""
    try:
        return list(_frames(payload))
    except (ValueError, struct.error) as error:
        raise FrameDamaged(origin, str(error)) from error


def _frames(payload: bytes) -> Iterable[Frame]:
    magic, version, count, checksum = _HEADER.unpack_from(payload)
    if magic != MAGIC or version != VERSION:
        raise ValueError(f"it begins with {payload[:8]!r}")
    if google_crc32c.value(np.frombuffer(payload, np.uint8, offset=_HEADER.size)) != checksum:
        raise ValueError("its CRC32C does not match")
    offset = _HEADER.size
    for _ in range(count):
        series, rows = _SHAPE.unpack_from(payload, offset)
        offset += _SHAPE.size
        key_ids = np.frombuffer(payload, INT, series, offset)
        steps = np.frombuffer(payload, INT, rows, offset + 8 * series)
        times = np.frombuffer(payload, INT, rows, offset + 8 * (series + rows))
        offset += 8 * (series + 2 * rows)
        values = np.frombuffer(payload, FLOAT, rows * series, offset)
        offset += 8 * rows * series
        yield Frame(key_ids, steps, times, values.reshape(rows, series))
    if offset != len(payload):
        raise ValueError(f"{len(payload) - offset} bytes too many")


def without(frames: Sequence[Frame], key_ids: Ints) -> list[Frame]:
    """The frames less the columns of these keys; a frame left with no column is gone."""
    kept = []
    for frame in frames:
        keep = ~np.isin(frame.key_ids, key_ids)
        if keep.any():
            values = np.ascontiguousarray(frame.values[:, keep])
            kept.append(frame._replace(key_ids=frame.key_ids[keep], values=values))
    return kept
