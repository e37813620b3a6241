"""Events of TailSeries as bytes of the wire, at most ``MESSAGE_BYTES`` each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from runwire.v1.metric_pb2 import Frame, SeriesName
from runwire.v1.metric_service_pb2 import TailSeriesResponse

from runwire_server.metrics.rows import Rows
from runwire_server.metrics.selection import Chosen
from runwire_server.metrics.wire import Column, Parts, nested, packed

MESSAGE_BYTES = 1 << 20
# So much of points and names; the cursor of 10,000 runs takes up to 100 KiB beside them.
DATA_BYTES = 768 << 10
# A piece: its names come to 264 KiB at the most, its numbers to 384 KiB.
PIECE_COLUMNS = 512
PIECE_POINTS = 1 << 14
_NAME_BYTES = 16  # of a name's own message, beside the name
_FRAME_BYTES = 8  # of a series in a frame, beside its values


def _number(message: type, field: str) -> int:
    return int(message.DESCRIPTOR.fields_by_name[field].number)  # type: ignore[attr-defined]


_DATA = _number(TailSeriesResponse, "data")
_FRAMES = _number(TailSeriesResponse.Data, "frames")
_SERIES, _STEPS, _TIMES, _VALUES = (
    _number(Frame, name) for name in ("series", "steps", "times_micros", "values")
)


class Piece(NamedTuple):
    """Rows small enough for a message, and where a tail stands behind them: before the
    frame ``next``, of which ``sent`` points were told."""

    rows: Rows
    next: int
    sent: int


def pieces(span: Rows, next_place: int, sent: int) -> Iterator[Piece]:
    """The span less what was sent of its first frame, where that is ``next_place``. Where
    it is cut does not depend on how it is stored."""
    if not len(span.steps):
        return
    told = sent if int(span.arrivals[0]) == next_place else 0
    if len(span.key_ids) <= PIECE_COLUMNS:
        yield from _rows(span, told)
        return
    edges = np.flatnonzero(np.diff(span.arrivals)) + 1
    for start, end in zip([0, *edges.tolist()], [*edges.tolist(), len(span.steps)], strict=True):
        yield from _tiles(span.take(slice(start, end)), told)
        told = 0


def _rows(span: Rows, told: int) -> Iterator[Piece]:
    """Of few columns: so many rows a piece, whatever frames they are of."""
    width, total = len(span.key_ids), len(span.steps)
    at = min(told // width, total)
    while at < total:
        end = min(at + max(1, PIECE_POINTS // width), total)
        place = int(span.arrivals[end - 1])
        if end < total and span.arrivals[end] == place:
            first = int(np.searchsorted(span.arrivals, place))
            yield Piece(span.take(slice(at, end)), place, (end - first) * width)
        else:
            yield Piece(span.take(slice(at, end)), place + 1, 0)
        at = end


def _tiles(frame: Rows, told: int) -> Iterator[Piece]:
    """Of a wide frame: some columns of some rows a piece."""
    place, total, sent = int(frame.arrivals[0]), frame.points, 0
    for left in range(0, len(frame.key_ids), PIECE_COLUMNS):
        columns = slice(left, left + PIECE_COLUMNS)
        some = frame._replace(key_ids=frame.key_ids[columns], values=frame.values[columns])
        height = PIECE_POINTS // PIECE_COLUMNS
        for top in range(0, len(some.steps), height):
            tile = some.take(slice(top, top + height))
            sent += tile.points
            if sent > told:
                yield Piece(tile, *((place + 1, 0) if sent == total else (place, sent)))


class Names:
    """Small numbers for the series of one stream, given out as they are met."""

    def __init__(self, chosen: Chosen):
        self._chosen = chosen
        self._numbers: dict[int, int] = {}

    def new(self, key_ids: Sequence[int]) -> list[SeriesName]:
        """Of keys that have no number yet; ``keep`` gives it to them."""
        unmet = [key for key in key_ids if key not in self._numbers]
        return [
            SeriesName(id=number, key=self._chosen.name(key))
            for number, key in enumerate(unmet, len(self._numbers))
        ]

    def numbers(self, key_ids: Sequence[int]) -> Column:
        """Of each key, from now on."""
        for key in key_ids:
            self._numbers.setdefault(key, len(self._numbers))
        return np.array([self._numbers[key] for key in key_ids], np.uint64)


class DataMessage:
    """One Data event while it is put together."""

    def __init__(self, run_id: str, names: Names):
        self._head = TailSeriesResponse.Data(run_id=run_id)
        self._names = names
        self._frames: Parts = []
        self._size = 0

    @property
    def is_empty(self) -> bool:
        return not self._frames

    def add(self, rows: Rows) -> bool:
        """False: they do not fit in any more. An empty message has room for any piece."""
        keys = rows.key_ids.tolist()
        new = self._names.new(keys)
        size = 8 * len(rows.steps) * (len(keys) + 2) + _FRAME_BYTES * len(keys)
        size += sum(len(one.key.encode()) + _NAME_BYTES for one in new)
        if self._frames and self._size + size > DATA_BYTES:
            return False
        self._size += size
        self._head.series.extend(new)
        frame = (
            *packed(_SERIES, self._names.numbers(keys)),
            *packed(_STEPS, rows.steps),
            *packed(_TIMES, rows.times),
            *packed(_VALUES, np.ascontiguousarray(rows.values.T).ravel()),
        )
        self._frames += nested(_FRAMES, *frame)
        return True

    def bytes(self, cursor: bytes) -> bytes:
        data = nested(_DATA, self._head.SerializeToString(), *self._frames)
        return b"".join((*data, TailSeriesResponse(cursor=cursor).SerializeToString()))
