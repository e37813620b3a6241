"""What a tail tells, with the names of series in place of the numbers of the wire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runwire._series import Column, Series, columns_of, concatenated
from runwire.v1.run_pb2 import Run

if TYPE_CHECKING:
    from runwire.v1.metric_service_pb2 import TailSeriesResponse


@dataclass(frozen=True, eq=False)
class Frame:
    """Rows that carry the same metrics: ``values`` has one column a key, each as long as
    ``steps`` and ``times_micros``."""

    keys: Sequence[str]
    steps: Column
    times_micros: Column
    values: Sequence[Column]


@dataclass(frozen=True, eq=False)
class TailEvent:
    """One event of ``client.metrics.tail``: points (``frames``), or the end of a run
    (``ended``: FINISHED, FAILED or KILLED), or ``lagged``: points were left out that cannot be
    read. With none of these it is a Mark: nothing was missed up to here.

    ``cursor``: the place after it.
    """

    cursor: bytes
    run_id: str = ""
    frames: Sequence[Frame] = ()
    ended: str = ""
    lagged: bool = False

    @property
    def is_mark(self) -> bool:
        return not (self.frames or self.ended or self.lagged)

    @property
    def series(self) -> list[Series]:
        """The points by metric, in the order of arrival."""
        parts: dict[str, list[tuple[Column, Column, Column]]] = {}
        for frame in self.frames:
            for key, values in zip(frame.keys, frame.values, strict=True):
                parts.setdefault(key, []).append((frame.steps, frame.times_micros, values))
        return [
            Series(self.run_id, key, *map(concatenated, zip(*found, strict=True)))
            for key, found in parts.items()
        ]

    def points(self) -> Iterator[tuple[str, int, int, float]]:
        """(key, step, time in microseconds, value), row by row in the order of arrival."""
        for frame in self.frames:
            rows = zip(
                frame.steps.tolist(),
                frame.times_micros.tolist(),
                *(column.tolist() for column in frame.values),
                strict=True,
            )
            for step, time, *values in rows:
                for key, value in zip(frame.keys, values, strict=True):
                    yield key, step, time, value


class Opener:
    """Makes events of responses. Names hold until the stream ends; a new stream says them
    again before it uses them."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def __call__(self, response: TailSeriesResponse) -> TailEvent:
        kind = response.WhichOneof("event")
        if kind == "data":
            self._names |= {one.id: one.key for one in response.data.series}
            frames = [self._frame(one) for one in response.data.frames]
            return TailEvent(response.cursor, response.data.run_id, frames)
        if kind == "run_ended":
            ended = response.run_ended
            state = Run.State.Name(ended.state).removeprefix("STATE_")
            return TailEvent(response.cursor, ended.run_id, ended=state)
        return TailEvent(response.cursor, lagged=kind == "lagged")

    def _frame(self, message: object) -> Frame:
        numbers, steps, times, values = columns_of(message)
        keys = [self._names[number] for number in numbers]
        return Frame(keys, steps, times, [values[place :: len(keys)] for place in range(len(keys))])
