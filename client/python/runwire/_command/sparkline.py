"""The course of numbers as a line of bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def draw(values: Sequence[float]) -> str:
    """A bar for each; a blank where it is not finite."""
    drawn = [value for value in values if math.isfinite(value)]
    if not drawn:
        return ""
    low, span = min(drawn), max(drawn) - min(drawn)
    return "".join(_bar(value, low, span) for value in values).rstrip()


class Course:
    """The means of a growing series in at most ``2 * width`` equal stretches of points."""

    def __init__(self, width: int):
        self._width = width
        self._means: list[float] = []
        self._stretch = 1
        self._open: list[float] = []

    def add(self, values: Sequence[float], stretch: int = 1) -> None:
        """Further points; or means of so many points each."""
        while self._stretch < stretch:
            self._widen()
        for value in values:
            self._open += [value] * stretch
            if len(self._open) >= self._stretch:
                self._means.append(_mean(self._open))
                self._open = []
            if len(self._means) > 2 * self._width:
                self._widen()

    def __str__(self) -> str:
        shown = [*self._means, *([_mean(self._open)] if self._open else [])]
        if len(shown) > self._width:
            shown = [_mean(shown[at : at + 2]) for at in range(0, len(shown), 2)]
        return draw(shown[-self._width :])

    def _widen(self) -> None:
        self._stretch *= 2
        means = self._means
        self._means = [_mean(means[at : at + 2]) for at in range(0, len(means), 2)]


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def _bar(value: float, low: float, span: float) -> str:
    if not math.isfinite(value):
        return " "
    if not span or not math.isfinite(span):
        return BARS[len(BARS) // 2]
    return BARS[min(len(BARS) - 1, int((value - low) / span * len(BARS)))]
