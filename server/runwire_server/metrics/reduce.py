"""Fewer points that tell the same: statistics of stretches of an axis, or the points that
keep the picture.

Both look at every point and take a series part by part: what they made of the first parts
is reduced again together with the next, and comes out as if the series had been whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from runwire_server.metrics.frames import INT, Floats, Ints
from runwire_server.metrics.rows import Places
from runwire_server.metrics.stretch import NO_POINTS, Columns

# First, least, greatest and last.
POINTS_A_BUCKET = 4
# Points that take as much memory as a bucket.
BUCKET_POINTS = 3

_INT64_MIN, _INT64_MAX = -(1 << 63), (1 << 63) - 1
# Any number of doubles times this adds up without an overflow.
_SCALE = 2.0**-64

Rows = TypeVar("Rows", bound="Columns | Buckets")


class Range(NamedTuple):
    """Of an axis: from ``start`` to before ``end``."""

    start: int
    end: int


class Buckets(NamedTuple):
    """Statistics of stretches of an axis, by ascending number; none is empty.

    ``minimum``, ``maximum`` and ``total`` are over finite values; without any they are
    +Inf, -Inf and 0. A zero among them has no sign, as in a ``Tally``.
    """

    numbers: Ints  # on the grid
    counts: Ints
    first: Floats
    last: Floats
    minimum: Floats
    maximum: Floats
    total: Floats
    non_finite: Ints


@dataclass(frozen=True, slots=True)
class Grid:
    """``count`` buckets of ``width`` from ``start`` on, in Python's numbers: they may reach
    beyond int64."""

    start: int
    width: int
    count: int

    @classmethod
    def over(cls, range: Range, most: int) -> Grid:
        """At most so many buckets over a range. Their edges are multiples of the width, so
        that a range moved by a bit keeps them; a single one is the range itself."""
        if most == 1:
            return cls(range.start, range.end - range.start, 1)
        width = -(-(range.end - range.start) // most)
        while (count := (range.end - 1) // width - range.start // width + 1) > most:
            width += max(1, width // (4 * most))
        return cls(range.start // width * width, width, count)

    @property
    def end(self) -> int:
        return self.start + self.width * self.count

    def numbers(self, axis: Ints, origin: int) -> Ints:
        """The bucket of each place of an axis that has the grid's 0 at ``origin``."""
        start = self.start + origin
        if self.end - self.start >= 1 << 64:  # all of int64 in a handful of buckets
            return np.array([(place - start) // self.width for place in axis.tolist()], INT)
        distances = axis.view(np.uint64) - np.uint64(start % (1 << 64))
        return (distances // np.uint64(self.width)).view(np.int64)

    def edges(self, numbers: Ints) -> Ints:
        """Where buckets begin, cut to int64."""
        if self.start >= _INT64_MIN and max(self.end, self.width) <= _INT64_MAX:
            return self.start + self.width * numbers
        exact = (self.start + self.width * number for number in numbers.tolist())
        return np.array([min(max(edge, _INT64_MIN), _INT64_MAX) for edge in exact], INT)


class Cut(NamedTuple):
    """Rows in groups: ``numbers`` of the buckets, the row with which each starts, and the one
    before which it ends. ``width``: the rows of each but the first and the last; 0 where they
    differ."""

    numbers: Ints
    starts: Places
    ends: Places
    counts: Ints
    width: int

    @classmethod
    def of(cls, numbers: Ints) -> Cut:
        """From the number of each row, in ascending order."""
        starts = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
        first, last = [[0], [len(numbers)]] if len(numbers) else [[], []]
        ends = np.concatenate((starts, np.array(last, np.intp)))
        starts = np.concatenate((np.array(first, np.intp), starts))
        counts = ends - starts
        inner = counts[1:-1]
        alike = len(inner) and (inner == inner[0]).all()
        return cls(numbers[starts], starts, ends, counts, int(inner[0]) if alike else 0)


class Cutter:
    """Says which rows are in which bucket. Series with an axis in common share the work."""

    def __init__(self, grid: Grid, by_time: bool, origin: int):
        self.grid = grid
        self._by_time, self._origin = by_time, origin
        self._axis: Ints | None = None

    def cut(self, points: Columns) -> Cut:
        axis = points.times if self._by_time else points.steps
        if axis is not self._axis:
            self._cut = Cut.of(self.grid.numbers(axis, self._origin))
            self._axis = axis
        return self._cut


class Reducer:
    """Takes a series part by part. Up to ``whole`` points stay as they are; None: none do.

    Holds what the parts come to: of a bucket that goes over several of them, once for each.
    """

    def __init__(self, cutter: Cutter, whole: int | None, *, to_shape: bool):
        self._cutter, self._to_shape = cutter, to_shape
        self._whole = -1 if whole is None else whole
        self._count = 0
        self._parts: list[Any] = []
        self._reduces = False  # and the parts are reduced
        self._last: int | None = None  # their last bucket
        self._overlap = False  # some bucket goes over several parts

    def add(self, points: Columns) -> None:
        self._count += len(points.steps)
        if self._count <= self._whole:
            self._parts.append(points)
            return
        if not self._reduces:
            points, self._parts, self._reduces = join(*self._parts, points), [], True
        cut = self._cutter.cut(points)
        if len(cut.numbers):
            self._overlap = self._overlap or self._last == int(cut.numbers[0])
            self._last = int(cut.numbers[-1])
        self._parts.append(self._reduced(points, cut))

    def rows(self) -> Columns | Buckets:
        """What all parts come to."""
        if not self._parts:
            self.add(NO_POINTS)
        made: Columns | Buckets = join(*self._parts)
        if not self._overlap:
            return made
        return merge(made) if isinstance(made, Buckets) else self._shape_again(made)

    def _shape_again(self, made: Columns) -> Columns:
        """Only where parts meet: of a bucket in several of them each has a few rows there.
        Of other buckets, whole or in part, all rows stay."""
        seams = np.cumsum([len(part.steps) for part in self._parts])
        near = (seams[:, np.newaxis] + np.arange(-POINTS_A_BUCKET, POINTS_A_BUCKET)).ravel()
        near = np.unique(near[(near >= 0) & (near < len(made.steps))])
        some = made.take(near)
        kept = np.ones(len(made.steps), bool)
        kept[near] = _kept(some, self._cutter.cut(some))
        return made.take(np.flatnonzero(kept))

    def _reduced(self, points: Columns, cut: Cut) -> Columns | Buckets:
        return shape(points, cut) if self._to_shape else buckets(points.values, cut)


def buckets(values: Floats, cut: Cut) -> Buckets:
    """The statistics of values in groups."""
    low = high = values
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.add.reduceat(values, cut.starts)
    non_finite: Ints = np.zeros(len(cut.starts), INT)
    # A sum is only finite where all that went into it is.
    if not np.isfinite(total).all():
        finite = np.isfinite(values)
        low, high = np.where(finite, values, np.inf), np.where(finite, values, -np.inf)
        total = _sums(np.where(finite, values, 0.0), cut.starts)
        non_finite = np.add.reduceat((~finite).astype(INT), cut.starts)
    return Buckets(
        cut.numbers,
        cut.counts,
        values[cut.starts],
        values[cut.ends - 1],
        np.minimum.reduceat(low, cut.starts) + 0.0,
        np.maximum.reduceat(high, cut.starts) + 0.0,
        total + 0.0,
        non_finite,
    )


def merge(parts: Buckets) -> Buckets:
    """Those of one number become one."""
    cut = Cut.of(parts.numbers)
    return Buckets(
        cut.numbers,
        np.add.reduceat(parts.counts, cut.starts),
        parts.first[cut.starts],
        parts.last[cut.ends - 1],
        np.minimum.reduceat(parts.minimum, cut.starts),
        np.maximum.reduceat(parts.maximum, cut.starts),
        _sums(parts.total, cut.starts),
        np.add.reduceat(parts.non_finite, cut.starts),
    )


def shape(points: Columns, cut: Cut) -> Columns:
    """The first, the least, the greatest and the last point of each bucket, each once: M4.

    A line drawn through them looks like one through all points, where a bucket is as wide
    as a pixel (Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation",
    VLDB 2014). Of equal values the first is taken; NaN and infinities are neither least
    nor greatest.
    """
    return points.take(np.flatnonzero(_kept(points, cut)))


def _kept(points: Columns, cut: Cut) -> npt.NDArray[np.bool_]:
    """Which points ``shape`` keeps."""
    low = high = points.values
    finite = np.isfinite(low)
    if not finite.all():
        low, high = np.where(finite, low, np.inf), np.where(finite, high, -np.inf)
    kept = np.zeros(len(points.values), bool)
    kept[cut.starts] = True
    kept[cut.ends - 1] = True
    kept[_firsts(low, cut, np.ndarray.argmin, np.minimum)] = True
    kept[_firsts(high, cut, np.ndarray.argmax, np.maximum)] = True
    return kept


def _firsts(values: Floats, cut: Cut, place_of: Any, extreme: np.ufunc) -> Places:
    """The first row of each group that has the group's least or greatest value."""
    if cut.width:
        start, end = cut.ends[0], cut.starts[-1]
        found = cut.starts.copy()
        found[0] += place_of(values[:start])
        found[1:-1] += place_of(values[start:end].reshape(-1, cut.width), axis=1)
        found[-1] += place_of(values[end:])
        return found
    wanted = extreme.reduceat(values, cut.starts)
    hits = np.flatnonzero(values == np.repeat(wanted, cut.counts))
    return hits[np.searchsorted(hits, cut.starts)]


def _sums(values: Floats, starts: Places) -> Floats:
    """Sums that are infinite where they are too great for a double, but never NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.add.reduceat(values, starts)
        if not np.isfinite(sums).all():
            scaled = np.add.reduceat(values * _SCALE, starts) / _SCALE
            scaled = np.nan_to_num(scaled, posinf=np.inf, neginf=-np.inf)
            sums = np.where(np.isfinite(sums), sums, scaled)
    return sums


def join(*parts: Rows) -> Rows:
    """Rows of one kind behind one another."""
    if len(parts) == 1:
        return parts[0]
    made: Any = map(np.concatenate, zip(*parts, strict=True))
    return type(parts[0])(*made)


def part_of(rows: Rows, start: int, end: int | None = None) -> Rows:
    made: Any = (column[start:end] for column in rows)
    return type(rows)(*made)
