"""Tails: nothing is lost or told twice, whatever is folded, removed or cut meanwhile."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import islice
from typing import Any

import google_crc32c
import numpy as np
import pytest
import sqlalchemy as sa
from drills.processes import eventually
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire._tail import Opener, TailEvent
from runwire.v1 import metric_service_pb2 as pb
from runwire_server import errors
from runwire_server.metrics import Engine, history, tail_read, tail_wire
from runwire_server.metrics.selection import Selection
from runwire_server.metrics.tail import Tail, heads
from runwire_server.metrics.tail_cursor import Cursor, Place
from runwire_server.metrics.wire import varint
from runwire_server.store import live, run
from runwire_server.store.database import Database
from runwire_server.store.live import Live
from runwire_server.store.pulse import Pulse
from runwire_server.store.tables import metric_frames

from server.batches import (
    KEYS,
    batch,
    fold,
    frame,
    losses,
    new_run,
    points,
    running,
    send,
    shrink,
    trim,
)
from server.test_fold import SENDS

Told = dict[str, list[tuple[int, int, bytes]]]


@pytest.fixture
def engine(db: Database) -> Iterator[Engine]:
    with running(db) as engine:
        yield engine


@pytest.fixture
def run_id(db: Database) -> str:
    return new_run(db)


def asked(*run_ids: str, keys: tuple[str, ...] = (), **start: Any) -> pb.TailSeriesRequest:
    select = pb.SeriesSelector(run_ids=run_ids, keys=keys)
    return pb.TailSeriesRequest(select=select, **(start or {"from_beginning": True}))


def news(db: Database, request: pb.TailSeriesRequest, most: int | None = None) -> list[TailEvent]:
    """What there is to tell now; of it the first ``most`` events."""
    tail, opener = Tail(db, request), Opener()
    state = tail.begin()
    found = []
    for data in islice(tail.news(state), most):
        assert len(data) <= tail_wire.MESSAGE_BYTES
        found.append(opener(pb.TailSeriesResponse.FromString(data)))
    return found


def add(told: Told, events: list[TailEvent]) -> None:
    for event in events:
        for key, step, time, value in event.points():
            told.setdefault(key, []).append((step, time, np.float64(value).tobytes()))


def cells(one: Any) -> Iterator[tuple[str, tuple[int, int, bytes]]]:
    """The points of a sent frame as a tail tells them: its rows by step and time."""
    values = np.array(one.values).reshape(len(one.steps), len(one.series))
    for place in sorted(range(len(one.steps)), key=lambda p: (one.steps[p], one.times_micros[p])):
        for column, number in enumerate(one.series):
            point = (one.steps[place], one.times_micros[place], values[place, column].tobytes())
            yield KEYS[number], point


def shrink_tails(patch: pytest.MonkeyPatch) -> None:
    """So that a handful of points is cut in every way."""
    shrink(patch)
    patch.setattr(history, "MAX_POINTS", 10)
    patch.setattr(tail_read, "MIN_FRAMES", 2)
    patch.setattr(tail_read, "MAX_FRAMES", 3)
    patch.setattr(tail_wire, "PIECE_COLUMNS", 3)
    patch.setattr(tail_wire, "PIECE_POINTS", 6)
    patch.setattr(tail_wire, "DATA_BYTES", 200)


@settings(max_examples=60)
@given(SENDS, st.lists(st.integers(0, 4), min_size=12, max_size=12), st.booleans())
def test_whatever_is_folded_removed_and_cut_meanwhile_all_is_told_once(
    db: Database, sends: list[tuple[str, list[Any], str]], cuts: list[int], some: bool
) -> None:
    run_id = new_run(db)
    wanted = ("key0", "key2", "key5") if some else tuple(KEYS.values())
    sequences = dict.fromkeys("ab", 0)
    expected: Told = {}
    told: Told = {}
    request = asked(run_id, keys=wanted if some else ())
    with pytest.MonkeyPatch.context() as patch, running(db) as engine:
        shrink_tails(patch)
        for (writer, frames, act), most in zip(sends, cuts, strict=False):
            sequences[writer] += 1
            sent = batch(sequences[writer], *frames)
            send(engine, run_id, sent, writer, KEYS)
            for one in frames:
                for key, point in cells(one):
                    if key in wanted:
                        expected.setdefault(key, []).append(point)
            if act:
                fold(db, run_id, thorough=act == "thorough")
            if act == "trim":
                trim(db, run_id)
            events = news(db, request, most)
            add(told, events)
            if events:
                request = asked(run_id, keys=wanted if some else (), cursor=events[-1].cursor)
        rest = news(db, request)
        add(told, rest)
        assert told == expected
        assert news(db, asked(run_id, keys=wanted if some else (), from_now=True)) == []


@settings(max_examples=30)
@given(SENDS, st.integers(0, 12), st.integers(1, 3))
def test_a_read_and_the_tail_after_it_are_the_whole(
    db: Database, sends: list[tuple[str, list[Any], str]], place: int, cut: int
) -> None:
    """The read is cut after some responses, and resumed when more has arrived."""
    run_id = new_run(db)
    select = pb.SeriesSelector(run_ids=[run_id])
    sequences = dict.fromkeys("ab", 0)
    expected: Told = {}
    read: list[pb.ReadSeriesResponse] = []
    with pytest.MonkeyPatch.context() as patch, running(db) as engine:
        shrink(patch)
        patch.setattr("runwire_server.metrics.read.MESSAGE_POINTS", 2)
        for number, (writer, frames, act) in enumerate(sends):
            if number == place:
                answers = engine.read_series(pb.ReadSeriesRequest(select=select))
                read = [pb.ReadSeriesResponse.FromString(one) for one in islice(answers, cut)]
            sequences[writer] += 1
            sent = batch(sequences[writer], *frames)
            send(engine, run_id, sent, writer, KEYS)
            for key, point in (cell for one in frames for cell in cells(one)):
                expected.setdefault(key, []).append(point)
            if act:
                fold(db, run_id, thorough=act == "thorough")
        request = pb.ReadSeriesRequest(select=select, resume=read[-1].resume if read else b"")
        read += map(pb.ReadSeriesResponse.FromString, engine.read_series(request))
        told: Told = {}
        for one in read:
            values = [np.float64(value).tobytes() for value in one.points.values]
            rows = zip(one.points.steps, one.points.times_micros, values, strict=True)
            told.setdefault(one.key, []).extend(rows)
        cursor = read[-1].cursor if read else b""
        start: dict[str, Any] = {"cursor": cursor} if cursor else {"from_beginning": True}
        add(told, news(db, asked(run_id, **start)))
    assert {key: sorted(found) for key, found in told.items()} == {
        key: sorted(found) for key, found in expected.items()
    }


def test_damaged_points_are_said_to_be_left_out(db: Database, engine: Engine, run_id: str) -> None:
    for sequence in range(1, 6):
        send(engine, run_id, losses(sequence))
    damage = sa.update(metric_frames).where(metric_frames.c.arrival == 3).values(data=b"x")
    with db.write() as tx:
        tx.execute(damage)
    plain = [(event.lagged, [step for _, step, _, _ in event.points()])
             for event in news(db, asked(run_id))]  # fmt: skip
    assert plain == [(False, [1, 2]), (True, []), (False, [4, 5])]
    fold(db, run_id)
    trim(db, run_id)
    folded = news(db, asked(run_id))
    assert [event.lagged for event in folded].count(True) == 1
    assert sorted(point[1] for event in folded for point in event.points()) == [1, 2, 4, 5]


@settings(max_examples=60)
@given(
    st.lists(st.one_of(st.integers(0, 80), st.integers(0, (1 << 63) - 1)), max_size=8),
    st.binary(max_size=6),
)
def test_a_forged_cursor_gets_points_or_is_refused(
    db: Database, numbers: list[int], tail: bytes
) -> None:
    with running(db) as engine:
        run_id = new_run(db)
        for sequence in range(1, 4):
            send(engine, run_id, losses(sequence, 1.0, 2.0, 3.0))
        select = pb.SeriesSelector(run_ids=[run_id])
        body = b"\x01" + Selection.of(select).digest + b"".join(map(varint, numbers)) + tail
        cursor = body + int(google_crc32c.value(body)).to_bytes(4, "little")
        told = 0
        with suppress(errors.FieldInvalid):
            for event in news(db, asked(run_id, cursor=cursor)):
                told += len(list(event.points()))
        assert told <= 9


def test_a_cursor_of_a_future_that_is_gone_is_refused(db: Database, run_id: str) -> None:
    digest = Selection.of(pb.SeriesSelector(run_ids=[run_id])).digest
    ahead = Cursor({run_id: Place.behind(5)}, digest).bytes
    with pytest.raises(errors.FieldInvalid, match="ahead"):
        news(db, asked(run_id, cursor=ahead))


# Live --------------------------------------------------------------------------------


def reading(engine: Engine, request: pb.TailSeriesRequest) -> tuple[Live[bytes], Iterator[Any]]:
    call = engine.tail_series(request, threading.Event(), 600.0)
    return call, map(Opener(), map(pb.TailSeriesResponse.FromString, call.events()))


def test_a_hundred_tails_are_told_of_every_point(db: Database, engine: Engine, run_id: str) -> None:
    ready = threading.Barrier(101)
    told: list[list[int]] = []

    def follow() -> None:
        call, events = reading(engine, asked(run_id, from_now=True))
        assert next(events).is_mark
        ready.wait(120)
        steps: list[int] = []
        while len(steps) < 50:
            steps += [step for _, step, _, _ in next(events).points()]
        call.cancel()
        told.append(steps)

    threads = [threading.Thread(target=follow) for _ in range(100)]
    for thread in threads:
        thread.start()
    ready.wait(120)
    for sequence in range(1, 51):
        send(engine, run_id, losses(sequence))
    for thread in threads:
        thread.join(120)
    assert told == [list(range(1, 51))] * 100


def test_a_draining_server_sends_its_tails_on(db: Database, engine: Engine, run_id: str) -> None:
    drain = threading.Event()
    events = engine.tail_series(asked(run_id, from_now=True), drain, 600.0).events()
    first = pb.TailSeriesResponse.FromString(next(events))
    drain.set()
    last = pb.TailSeriesResponse.FromString(next(events))
    assert last.HasField("mark")
    assert last.cursor == first.cursor
    with pytest.raises(errors.Draining):
        next(events)


def test_a_call_that_is_old_goes_on_elsewhere(db: Database, engine: Engine, run_id: str) -> None:
    events = engine.tail_series(asked(run_id, from_now=True), threading.Event(), 0.0).events()
    kinds = [pb.TailSeriesResponse.FromString(one).WhichOneof("event") for one in islice(events, 2)]
    assert kinds == ["mark", "mark"]
    with pytest.raises(errors.Draining) as error:
        next(events)
    assert error.value.retry_after_s == 0


def test_an_idle_tail_says_that_nothing_was_missed(
    db: Database, engine: Engine, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MARK_S", 0.0)
    call, events = reading(engine, asked(run_id, from_now=True))
    assert all(event.is_mark for event in islice(events, 5))
    call.cancel()
    assert list(events) == []


def test_what_others_commit_is_told_too(db: Database, run_id: str) -> None:
    """Two engines on one database, which know nothing of one another, write to one run."""
    url = db.url.render_as_string(hide_password=False)
    with closing(Database(url)) as other_db, running(db) as here, running(other_db) as there:
        call, events = reading(here, asked(run_id, from_now=True))
        assert next(events).is_mark

        def write(engine: Engine, writer: str) -> None:
            for sequence in range(1, 41):
                send(engine, run_id, losses(sequence), writer)

        writers = [
            threading.Thread(target=write, args=(engine, name))
            for engine, name in ((here, "a"), (there, "b"), (there, "c"))
        ]
        for thread in writers:
            thread.start()
        told: list[int] = []
        while len(told) < 120:
            told += [step for _, step, _, _ in next(events).points()]
        call.cancel()
        for thread in writers:
            thread.join()
        assert sorted(told) == sorted([*range(1, 41)] * 3)
        assert len(points(here, run_id)) == 120


def test_nobody_asks_while_nobody_follows(db: Database, run_id: str) -> None:
    asking = threading.Event()

    def ask(run_ids: Any) -> Any:
        asking.set()
        return heads(db, run_ids)

    with closing(Pulse(ask, "test-pulse")) as pulse:
        assert not asking.is_set()
        with pulse.follow([run_id]) as follower:
            assert follower.wait(120) == {run_id: heads(db, [run_id])[run_id]}
            with db.write() as tx:
                run.delete(tx, run_id)
            changes = eventually(partial(follower.wait, 10), "it is told")
            assert changes[run_id] == heads(db, [run_id])[run_id]
        name = "test-pulse"
        while any(thread.name == name for thread in threading.enumerate()):
            threading.Event().wait(0.01)


def test_nan_and_infinities_keep_their_bits(db: Database, engine: Engine, run_id: str) -> None:
    values = [math.nan, math.inf, -math.inf, -0.0]
    send(engine, run_id, batch(1, frame({0: values})), names=KEYS)
    (event,) = news(db, asked(run_id))
    assert event.series[0].values.tobytes() == np.array(values).tobytes()
