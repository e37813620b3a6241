"""ReadSeries: order, ranges, resume, bounded memory, damage."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire.v1 import metric_service_pb2 as pb
from runwire_server import errors
from runwire_server.metrics import Engine, read
from runwire_server.metrics.read_wire import answer
from runwire_server.metrics.reduce import Grid, part_of
from runwire_server.metrics.stretch import Columns
from runwire_server.metrics.window import Window
from runwire_server.store.database import Database
from runwire_server.store.tables import metric_frames, runs

from server.batches import batch, frame, losses, new_run, points, responses, running, send, series

SMALL = st.integers(-2, 2)
RAW = pb.ReadSeriesRequest.REDUCE_NONE


@pytest.fixture
def engine(db: Database) -> Iterator[Engine]:
    with running(db) as engine:
        yield engine


@pytest.fixture
def run_id(db: Database) -> str:
    return new_run(db)


def test_points_come_by_step_then_time_then_arrival(engine: Engine, run_id: str) -> None:
    def put(writer: str, sequence: int, *rows: tuple[int, int, float], **extra: float) -> None:
        steps, times, values = zip(*rows, strict=True)
        columns = {1: values} | {int(n[1:]): [v] * len(rows) for n, v in extra.items()}
        sent = batch(sequence, frame(columns, steps, times))
        send(engine, run_id, sent, writer, {1: "loss", 2: "x", 3: "y"})

    put("b", 1, (5, 10, 0.5), (1, 20, 0.1), (5, 10, 0.6))
    put("a", 1, (5, 10, 0.7), (2, 5, 0.2), n2=1.0)
    put("b", 2, (5, 10, 0.8), n3=1.0)
    put("b", 3, (5, 9, 0.4))
    by_step = [(1, 20, 0.1), (2, 5, 0.2), (5, 9, 0.4)]
    by_step += [(5, 10, value) for value in (0.5, 0.6, 0.7, 0.8)]
    assert points(engine, run_id) == by_step
    by_time = pb.ReadSeriesRequest.AXIS_TIME
    expected = sorted(by_step, key=lambda point: (point[1], point[0]))
    assert points(engine, run_id, axis=by_time) == expected
    assert points(engine, run_id, range_start=2, range_end=5) == [(2, 5, 0.2)]
    assert points(engine, run_id, axis=by_time, range_start=9, range_end=10) == [(5, 9, 0.4)]


def test_relative_time_counts_from_the_start_of_each_run(db: Database, engine: Engine) -> None:
    starts = {new_run(db): start for start in (1_000_000, 5_000_000)}
    for run_id, start in starts.items():
        with db.write() as tx:
            tx.execute(sa.update(runs).where(runs.c.run_id == run_id).values(start_time=start))
        times = [start + 10, start + 20, start + 30]
        sent = batch(1, frame({1: [1.0, 2.0, 3.0]}, times=times), names={1: "loss"})
        send(engine, run_id, sent)
    request = pb.ReadSeriesRequest(
        select=pb.SeriesSelector(run_ids=starts),
        axis=pb.ReadSeriesRequest.AXIS_RELATIVE_TIME,
        range_start=15,
        range_end=30,
    )
    found = [(m.run_id, list(m.points.times_micros)) for m in responses(engine, request)]
    assert found == [(run_id, [start + 20]) for run_id, start in starts.items()]
    far = pb.ReadSeriesRequest(select=request.select, axis=request.axis, range_end=(1 << 63) - 1)
    assert [len(m.points.steps) for m in responses(engine, far)] == [3, 3]


def read_all(engine: Engine, *run_ids: str, **fields: Any) -> list[pb.ReadSeriesResponse]:
    keys, prefixes = fields.pop("keys", []), fields.pop("key_prefixes", [])
    select = pb.SeriesSelector(run_ids=run_ids, keys=keys, key_prefixes=prefixes)
    return list(responses(engine, pb.ReadSeriesRequest(select=select, **fields)))


@pytest.fixture
def two_runs(db: Database, engine: Engine) -> list[str]:
    """Runs with the series a (5 points), b/1 (3), b/2 (3); the second lacks a."""
    found = [new_run(db), new_run(db)]
    for number, run_id in enumerate(found):
        names = {1: "a", 2: "b/1", 3: "b/2"}
        some = frame({2: [2.0, 2.5, 2.75], 3: [3.0, 3.5, 3.75]})
        parts = [some] if number else [frame({1: [1.0] * 5}), some]
        send(engine, run_id, batch(1, *parts, names=names))
    return found


def shown(messages: list[pb.ReadSeriesResponse]) -> list[tuple[str, str, int, bool]]:
    return [(m.run_id, m.key, len(m.points.values), m.last) for m in messages]


def test_read_selects_runs_keys_and_prefixes(engine: Engine, two_runs: list[str]) -> None:
    one, other = two_runs
    assert shown(read_all(engine, one, other, one, keys=["a", "none", "a"])) == [
        (one, "a", 5, True)
    ]
    assert shown(read_all(engine, other, one, keys=["a"], key_prefixes=["b/2"])) == [
        (other, "b/2", 3, True),
        (one, "a", 5, True),
        (one, "b/2", 3, True),
    ]
    assert len(read_all(engine, one, other)) == 5
    assert len(read_all(engine, one, key_prefixes=[""], keys=["a"])) == 3
    assert shown(read_all(engine, one, keys=["a"], range_start=100)) == [(one, "a", 0, True)]


@pytest.mark.parametrize("held", [4_000_000, 4])
def test_read_can_be_resumed_after_any_message(
    engine: Engine, two_runs: list[str], monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(read, "MESSAGE_POINTS", 2)
    monkeypatch.setattr(read, "MAX_HELD_POINTS", held)
    monkeypatch.setattr(read, "SERIES_A_QUERY", 2)
    whole = read_all(engine, *two_runs)
    assert sum(len(message.points.values) for message in whole) == 17
    for place, message in enumerate(whole):
        assert read_all(engine, *two_runs, resume=message.resume) == whole[place + 1 :]


@pytest.mark.parametrize("change", ["cut", "flip", "other"])
def test_damaged_or_foreign_resume_is_refused(
    engine: Engine, two_runs: list[str], change: str
) -> None:
    token = read_all(engine, *two_runs)[1].resume
    fields: dict[str, Any] = {"resume": token}
    if change == "cut":
        fields["resume"] = token[:-1]
    elif change == "flip":
        fields["resume"] = token[:9] + bytes([token[9] ^ 1]) + token[10:]
    else:
        fields["range_start"] = 1
    with pytest.raises(errors.FieldInvalid) as caught:
        read_all(engine, *two_runs, **fields)
    assert caught.value.field == "resume"


def test_messages_stay_below_a_mebibyte(engine: Engine, run_id: str) -> None:
    key = "k" * 512
    rows = frame({1: [float(n) for n in range(40_000)]})
    sent = batch(1, rows, names={1: key})
    send(engine, run_id, sent)
    messages = read_all(engine, run_id)
    assert [message.last for message in messages] == [False, True]
    assert all(message.ByteSize() <= 1 << 20 for message in messages)
    values = [value for message in messages for value in message.points.values]
    assert values == list(range(40_000))


def test_hand_made_messages_equal_those_of_protobuf() -> None:
    columns = Columns(
        np.array([-1, 0, 1 << 40]), np.array([5, 6, 7]), np.array([0.5, math.inf, -0.0])
    )
    expected = pb.ReadSeriesResponse.Points(
        steps=[-1, 0, 1 << 40], times_micros=[5, 6, 7], values=[0.5, math.inf, -0.0]
    )
    head = pb.ReadSeriesResponse(run_id="r", key="k", last=True)
    made = pb.ReadSeriesResponse.FromString(answer(head, columns, Grid(0, 1, 1)))
    assert made == pb.ReadSeriesResponse(run_id="r", key="k", last=True, points=expected)
    none = pb.ReadSeriesResponse.FromString(answer(head, part_of(columns, 1, 1), Grid(0, 1, 1)))
    assert none.WhichOneof("data") == "points"


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.lists(SMALL, min_size=1, max_size=4)), max_size=8),
    st.one_of(st.none(), SMALL),
    st.one_of(st.none(), SMALL),
)
def test_series_larger_than_memory_is_read_in_order(
    db: Database, sends: list[tuple[str, list[int]]], start: int | None, end: int | None
) -> None:
    run_id = new_run(db)
    sequences = dict.fromkeys("ab", 0)
    expected: list[tuple[int, int, float]] = []
    with pytest.MonkeyPatch.context() as patch, running(db) as engine:
        patch.setattr(read, "MAX_HELD_POINTS", 2)
        patch.setattr(read, "MESSAGE_POINTS", 2)
        for place, (writer, steps) in enumerate(sends):
            sequences[writer] += 1
            values = [10.0 * place + row for row in range(len(steps))]
            sent = batch(sequences[writer], frame({1: values}, steps, [7] * len(steps)))
            send(engine, run_id, sent, writer, {1: "loss"})
            expected += zip(steps, [7] * len(steps), values, strict=True)
        bounds = {"range_start": start, "range_end": end}
        window: dict[str, Any] = {name: n for name, n in bounds.items() if n is not None}
        assert points(engine, run_id, **window) == sorted(
            (
                point
                for point in expected
                if (start is None or point[0] >= start) and (end is None or point[0] < end)
            ),
            key=lambda point: point[0],
        )


def test_frames_outside_the_range_are_not_fetched(
    db: Database, engine: Engine, run_id: str
) -> None:
    for sequence in (1, 2, 3):
        send(engine, run_id, losses(sequence))
    with db.read() as tx:
        inside = Window(start=2, end=3).overlap(metric_frames)
        found = tx.execute(sa.select(metric_frames.c.sequence).where(*inside)).scalars()
        assert list(found) == [2]


def test_damaged_frame_is_reported_and_its_neighbours_are_readable(
    db: Database, engine: Engine, run_id: str
) -> None:
    for sequence in (1, 2, 3):
        send(engine, run_id, losses(sequence))
    with db.write() as tx:
        damaged = metric_frames.c.sequence == 2
        data = tx.execute(sa.select(metric_frames.c.data).where(damaged)).scalar_one()
        data = data[:-1] + bytes([data[-1] ^ 1])
        tx.execute(sa.update(metric_frames).where(damaged).values(data=data))
    found: list[float] = []
    error = None
    try:
        select = pb.SeriesSelector(run_ids=[run_id])
        for message in responses(engine, pb.ReadSeriesRequest(select=select)):
            found += message.points.values
    except errors.ServiceError as raised:
        error = raised
    assert found == [1.0, 3.0]
    assert error is not None
    assert error.metadata == {"run_id": run_id, "writer_id": "w", "sequence": "2"}
    assert points(engine, run_id, range_start=3) == [(3, 1003, 3.0)]
    assert [one.points for one in series(engine, run_id)] == [2]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"select": {}}, "select.run_ids"),
        ({"select": {"run_ids": ["x"]}}, "select.run_ids"),
        ({"select": {"run_ids": ["0" * 32], "keys": ["\x00"]}}, "select"),
        ({"select": {"run_ids": ["0" * 32], "key_prefixes": ["a"] * 101}}, "select.key_prefixes"),
        ({"select": {"run_ids": ["0" * 32]}, "max_points": -1}, "max_points"),
        ({"select": {"run_ids": ["0" * 32]}, "max_points": 1_000_001}, "max_points"),
        (
            {"select": {"run_ids": ["0" * 32]}, "max_points": 3, "reduce": "REDUCE_SHAPE"},
            "max_points",
        ),
    ],
)
def test_read_that_makes_no_sense_is_refused(
    engine: Engine, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(errors.FieldInvalid) as caught:
        engine.read_series(pb.ReadSeriesRequest(**fields))
    assert caught.value.field == field
