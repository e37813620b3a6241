"""What ``runwire top`` knows: running runs, their latest values and their courses."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from runwire._command import run_table
from runwire._command.sparkline import Course

if TYPE_CHECKING:
    from runwire._series import Buckets
    from runwire._tail import TailEvent

WIDTH = 28
# Metrics of a run where none are named.
KEYS = 3
# How long a run that has ended is still shown.
LINGER_S = 30.0
# Steps per second are those of so many of its last seconds, by the times of its points.
RATE_S = 10.0


@dataclass
class Metric:
    last: float
    course: Course


@dataclass
class Line:
    """One run."""

    run: Any
    keys: Sequence[str] = ()
    metrics: dict[str, Metric] = field(default_factory=dict)
    loaded: frozenset[str] = frozenset()  # keys whose history is read
    ended_s: float | None = None
    steps: deque[tuple[int, int]] = field(default_factory=deque)  # (time in µs, step)

    @property
    def age(self) -> timedelta | None:
        return run_table.duration(self.run)

    @property
    def rate(self) -> float | None:
        """Steps per second, lately."""
        if len(self.steps) < 2:
            return None
        (early, low), (late, high) = self.steps[0], self.steps[-1]
        return (high - low) / ((late - early) / 1e6) if late > early else None

    def stepped(self, time_micros: int, step: int) -> None:
        if self.steps and step <= self.steps[-1][1]:
            return
        self.steps.append((time_micros, step))
        while self.steps[-1][0] - self.steps[0][0] > RATE_S * 1e6:
            self.steps.popleft()

    def take(self, key: str, values: Sequence[float], stretch: int = 1) -> None:
        """Points of a metric in their order; or means of so many points each."""
        metric = self.metrics.setdefault(key, Metric(values[-1], Course(WIDTH)))
        metric.last = values[-1]
        metric.course.add(values, stretch)


class Board:
    """Safe for threads. ``keys``: the metrics to show; none: the first ones of each run."""

    def __init__(self, keys: Sequence[str], limit: int):
        self.lock = threading.RLock()
        self._wanted, self._limit = tuple(keys), limit
        self._lines: dict[str, Line] = {}

    def put(self, run: Any) -> None:
        """A run as it is now: shown while it is under way, and a moment longer."""
        with self.lock:
            line = self._lines.get(run.run_id)
            under_way = run_table.state(run) in ("SCHEDULED", "RUNNING", "LOST")
            if run.HasField("delete_time"):
                self.drop(run.run_id)
            elif line is not None or under_way:
                line = self._lines.setdefault(run.run_id, Line(run))
                line.run = run
                line.ended_s = None if under_way else line.ended_s or time.monotonic()

    def drop(self, run_id: str) -> None:
        with self.lock:
            self._lines.pop(run_id, None)

    def lines(self) -> list[Line]:
        """Those shown, the newest first; runs that have ended come last, and go."""
        with self.lock:
            for run_id, line in list(self._lines.items()):
                if line.ended_s is not None and time.monotonic() - line.ended_s > LINGER_S:
                    self.drop(run_id)
            found = sorted(self._lines.values(), key=_newest)
            return sorted(found, key=lambda line: line.ended_s is not None)[: self._limit]

    def hidden(self) -> int:
        """How many runs there are besides."""
        with self.lock:
            return len(self._lines) - len(self.lines())

    def choose(self, run_id: str, keys: Iterable[str]) -> None:
        """The keys that a run has."""
        with self.lock:
            if run_id in self._lines:
                had = tuple(keys)
                wanted = [key for key in self._wanted if key in had]
                self._lines[run_id].keys = wanted if self._wanted else had[:KEYS]

    def lacks_keys(self) -> list[str]:
        """Runs shown that may have more metrics to show than are known."""
        most = len(self._wanted) or KEYS
        return [line.run.run_id for line in self.lines() if len(line.keys) < most]

    def selection(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(runs, keys) to follow."""
        lines = [line for line in self.lines() if line.keys]
        run_ids = sorted(line.run.run_id for line in lines)
        return tuple(run_ids), tuple(sorted({key for line in lines for key in line.keys}))

    def unloaded(self) -> list[tuple[str, list[str]]]:
        """(run, keys) whose history is yet to be read; they count as read from now on."""
        with self.lock:
            found = []
            for line in self.lines():
                missing = [key for key in line.keys if key not in line.loaded]
                line.loaded |= frozenset(missing)
                if missing:
                    found.append((line.run.run_id, missing))
            return found

    def load(self, run_id: str, found: Iterable[Buckets]) -> None:
        """The course of each metric until now."""
        with self.lock:
            line = self._lines.get(run_id)
            for one in found if line else ():
                assert line is not None  # noqa: S101 - told to mypy
                finite = (one.counts - one.non_finite).tolist()
                pairs = zip(one.sum.tolist(), finite, strict=True)
                means = [total / count if count else float("nan") for total, count in pairs]
                if means:
                    line.metrics.pop(one.key, None)
                    line.take(one.key, means, max(1, int(sum(one.counts)) // len(means)))
                    line.metrics[one.key].last = float(one.last[-1])

    def take(self, event: TailEvent) -> None:
        """Points that have arrived."""
        with self.lock:
            line = self._lines.get(event.run_id)
            if line is None:
                return
            for series in event.series:
                if series.key in line.keys:
                    line.take(series.key, series.values.tolist())
                for stamp, step in zip(
                    series.times_micros.tolist(), series.steps.tolist(), strict=True
                ):
                    line.stepped(stamp, step)


def _newest(line: Line) -> tuple[int, str]:
    return -line.run.start_time.ToMicroseconds(), line.run.run_id
