"""Columns of points and of buckets, as they come from the wire: no object per point."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from runwire.v1.metric_service_pb2 import ReadSeriesResponse

_FLOATS = {"values", "first", "last", "min", "max", "sum"}

Column = Any
"""A numpy array where numpy is installed, else an ``array.array``."""


@dataclass(frozen=True, eq=False)
class _Columns:
    run_id: str
    key: str

    def columns(self) -> dict[str, Column]:
        """The columns, by their names in a table."""
        raise NotImplementedError

    def to_pandas(self) -> pd.DataFrame:
        """Raises ImportError without pandas."""
        with needs("pandas"):
            import pandas as pd

        columns = self.columns()
        if "time" in columns:
            columns["time"] = pd.to_datetime(columns["time"], unit="us", utc=True)
        return pd.DataFrame(columns)

    def to_arrow(self) -> pa.Table:
        """With run_id and key (dictionaries) before the columns of ``to_pandas``.

        Raises ImportError without pyarrow.
        """
        with needs("runwire[arrow]"):
            import pyarrow as pa

        columns = {name: pa.array(column) for name, column in self.columns().items()}
        if "time" in columns:
            columns["time"] = columns["time"].cast(pa.timestamp("us", "UTC"))
        places = pa.array([0] * len(self), pa.int32())
        names = {
            name: pa.DictionaryArray.from_arrays(places, pa.array([text], pa.string()))
            for name, text in (("run_id", self.run_id), ("key", self.key))
        }
        return pa.table({**names, **columns})

    def __len__(self) -> int:
        return len(next(iter(self.columns().values())))


@dataclass(frozen=True, eq=False)
class Series(_Columns):
    """Points of one metric of one run, ordered by (step, time), on the time axes by
    (time, step).

    ``steps`` and ``times_micros`` (since 1970, UTC) are int64, ``values`` float64: numpy
    arrays where numpy is installed, else ``array.array``. As a table: step, time (UTC),
    value.
    """

    steps: Column
    times_micros: Column
    values: Column

    def columns(self) -> dict[str, Column]:
        return {"step": self.steps, "time": self.times_micros, "value": self.values}


@dataclass(frozen=True, eq=False)
class Buckets(_Columns):
    """Statistics of stretches of the axis of one metric of one run; empty ones are left out.

    A bucket is from ``starts`` (inclusive) to ``ends`` (exclusive): int64, steps, or
    microseconds on the time axes. Edges are the same for all series of one read.
    ``counts`` are its points, ``non_finite`` those that are NaN or infinite (int64);
    ``first`` and ``last`` are values of points, ``min``, ``max`` and ``sum`` are over finite
    values (float64), NaN (``sum`` 0) where there is none. As a table: start, end, count,
    first, last, min, max, sum, non_finite.
    """

    starts: Column
    ends: Column
    counts: Column
    first: Column
    last: Column
    min: Column
    max: Column
    sum: Column
    non_finite: Column

    def columns(self) -> dict[str, Column]:
        plural = {"starts": "start", "ends": "end", "counts": "count"}
        names = [one.name for one in fields(self)[2:]]
        return {plural.get(name, name): getattr(self, name) for name in names}


Rows = TypeVar("Rows", bound=Series | Buckets)


class SeriesSet(dict[tuple[str, str], Rows], Generic[Rows]):
    """What was read, by (run_id, key)."""

    def to_pandas(self) -> pd.DataFrame:
        """One long table: run_id, key and the columns of a series.

        Raises ImportError without pandas, ValueError where some series are reduced to
        buckets and others are not.
        """
        with needs("pandas"):
            import pandas as pd

        columns = ["run_id", "key", *self._kind().columns()]
        tables = [
            one.to_pandas().assign(run_id=one.run_id, key=one.key)
            for one in self.values()
            if len(one)
        ]
        if not tables:
            return pd.DataFrame(columns=columns)
        return pd.concat(tables, ignore_index=True)[columns]

    def to_arrow(self) -> pa.Table:
        """As ``to_pandas``, as an Arrow table. Raises ImportError without pyarrow, ValueError
        as there."""
        with needs("runwire[arrow]"):
            import pyarrow as pa

        none = self._kind().to_arrow()
        return pa.concat_tables([none, *(one.to_arrow() for one in self.values())])

    def _kind(self) -> Series | Buckets:
        """An empty one of the kind that all are."""
        kinds = {Buckets if isinstance(one, Buckets) else Series for one in self.values()}
        if len(kinds) > 1:
            raise ValueError("some series are reduced, others are whole; ask for BUCKETS or NONE")
        kind = next(iter(kinds), Series)
        return kind("", "", *(_column(b"", number) for _, number in _numbers_of(kind)))


def rows_of(response: ReadSeriesResponse) -> Series | Buckets:
    """What one response carries."""
    if response.WhichOneof("data") == "buckets":
        columns = [
            _column(getattr(response.buckets, name), kind) for name, kind in _numbers_of(Buckets)
        ]
        return Buckets(response.run_id, response.key, *columns)
    data = _packed_fields(response.points.SerializeToString())
    columns = [
        _column(data.get(number, b""), kind)
        for number, (_, kind) in enumerate(_numbers_of(Series), 1)
    ]
    return Series(response.run_id, response.key, *columns)


def _numbers_of(kind: type[Series | Buckets]) -> list[tuple[str, str]]:
    """Its columns, each with "d" for float64 or "q" for int64."""
    return [(one.name, "d" if one.name in _FLOATS else "q") for one in fields(kind)[2:]]


def collect(responses: Iterable[ReadSeriesResponse]) -> SeriesSet[Any]:
    """All rows of the responses, joined by series."""
    found: dict[tuple[str, str], _Growing] = {}
    for response in responses:
        part = rows_of(response)
        found.setdefault((part.run_id, part.key), _Growing(part)).add(part)
    return SeriesSet({name: growing.rows() for name, growing in found.items()})


class _Growing:
    """Rows to which others are added. Parts are copied as they come: to keep 1 MiB here and
    1 MiB there until all are joined costs more in page faults than all copies together."""

    def __init__(self, like: Series | Buckets):
        self._like, self._count = like, 0
        self._columns = [_column([], kind) for _, kind in _numbers_of(type(like))]

    def add(self, part: Series | Buckets) -> None:
        more = part.columns().values()
        self._columns = [
            _added(column, self._count, new)
            for column, new in zip(self._columns, more, strict=True)
        ]
        self._count += len(part)

    def rows(self) -> Series | Buckets:
        like = self._like
        if _numpy() is not None:
            for column in self._columns:
                column.resize(self._count, refcheck=False)
        return type(like)(like.run_id, like.key, *self._columns)


def _added(column: Column, count: int, more: Column) -> Column:
    """A column of so many numbers, and perhaps room behind them, with more of them."""
    np = _numpy()
    if np is None:
        column.extend(more)
        return column
    if not count and more.flags.writeable:  # made for us, and not a view of a message
        return more
    end = count + len(more)
    if end > len(column):
        grown = np.empty(max(end, 2 * len(column)), column.dtype)
        grown[:count] = column[:count]
        column = grown
    column[count:end] = more
    return column


def _packed_fields(data: bytes) -> dict[int, memoryview]:
    """The contents of a message's packed fields, by number: the numbers' own bytes, at the
    price of a copy of memory with every version of protobuf."""
    view, found, at = memoryview(data), {}, 0
    while at < len(data):
        number, at = data[at] >> 3, at + 1
        size = shift = 0
        while data[at] > 0x7F:
            size, shift, at = size | (data[at] & 0x7F) << shift, shift + 7, at + 1
        size, at = size | data[at] << shift, at + 1
        found[number], at = view[at : at + size], at + size
    return found


def _column(data: Any, kind: str) -> Column:
    """Of little-endian bytes, or of numbers; kind: "q" for int64, "d" for float64."""
    np = _numpy()
    is_bytes = isinstance(data, bytes | memoryview)
    if np is not None:
        return np.frombuffer(data, f"<{kind}") if is_bytes else np.asarray(data, kind)
    made = array(kind, b"" if is_bytes else data)
    if is_bytes:
        made.frombytes(data)
        if sys.byteorder == "big":
            made.byteswap()
    return made


def columns_of(frame: Any) -> tuple[Sequence[int], Column, Column, Column]:
    """(series, steps, times, values) of a Frame, the values row by row."""
    numbers = list(frame.series)
    data = _packed_fields(frame.SerializeToString())
    return numbers, _column(data[2], "q"), _column(data[3], "q"), _column(data[4], "d")


def concatenated(columns: Sequence[Column]) -> Column:
    """One behind the other."""
    np = _numpy()
    if np is not None:
        return np.concatenate(columns)
    made = array(columns[0].typecode)
    for column in columns:
        made.extend(column)
    return made


@cache
def _numpy() -> Any:
    try:
        import numpy as np
    except ImportError:
        return None
    return np


@contextmanager
def needs(install: str) -> Iterator[None]:
    """Around an import of what the user may not have."""
    try:
        yield
    except ImportError as error:
        problem = f"{error.name} is not installed: pip install '{install}'"
        raise ImportError(problem, name=error.name) from None
