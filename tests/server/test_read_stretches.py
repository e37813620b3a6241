"""ReadSeries from frames and blocks in any mixture, in stretches and parts of a few rows,
against a plain list of points."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import holds_less_than
from runwire.v1 import metric_service_pb2 as pb
from runwire_server import errors
from runwire_server.metrics import Engine, assembly, read, stretch
from runwire_server.store.database import Database
from runwire_server.store.tables import metric_block_parts

from server.batches import (
    KEYS,
    VALUES,
    batch,
    fold,
    frame,
    new_run,
    responses,
    running,
    send,
    shrink,
    trim,
)

Request = pb.ReadSeriesRequest


class Point(NamedTuple):
    step: int
    time: int
    value: float

    @property
    def bits(self) -> tuple[int, int, bytes]:
        return self.step, self.time, np.float64(self.value).tobytes()


@st.composite
def sent_rows(draw: st.DrawFn) -> Any:
    """(keys, steps, times, values of each key): often in order, with repeated steps."""
    rows = draw(st.integers(1, 6))
    keys = draw(st.permutations(range(3)))[: draw(st.integers(1, 3))]
    steps = draw(st.lists(st.integers(-3, 12), min_size=rows, max_size=rows))
    times = draw(st.lists(st.integers(-3, 3), min_size=rows, max_size=rows))
    if draw(st.booleans()):
        steps, times = sorted(steps), sorted(times)
    values = st.lists(VALUES, min_size=rows, max_size=rows)
    return steps, times, {key: draw(values) for key in keys}


ACTS = st.sampled_from(["", "", "fold", "thorough", "trim"])
SENDS = st.lists(st.tuples(st.lists(sent_rows(), min_size=1, max_size=3), ACTS), max_size=8)
BOUND = st.none() | st.integers(-4, 13)


@pytest.fixture
def engine(db: Database) -> Iterator[Engine]:
    with running(db) as engine:
        yield engine


@settings(max_examples=60)
@given(SENDS, BOUND, BOUND, st.booleans(), st.sampled_from([1, 3, 5, 1000]), st.integers(4, 30))
def test_reads_tell_what_a_plain_list_tells(
    db: Database,
    sends: list[Any],
    start: int | None,
    end: int | None,
    by_time: bool,
    small: int,
    max_points: int,
) -> None:
    run_id = new_run(db)
    stored: dict[str, list[Point]] = {}
    with pytest.MonkeyPatch.context() as patch, running(db) as engine:
        shrink(patch)
        patch.setattr(stretch, "STRETCH_ROWS", small)
        patch.setattr(read, "MAX_HELD_POINTS", 4 * small)
        patch.setattr(read, "MESSAGE_POINTS", 4 * small)
        for sequence, (frames, act) in enumerate(sends, 1):
            sent = batch(sequence, *(frame(values, *rows) for *rows, values in frames))
            send(engine, run_id, sent, names=KEYS)
            for steps, times, columns in frames:
                for key, values in columns.items():
                    stored.setdefault(KEYS[key], []).extend(map(Point, steps, times, values))
            if act:
                fold(db, run_id, thorough=act == "thorough")
            if act == "trim":
                trim(db, run_id)
        given = {"range_start": start, "range_end": end}
        bounds: dict[str, Any] = {name: n for name, n in given.items() if n is not None}
        request = Request(
            select=pb.SeriesSelector(run_ids=[run_id]),
            axis=Request.AXIS_TIME if by_time else Request.AXIS_STEP,
            max_points=max_points,
            **bounds,
        )
        expected = {key: _inside(stored[key], request, by_time) for key in stored}
        request.reduce = Request.REDUCE_NONE
        assert _points(engine, request) == _bits(expected)
        request.reduce = Request.REDUCE_BUCKETS
        found = _buckets(engine, request)
        assert found.keys() == expected.keys()
        for key, points in expected.items():
            _check_buckets(found[key], points, by_time)
        request.reduce = Request.REDUCE_SHAPE
        _check_shapes(_points(engine, request), expected, found, max_points)


def _inside(points: list[Point], request: pb.ReadSeriesRequest, by_time: bool) -> list[Point]:
    def place(point: Point) -> int:
        return point.time if by_time else point.step

    start = request.range_start if request.HasField("range_start") else -math.inf
    end = request.range_end if request.HasField("range_end") else math.inf
    kept = [point for point in points if start <= place(point) < end]
    return sorted(kept, key=lambda point: (point.time, point.step) if by_time else point[:2])


def _bits(found: dict[str, list[Point]]) -> dict[str, list[tuple[int, int, bytes]]]:
    return {key: [point.bits for point in points] for key, points in sorted(found.items())}


def _points(
    engine: Engine, request: pb.ReadSeriesRequest
) -> dict[str, list[tuple[int, int, bytes]]]:
    found: dict[str, list[Point]] = {}
    for message in responses(engine, request):
        rows = message.points
        columns = rows.steps, rows.times_micros, rows.values
        found.setdefault(message.key, []).extend(map(Point, *columns))
    return _bits(found)


def _buckets(engine: Engine, request: pb.ReadSeriesRequest) -> dict[str, list[Any]]:
    """(start, end, count, first, last, min, max, sum, non_finite) by key."""
    found: dict[str, list[Any]] = {}
    for message in responses(engine, request):
        columns = [getattr(message.buckets, one.name) for one in message.buckets.DESCRIPTOR.fields]
        found.setdefault(message.key, []).extend(zip(*columns, strict=True))
    return found


def _check_buckets(found: list[Any], points: list[Point], by_time: bool) -> None:
    taken = 0
    for start, end, count, first, last, least, greatest, _, non_finite in found:
        group = [p for p in points if start <= (p.time if by_time else p.step) < end]
        finite = [p.value for p in group if math.isfinite(p.value)]
        assert (count, non_finite) == (len(group), len(group) - len(finite))
        assert repr((first, last)) == repr((group[0].value, group[-1].value))
        assert repr(least) == repr(min(finite, default=math.nan)) or least == min(finite)
        assert repr(greatest) == repr(max(finite, default=math.nan)) or greatest == max(finite)
        taken += count
    assert taken == len(points)


def _check_shapes(
    found: dict[str, list[tuple[int, int, bytes]]],
    expected: dict[str, list[Point]],
    buckets: dict[str, list[Any]],
    max_points: int,
) -> None:
    for key, points in expected.items():
        if len(points) <= max_points:
            assert found[key] == _bits({key: points})[key]
            continue
        assert len(found[key]) <= max_points
        left = iter(point.bits for point in points)
        assert all(bits in left for bits in found[key])  # some of them, in their order
        finite = [point.value for point in points if math.isfinite(point.value)]
        values = [float(np.frombuffer(bits)[0]) for *_, bits in found[key]]
        kept = [value for value in values if math.isfinite(value)]
        assert (min(kept, default=0), max(kept, default=0)) == (
            min(finite, default=0),
            max(finite, default=0),
        )
        assert found[key][0] == points[0].bits
        assert found[key][-1] == points[-1].bits


# Memory --------------------------------------------------------------------------------


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("reduce", ["REDUCE_NONE", "REDUCE_BUCKETS", "REDUCE_SHAPE"])
def test_series_larger_than_memory_takes_a_bounded_part_of_it(
    db: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch, reduce: str, folded: bool
) -> None:
    rows = 1 << 12
    monkeypatch.setattr(read, "MAX_HELD_POINTS", 4 * rows)
    monkeypatch.setattr(stretch, "STRETCH_ROWS", rows)
    monkeypatch.setattr(assembly, "MAX_ROWS", rows)
    run_id, batches = new_run(db), 64
    for number in range(batches):
        steps = range(number * rows, (number + 1) * rows)
        sent = batch(number + 1, frame({1: [step % 97 for step in steps]}, steps))
        send(engine, run_id, sent, names=KEYS)
    if folded:
        fold(db, run_id)
        trim(db, run_id)
    select = pb.SeriesSelector(run_ids=[run_id])
    request = Request(select=select, reduce=reduce, max_points=100)

    def read_all() -> None:
        deque(engine.read_series(request), maxlen=0)

    read_all()  # what is made at the first time does not count
    # What is held, as it came and decoded, and a message; the series takes six times as much.
    holds_less_than(64 * read.MAX_HELD_POINTS, read_all)


# Damage --------------------------------------------------------------------------------


@pytest.mark.parametrize("reduce", ["REDUCE_NONE", "REDUCE_BUCKETS"])
def test_numbers_that_do_not_decode_leave_out_their_block(
    db: Database, engine: Engine, reduce: str
) -> None:
    run_id = new_run(db)
    for sequence in (1, 2, 3):
        steps = range(200 * sequence, 200 * (sequence + 1))
        sent = batch(sequence, frame({1: [0.1] * 200, 2: [0.2] * 200}, steps))
        send(engine, run_id, sent, names=KEYS)
        fold(db, run_id)
    trim(db, run_id)
    _spoil(db, block_no=1)
    counts = dict.fromkeys(("key1", "key2"), 0)
    request = Request(select=pb.SeriesSelector(run_ids=[run_id]), reduce=reduce)

    def count() -> None:
        for message in responses(engine, request):
            counts[message.key] += len(message.points.steps) + sum(message.buckets.counts)

    with pytest.raises(errors.DataDamaged) as caught:
        count()
    assert caught.value.metadata == {"run_id": run_id, "block": "1"}
    assert counts == {"key1": 400, "key2": 400}


def _spoil(db: Database, block_no: int) -> None:
    """Break the numbers of a part, under a checksum that is right."""
    table = metric_block_parts.c
    where = table.block_no == block_no
    with db.write() as tx:
        data = tx.execute(sa.select(table.data).where(where)).scalar_one()
        body = data[16:26] + bytes(len(data) - 26)  # codecs and lengths of two columns stay
        checksum = int(google_crc32c.value(body)).to_bytes(4, "little")
        damaged = data[:12] + checksum + body
        tx.execute(sa.update(metric_block_parts).where(where).values(data=damaged))
