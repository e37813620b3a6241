"""Summaries: equal to what all points say, kept fresh, each point counted once."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from drills.processes import eventually
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire.v1.metric_pb2 import MetricBatch, SeriesInfo
from runwire_server.metrics import Engine, outstanding
from runwire_server.store.database import Database
from runwire_server.store.tables import metric_summaries, runs

from server.batches import batch, frame, losses, new_run, running, send, series

KEYS = ("acc", "loss", "lr", "norm")


@pytest.fixture
def engine(db: Database) -> Iterator[Engine]:
    with running(db) as engine:
        yield engine


@pytest.fixture
def run_id(db: Database) -> str:
    return new_run(db)


VALUES = st.sampled_from(
    [0.0, -0.0, 1.0, -2.5, 1e300, -1e300, 5e-324, math.nan, math.inf, -math.inf]
)
SMALL = st.integers(-2, 2)


@st.composite
def sent_frames(draw: st.DrawFn) -> Any:
    width, rows = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    ids = draw(st.permutations(range(len(KEYS))))[:width]
    values = st.lists(VALUES, min_size=rows, max_size=rows)
    whole = st.lists(SMALL, min_size=rows, max_size=rows)
    return frame({number: draw(values) for number in ids}, draw(whole), draw(whole))


SENDS = st.lists(
    st.tuples(st.sampled_from("ab"), st.lists(sent_frames(), max_size=2), st.booleans()),
    min_size=1,
    max_size=8,
)


def reference(sent: list[MetricBatch]) -> dict[str, SeriesInfo]:
    """The same from all points one by one."""
    found: dict[str, list[tuple[int, int, int, float]]] = {}
    for arrival, one in enumerate(sent):
        for part in one.frames:
            rows = np.array(part.values).reshape(len(part.steps), len(part.series))
            for place, number in enumerate(part.series):
                found.setdefault(KEYS[number], []).extend(
                    zip(
                        part.steps,
                        part.times_micros,
                        [arrival] * len(rows),
                        rows[:, place].tolist(),
                        strict=True,
                    )
                )
    return {key: summary(key, found[key]) for key in sorted(found)}


def summary(key: str, found: list[tuple[int, int, int, float]]) -> SeriesInfo:
    last = max(range(len(found)), key=lambda place: (*found[place][:3], place))
    finite = [value for *_, value in found if math.isfinite(value)]
    return SeriesInfo(
        key=key,
        points=len(found),
        first_step=min(step for step, *_ in found),
        last_step=found[last][0],
        last=found[last][3],
        min=min(finite, default=math.nan),
        max=max(finite, default=math.nan),
        mean=math.fsum(finite) / len(finite) if finite else math.nan,
        non_finite=len(found) - len(finite),
    )


def assert_same(found: SeriesInfo, expected: SeriesInfo) -> None:
    for name in ("key", "points", "first_step", "last_step", "non_finite"):
        assert getattr(found, name) == getattr(expected, name), name
    for name in ("last", "min", "max"):  # NaN equals NaN here, and -0.0 equals 0.0
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12, atol=1e285)


@pytest.mark.parametrize("chunk_frames", [4096, 1])
@settings(max_examples=25)
@given(SENDS)
def test_summaries_equal_those_of_all_points(
    db: Database, chunk_frames: int, sends: list[tuple[str, list[Any], bool]]
) -> None:
    run_id = new_run(db)
    names = dict(enumerate(KEYS))
    sent: list[MetricBatch] = []
    sequences = dict.fromkeys("ab", 0)
    with pytest.MonkeyPatch.context() as patch, running(db) as engine:
        patch.setattr(outstanding, "CHUNK_FRAMES", chunk_frames)
        for writer, frames, refresh in sends:
            sequences[writer] += 1
            sent.append(batch(sequences[writer], *frames))
            send(engine, run_id, sent[-1], writer, names)
            if refresh:
                engine.refresh()
        found = series(engine, run_id)
    expected = reference(sent)
    assert [one.key for one in found] == list(expected)
    for one in found:
        assert_same(one, expected[one.key])


def test_sums_may_overflow_but_never_become_nan(db: Database, engine: Engine, run_id: str) -> None:
    for sequence, value in enumerate((1.7e308, 1.7e308, -1.7e308, -1.7e308, -1.7e308), start=1):
        send(engine, run_id, losses(sequence, value, value))
        engine.refresh()
    with db.read() as tx:
        row = tx.execute(sa.select(metric_summaries)).one()
    assert (row.sum, row.mean, row.min) == (math.inf, math.inf, -1.7e308)


@pytest.mark.parametrize("values", [(-0.0,), (0.0, -0.0), (-0.0, 0.0)])
def test_zero_of_a_summary_has_no_sign_however_its_points_came(
    db: Database, engine: Engine, values: tuple[float, ...]
) -> None:
    together, apart = new_run(db), new_run(db)
    send(engine, together, losses(1, *values))
    for sequence, value in enumerate(values, start=1):
        send(engine, apart, losses(sequence, value))
        engine.refresh()
    for run_id in (together, apart):
        (one,) = series(engine, run_id)
        assert [math.copysign(1, zero) for zero in (one.min, one.max, one.mean)] == [1, 1, 1]


def stale(db: Database) -> list[str]:
    with db.read() as tx:
        return list(tx.execute(sa.select(runs.c.run_id).where(runs.c.summaries_stale)).scalars())


def test_refresh_keeps_to_its_scope(db: Database, engine: Engine) -> None:
    one, other = new_run(db), new_run(db)
    for run_id in (one, other):
        send(engine, run_id, losses(1))
    engine.refresh(run_ids=[one])
    assert stale(db) == [other]
    engine.refresh(experiment_ids=[12345])
    assert stale(db) == [other]
    engine.refresh(experiment_ids=[0])
    assert stale(db) == []


def test_summaries_are_refreshed_without_being_asked_for(db: Database, run_id: str) -> None:
    with running(db) as engine:  # it dies before it gets to it
        send(engine, run_id, losses(1))
    with running(db, refresh_delay_s=0.0) as engine:
        eventually(lambda: not stale(db), "they are fresh")
        send(engine, run_id, losses(2))
        eventually(lambda: not stale(db), "they are fresh")
    with db.read() as tx:
        assert tx.execute(sa.select(metric_summaries.c.points)).scalar_one() == 2


def test_two_engines_that_refresh_at_once_count_once(db: Database, run_id: str) -> None:
    with running(db) as one, running(db) as other:
        for sequence in range(1, 30):
            send(one, run_id, losses(sequence))
            threads = [threading.Thread(target=engine.refresh) for engine in (one, other)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
        assert [(one.points, one.mean) for one in series(one, run_id)] == [(29, 15.0)]
