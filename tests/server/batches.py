"""Runs and batches for the tests of the metric engine."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName
from runwire.v1.metric_service_pb2 import ReadSeriesRequest, SeriesSelector
from runwire.v1.run_pb2 import Run
from runwire_server.metrics import Engine
from runwire_server.store import run
from runwire_server.store.database import Database

Points = list[tuple[int, int, float]]


@contextmanager
def running(db: Database, **settings: Any) -> Iterator[Engine]:
    """A started engine that leaves summaries alone until it is asked for them."""
    engine = Engine(db, **{"refresh_delay_s": 3600.0, **settings})
    engine.start()
    try:
        yield engine
    finally:
        engine.close()


def new_run(db: Database, **fields: Any) -> str:
    run_id = uuid.uuid4().hex
    with db.write() as tx:
        run.create(tx, Run(run_id=run_id, **fields), "", "")
    return run_id


def frame(
    columns: Mapping[int, Sequence[float]],
    steps: Sequence[int] | None = None,
    times: Sequence[int] | None = None,
) -> Frame:
    """``columns``: the values of each series id. Steps count from 0, times from 1000."""
    values = np.array(list(columns.values()), dtype="<f8").T
    steps = range(len(values)) if steps is None else steps
    times = [1000 + step for step in steps] if times is None else times
    return Frame(series=list(columns), steps=steps, times_micros=times, values=values.ravel())


def batch(
    sequence: int,
    *frames: Frame,
    names: Mapping[int, str] | None = None,
    **fields: Any,
) -> MetricBatch:
    series = [SeriesName(id=number, key=key) for number, key in (names or {}).items()]
    return MetricBatch(sequence=sequence, series=series, frames=frames, **fields)


def losses(sequence: int, *values: float, first_step: int | None = None, **fields: Any) -> Any:
    """A batch of one series "loss"; by default a point whose step is the sequence."""
    values = values or (float(sequence),)
    start = sequence if first_step is None else first_step
    points = frame({1: values}, steps=range(start, start + len(values)))
    return batch(sequence, points, names={1: "loss"}, **fields)


def points(engine: Engine, run_id: str, key: str = "loss", **fields: Any) -> Points:
    """Every point of a series as ReadSeries gives it."""
    request = ReadSeriesRequest(select=SeriesSelector(run_ids=[run_id], keys=[key]), **fields)
    return [
        point
        for message in engine.read_series(request)
        for point in zip(
            message.points.steps,
            message.points.times_micros,
            message.points.values,
            strict=True,
        )
    ]
