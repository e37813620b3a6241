"""What frames add up to: one line per key, computed column-wise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from runwire_server.metrics.frames import FLOAT, INT, Floats, Frame, Ints

Array = npt.NDArray[Any]


class Tally(NamedTuple):
    """Columns of equal length, one line per key, in the order of the key.

    ``minimum``, ``maximum`` and ``total`` are over finite values; without any they
    are +Inf, -Inf and 0. A zero among them has no sign: which of 0.0 and -0.0 was the lesser
    would depend on how rows came together. ``last`` is the value of the greatest (step,
    time, arrival).
    """

    key_ids: Ints
    points: Ints
    non_finite: Ints
    first_step: Ints
    last_step: Ints
    last_time: Ints
    time_min: Ints
    time_max: Ints
    last_arrival: Ints
    last: Floats
    minimum: Floats
    maximum: Floats
    total: Floats

    @property
    def mean(self) -> Floats:
        """Over finite values; NaN where there is none."""
        finite = self.points - self.non_finite
        means: Floats = np.full(len(finite), np.nan)
        np.divide(self.total, finite, out=means, where=finite > 0)
        return means

    def take(self, lines: Array) -> Tally:
        """These lines only, in this order."""
        return _of(column[lines] for column in self)


def _of(columns: Iterable[Array]) -> Tally:
    return Tally(*columns)


EMPTY = _of(np.empty(0, INT if place < 9 else FLOAT) for place in range(13))


def tally(frames: Iterable[tuple[Frame, int]]) -> Tally:
    """The tally of frames and their places in the order of arrival.

    Frames of one key set are joined first: a thousand frames of one row cost as much
    as one frame of a thousand rows.
    """
    sets: dict[bytes, list[tuple[Frame, int]]] = {}
    for frame, arrival in frames:
        sets.setdefault(frame.key_ids.tobytes(), []).append((frame, arrival))
    return merge([_tally_set(members) for members in sets.values()])


def _tally_set(members: list[tuple[Frame, int]]) -> Tally:
    """All columns of a key set share their rows, and so where they begin and end."""
    steps = np.concatenate([frame.steps for frame, _ in members])
    times = np.concatenate([frame.times for frame, _ in members])
    values = np.concatenate([frame.values for frame, _ in members])
    arrivals = np.repeat([arrival for _, arrival in members], [len(f.steps) for f, _ in members])
    end = _last_row(steps, times, arrivals)
    key_ids = members[0][0].key_ids
    width = len(key_ids)
    finite = np.isfinite(values)
    non_finite = len(steps) - finite.sum(axis=0)
    if non_finite.any():
        low, high = np.where(finite, values, np.inf), np.where(finite, values, -np.inf)
        summed = np.where(finite, values, 0.0)
    else:
        low = high = summed = values
    with np.errstate(over="ignore", invalid="ignore"):
        total = summed.sum(axis=0)
    return Tally(
        key_ids,
        np.full(width, len(steps)),
        non_finite,
        np.full(width, steps.min()),
        np.full(width, steps[end]),
        np.full(width, times[end]),
        np.full(width, times.min()),
        np.full(width, times.max()),
        np.full(width, arrivals[end]),
        values[end],
        low.min(axis=0) + 0.0,  # makes -0.0 zero
        high.max(axis=0) + 0.0,
        np.nan_to_num(total, nan=0.0, posinf=np.inf, neginf=-np.inf) + 0.0,
    )


def _last_row(*keys: Ints) -> int:
    """The row of the greatest (keys[0], keys[1], ...), of equal ones the last."""
    rows = np.arange(len(keys[0]))
    for key in keys:
        of_rows = key[rows]
        rows = rows[of_rows == of_rows.max()]
    return int(rows[-1])


def merge(tallies: Sequence[Tally]) -> Tally:
    """One line for each key of all tallies; with equal (step, time, arrival) the later
    tally has the last value."""
    if not tallies:
        return EMPTY
    joined = _of(np.concatenate(column) for column in zip(*tallies, strict=True))
    order = np.lexsort((joined.last_arrival, joined.last_time, joined.last_step, joined.key_ids))
    joined = joined.take(order)
    new_key = np.diff(joined.key_ids) != 0
    starts = np.concatenate(([0], np.flatnonzero(new_key) + 1))
    ends = np.append(starts[1:], len(order)) - 1
    return Tally(
        joined.key_ids[starts],
        np.add.reduceat(joined.points, starts),
        np.add.reduceat(joined.non_finite, starts),
        np.minimum.reduceat(joined.first_step, starts),
        joined.last_step[ends],
        joined.last_time[ends],
        np.minimum.reduceat(joined.time_min, starts),
        np.maximum.reduceat(joined.time_max, starts),
        joined.last_arrival[ends],
        joined.last[ends],
        np.minimum.reduceat(joined.minimum, starts),
        np.maximum.reduceat(joined.maximum, starts),
        _sums(joined.total, starts),
    )


def _sums(totals: Floats, starts: Array) -> Floats:
    """Sums of finite values that may overflow to ±Inf, but never turn into NaN: where
    both infinities meet, the first one stays."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.add.reduceat(totals, starts)
    return np.where(np.isnan(sums), totals[starts], sums)
