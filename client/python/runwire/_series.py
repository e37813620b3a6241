"""Columns of points, as they come from the wire: no object per point."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from runwire.v1.metric_service_pb2 import ReadSeriesResponse


@dataclass(frozen=True, eq=False)
class Series:
    """One metric of one run, ordered by (step, time).

    ``steps`` and ``times_micros`` (since 1970, UTC) are int64, ``values`` float64: numpy
    arrays where numpy is installed, else ``array.array``.
    """

    run_id: str
    key: str
    steps: Sequence[int]
    times_micros: Sequence[int]
    values: Sequence[float]

    def __len__(self) -> int:
        return len(self.steps)

    def to_pandas(self) -> pd.DataFrame:
        """Columns step, time (UTC), value. Raises ImportError without pandas."""
        import pandas as pd

        return pd.DataFrame(
            {
                "step": self.steps,
                "time": pd.to_datetime(self.times_micros, unit="us", utc=True),
                "value": self.values,
            }
        )


class SeriesSet(dict[tuple[str, str], Series]):
    """Series by (run_id, key)."""

    def to_pandas(self) -> pd.DataFrame:
        """One long table: run_id, key, step, time (UTC), value."""
        import pandas as pd

        columns = ["run_id", "key", "step", "time", "value"]
        tables = [
            one.to_pandas().assign(run_id=one.run_id, key=one.key)
            for one in self.values()
            if len(one)
        ]
        if not tables:
            return pd.DataFrame(columns=columns)
        return pd.concat(tables, ignore_index=True)[columns]


def collect(responses: Iterable[ReadSeriesResponse]) -> SeriesSet:
    """All points of the responses, joined by series."""
    joined = _joined_arrays if _has_numpy() else _joined_lists
    parts: dict[tuple[str, str], list[ReadSeriesResponse.Points]] = {}
    for response in responses:
        parts.setdefault((response.run_id, response.key), []).append(response.points)
    return SeriesSet(
        {
            name: Series(
                *name,
                joined([one.steps for one in points], "q"),
                joined([one.times_micros for one in points], "q"),
                joined([one.values for one in points], "d"),
            )
            for name, points in parts.items()
        }
    )


def _has_numpy() -> bool:
    try:
        import numpy as np
    except ImportError:
        return False
    return bool(np)


def _joined_arrays(columns: list[Any], kind: str) -> Any:
    import numpy as np

    # protobuf >= 7.34 hands its column over as one copy of memory; older ones item by item.
    arrays = [np.asarray(column, dtype=np.dtype(kind)) for column in columns]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _joined_lists(columns: list[Any], kind: str) -> Any:
    made = array(kind)
    for column in columns:
        made.extend(column)
    return made
