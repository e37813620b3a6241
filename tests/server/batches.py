"""Runs and batches for the tests of the metric engine."""

from __future__ import annotations

import math
import struct
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesInfo, SeriesName, WriteAck
from runwire.v1.metric_service_pb2 import (
    ListSeriesRequest,
    ReadSeriesRequest,
    ReadSeriesResponse,
    SeriesSelector,
)
from runwire.v1.run_pb2 import Run
from runwire_server.metrics import Engine, assembly, blocks, outstanding
from runwire_server.metrics.fold import Fold
from runwire_server.metrics.lease import Leases
from runwire_server.metrics.summaries import Summaries
from runwire_server.metrics.trim import trim_frames
from runwire_server.store import run
from runwire_server.store.database import Database

KEYS = {number: f"key{number}" for number in range(6)}
NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_BEEF))[0]
VALUES = st.sampled_from([0.0, -0.0, 1.0, -2.5, 1e300, 5e-324, math.nan, NAN, math.inf, -math.inf])
Points = list[tuple[int, int, float]]


@contextmanager
def running(db: Database, *, folds: bool = False, **settings: Any) -> Iterator[Engine]:
    """A started engine that leaves summaries alone until it is asked for them, and folds
    what is old only where told so: it would at any moment."""
    engine = Engine(db, **{"refresh_delay_s": 3600.0, **settings})
    with pytest.MonkeyPatch.context() as patch:
        if not folds:
            patch.setattr(engine._folder, "start", lambda: None)
        engine.start()
    try:
        yield engine
    finally:
        engine.close()


def new_run(db: Database, **fields: Any) -> str:
    made = Run(**{"run_id": uuid.uuid4().hex, **fields})
    with db.write() as tx:
        run.create(tx, made, "", "")
    return made.run_id


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


def responses(engine: Engine, request: ReadSeriesRequest) -> Iterator[ReadSeriesResponse]:
    """What ReadSeries answers; it comes from the engine as bytes of the wire."""
    return map(ReadSeriesResponse.FromString, engine.read_series(request))


def points(engine: Engine, run_id: str, key: str = "loss", **fields: Any) -> Points:
    """Every point of a series as ReadSeries gives it."""
    request = ReadSeriesRequest(select=SeriesSelector(run_ids=[run_id], keys=[key]), **fields)
    return [
        point
        for message in responses(engine, request)
        for point in zip(
            message.points.steps,
            message.points.times_micros,
            message.points.values,
            strict=True,
        )
    ]


def series(engine: Engine, run_id: str, **fields: Any) -> list[SeriesInfo]:
    """One page of the catalogue."""
    return list(engine.list_series(ListSeriesRequest(run_id=run_id, **fields)).series)


def send(
    engine: Engine,
    run_id: str,
    sent: MetricBatch | None,
    writer_id: str = "w",
    names: Mapping[int, str] = {},
) -> WriteAck:
    """Submit a batch and wait for its ack. ``names`` of series are declared beside it."""
    return engine.submit(run_id, writer_id, sent, names).result(120)


def stored(db: Database, run_id: str) -> Run:
    """The run as it is stored."""
    with db.read() as tx:
        return run.get(tx, run_id)


def counted(db: Database, table: sa.Table) -> int:
    """The rows of a table."""
    with db.read() as tx:
        return int(tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def fold(db: Database, run_id: str, *, thorough: bool = False) -> None:
    """Fold all that is acknowledged."""
    Summaries(db).refresh_run(run_id)
    leases = Leases(db, patience_s=0.0)
    while not leases.take(run_id):
        pass
    while not Fold(db, leases).step(run_id, thorough=thorough):
        pass


def trim(db: Database, run_id: str) -> None:
    """Remove the frames that are folded."""
    while not trim_frames(db, run_id, keep_s=0.0):
        pass


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Limits of folding so low that a handful of points meets them all."""
    for name, value in {
        "MAX_ROWS": 8, "MAX_BLOCK_POINTS": 12, "MAX_SET_KEYS": 3, "MIN_SET_POINTS": 4,
        "MIN_KEY_POINTS": 6, "FAN_IN": 2, "MAX_MERGED_POINTS": 20,
    }.items():  # fmt: skip
        patch.setattr(assembly, name, value)
    patch.setattr(blocks, "MAX_PART_POINTS", 6)
    patch.setattr(blocks, "MIN_COLUMN_ROWS", 4)
    patch.setattr(outstanding, "CHUNK_FRAMES", 3)
