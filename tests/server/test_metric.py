"""Metrics as only the server sees them: summaries, reads in bounded memory, streams."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire.v1 import metric_service_pb2 as pb
from runwire.v1.metric_pb2 import MetricBatch, SeriesInfo, SeriesName
from runwire.v1.metric_service_pb2_grpc import (
    MetricServiceStub,
    add_MetricServiceServicer_to_server,
)
from runwire.v1.run_pb2 import Run
from runwire.v1.run_service_pb2 import FinishRunRequest
from runwire_server import errors
from runwire_server.inprocess import InProcessServer
from runwire_server.interceptors import CallInterceptor
from runwire_server.metrics import Engine, outstanding, read, sheets
from runwire_server.metrics.keys import key_id
from runwire_server.metrics.sheets import Window
from runwire_server.services.metric import MetricService
from runwire_server.store import run
from runwire_server.store.database import Database
from runwire_server.store.tables import metric_frames, metric_summaries, runs

from server.batches import batch, frame, losses, new_run, points, running

KEYS = ("acc", "loss", "lr", "norm")
RAW = pb.ReadSeriesRequest.REDUCE_NONE


@pytest.fixture
def engine(db: Database) -> Iterator[Engine]:
    with running(db) as engine:
        yield engine


@pytest.fixture
def run_id(db: Database) -> str:
    return new_run(db)


def series(engine: Engine, run_id: str, **fields: Any) -> list[SeriesInfo]:
    return list(engine.list_series(pb.ListSeriesRequest(run_id=run_id, **fields)).series)


def test_key_ids_never_change() -> None:
    assert key_id("loss") == 0x6CD3DEDC4CAA698E
    assert key_id("é") == 0x2F19F3EF8BBF1ACB


# Summaries -------------------------------------------------------------------------

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
        patch.setattr(outstanding, "MIN_FRAMES_A_WRITER", chunk_frames)
        for writer, frames, refresh in sends:
            sequences[writer] += 1
            sent.append(batch(sequences[writer], *frames))
            engine.submit(run_id, writer, sent[-1], names).result(10)
            if refresh:
                engine.refresh()
        found = series(engine, run_id)
    expected = reference(sent)
    assert [one.key for one in found] == list(expected)
    for one in found:
        assert_same(one, expected[one.key])


def test_sums_may_overflow_but_never_become_nan(db: Database, engine: Engine, run_id: str) -> None:
    for sequence, value in enumerate((1.7e308, 1.7e308, -1.7e308, -1.7e308, -1.7e308), start=1):
        engine.submit(run_id, "w", losses(sequence, value, value), {}).result(10)
        engine.refresh()
    with db.read() as tx:
        row = tx.execute(sa.select(metric_summaries)).one()
    assert (row.sum, row.mean, row.min) == (math.inf, math.inf, -1.7e308)


def stale(db: Database) -> list[str]:
    with db.read() as tx:
        return list(tx.execute(sa.select(runs.c.run_id).where(runs.c.summaries_stale)).scalars())


def test_refresh_keeps_to_its_scope(db: Database, engine: Engine) -> None:
    one, other = new_run(db), new_run(db)
    for run_id in (one, other):
        engine.submit(run_id, "w", losses(1), {}).result(10)
    engine.refresh(run_ids=[one])
    assert stale(db) == [other]
    engine.refresh(experiment_ids=[12345])
    assert stale(db) == [other]
    engine.refresh(experiment_ids=[0])
    assert stale(db) == []


def test_summaries_are_refreshed_without_being_asked_for(db: Database, run_id: str) -> None:
    with running(db) as engine:  # it dies before it gets to it
        engine.submit(run_id, "w", losses(1), {}).result(10)
    with running(db, refresh_delay_s=0.0) as engine:
        wait_until_fresh(db, engine)
        engine.submit(run_id, "w", losses(2), {}).result(10)
        wait_until_fresh(db, engine)
    with db.read() as tx:
        assert tx.execute(sa.select(metric_summaries.c.points)).scalar_one() == 2


def wait_until_fresh(db: Database, engine: Engine) -> None:
    for _ in range(1000):
        if not stale(db):
            return
        threading.Event().wait(0.01)
    raise AssertionError("still stale")


def test_two_engines_that_refresh_at_once_count_once(db: Database, run_id: str) -> None:
    with running(db) as one, running(db) as other:
        for sequence in range(1, 30):
            one.submit(run_id, "w", losses(sequence), {}).result(10)
            threads = [threading.Thread(target=engine.refresh) for engine in (one, other)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
        assert [(one.points, one.mean) for one in series(one, run_id)] == [(29, 15.0)]


# The catalogue ---------------------------------------------------------------------


def test_series_are_listed_by_the_bytes_of_their_key(engine: Engine, run_id: str) -> None:
    keys = ["B", "a", "a/1", "a_1", "é", "z%", "\U0001f600", "Ａ"]
    names = dict(enumerate(keys))
    sent = batch(1, frame({n: [1.0] for n in names}), names=names)
    engine.submit(run_id, "w", sent, {}).result(10)
    listed: list[str] = []
    token = ""
    while not listed or token:
        response = engine.list_series(
            pb.ListSeriesRequest(run_id=run_id, page_size=3, page_token=token)
        )
        listed += [one.key for one in response.series]
        token = response.next_page_token
    assert listed == sorted(keys, key=str.encode)
    assert [one.key for one in series(engine, run_id, key_prefix="a")] == ["a", "a/1", "a_1"]
    assert [one.key for one in series(engine, run_id, key_prefix="a_")] == ["a_1"]
    assert [one.key for one in series(engine, run_id, key_prefix="z%")] == ["z%"]
    assert series(engine, run_id, key_prefix="none") == []


def test_page_token_of_another_query_is_refused(engine: Engine, run_id: str) -> None:
    names = {1: "a", 2: "b"}
    engine.submit(run_id, "w", batch(1, frame({1: [1.0], 2: [2.0]}), names=names), {}).result(10)
    first = engine.list_series(pb.ListSeriesRequest(run_id=run_id, page_size=1))
    with pytest.raises(errors.PageTokenMismatch):
        series(engine, run_id, key_prefix="a", page_token=first.next_page_token)


def test_run_must_exist(db: Database, engine: Engine, run_id: str) -> None:
    gone = new_run(db)
    with db.write() as tx:
        run.delete(tx, gone)
    for asked, error in (("f" * 32, errors.NotFound), (gone, errors.Deleted)):
        with pytest.raises(error):
            series(engine, asked)
        with pytest.raises(error):
            engine.writer(asked, "w")
        with pytest.raises(error):
            points(engine, asked)
    with pytest.raises(errors.FieldInvalid):
        series(engine, "no id")
    assert engine.writer(run_id, "never heard of") == (0, 0)


# Reads -----------------------------------------------------------------------------


def test_points_come_by_step_then_time_then_arrival(engine: Engine, run_id: str) -> None:
    def put(writer: str, sequence: int, *rows: tuple[int, int, float], **extra: float) -> None:
        steps, times, values = zip(*rows, strict=True)
        columns = {1: values} | {int(n[1:]): [v] * len(rows) for n, v in extra.items()}
        sent = batch(sequence, frame(columns, steps, times))
        engine.submit(run_id, writer, sent, {1: "loss", 2: "x", 3: "y"}).result(10)

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
        engine.submit(run_id, "w", sent, {}).result(10)
    request = pb.ReadSeriesRequest(
        select=pb.SeriesSelector(run_ids=starts),
        axis=pb.ReadSeriesRequest.AXIS_RELATIVE_TIME,
        range_start=15,
        range_end=30,
    )
    found = [(m.run_id, list(m.points.times_micros)) for m in engine.read_series(request)]
    assert found == [(run_id, [start + 20]) for run_id, start in starts.items()]
    far = pb.ReadSeriesRequest(select=request.select, axis=request.axis, range_end=(1 << 63) - 1)
    assert [len(m.points.steps) for m in engine.read_series(far)] == [3, 3]


def read_all(engine: Engine, *run_ids: str, **fields: Any) -> list[pb.ReadSeriesResponse]:
    keys, prefixes = fields.pop("keys", []), fields.pop("key_prefixes", [])
    select = pb.SeriesSelector(run_ids=run_ids, keys=keys, key_prefixes=prefixes)
    return list(engine.read_series(pb.ReadSeriesRequest(select=select, **fields)))


@pytest.fixture
def two_runs(db: Database, engine: Engine) -> list[str]:
    """Runs with the series a (5 points), b/1 (3), b/2 (3); the second lacks a."""
    found = [new_run(db), new_run(db)]
    for number, run_id in enumerate(found):
        names = {1: "a", 2: "b/1", 3: "b/2"}
        some = frame({2: [2.0, 2.5, 2.75], 3: [3.0, 3.5, 3.75]})
        parts = [some] if number else [frame({1: [1.0] * 5}), some]
        engine.submit(run_id, "w", batch(1, *parts, names=names), {}).result(10)
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
    engine.submit(run_id, "w", sent, {}).result(10)
    messages = read_all(engine, run_id)
    assert [message.last for message in messages] == [False, True]
    assert all(message.ByteSize() <= 1 << 20 for message in messages)
    values = [value for message in messages for value in message.points.values]
    assert values == list(range(40_000))


def test_hand_made_messages_equal_those_of_protobuf() -> None:
    columns = sheets.Columns(
        np.array([-1, 0, 1 << 40]), np.array([5, 6, 7]), np.array([0.5, math.inf, -0.0])
    )
    expected = pb.ReadSeriesResponse.Points(
        steps=[-1, 0, 1 << 40], times_micros=[5, 6, 7], values=[0.5, math.inf, -0.0]
    )
    assert read._points_wire(columns, 0, 3) == expected.SerializeToString()
    assert read._points_wire(columns, 1, 1) == b""


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
            engine.submit(run_id, writer, sent, {1: "loss"}).result(10)
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
        engine.submit(run_id, "w", losses(sequence), {}).result(10)
    with db.read() as tx:
        found = list(sheets._payloads(tx, run_id, Window(start=2, end=3)))
    assert [origin.sequence for origin, _, _ in found] == [2]


def test_damaged_frame_is_reported_and_its_neighbours_are_readable(
    db: Database, engine: Engine, run_id: str
) -> None:
    for sequence in (1, 2, 3):
        engine.submit(run_id, "w", losses(sequence), {}).result(10)
    with db.write() as tx:
        damaged = metric_frames.c.sequence == 2
        data = tx.execute(sa.select(metric_frames.c.data).where(damaged)).scalar_one()
        data = data[:-1] + bytes([data[-1] ^ 1])
        tx.execute(sa.update(metric_frames).where(damaged).values(data=data))
    found: list[float] = []
    error = None
    try:
        for message in engine.read_series(
            pb.ReadSeriesRequest(select=pb.SeriesSelector(run_ids=[run_id]))
        ):
            found += message.points.values
    except errors.ServiceError as raised:
        error = raised
    assert found == [1.0, 3.0]
    assert error is not None
    assert error.metadata == {"run_id": run_id, "writer_id": "w", "sequence": "2"}
    assert points(engine, run_id, range_start=3) == [(3, 1003, 3.0)]
    assert [one.points for one in series(engine, run_id)] == [2]


def test_reduced_reads_are_not_offered_yet(engine: Engine, two_runs: list[str]) -> None:
    for reduce in ("REDUCE_BUCKETS", "REDUCE_SHAPE"):
        with pytest.raises(errors.Unimplemented):
            read_all(engine, *two_runs, reduce=reduce)
    with pytest.raises(errors.Unimplemented):
        read_all(engine, *two_runs, max_points=4)
    assert len(read_all(engine, *two_runs, max_points=5)) == 5
    assert len(read_all(engine, *two_runs, max_points=1, reduce=RAW)) == 5


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"select": {}}, "select.run_ids"),
        ({"select": {"run_ids": ["x"]}}, "select.run_ids"),
        ({"select": {"run_ids": ["0" * 32], "keys": ["\x00"]}}, "select"),
        ({"select": {"run_ids": ["0" * 32], "key_prefixes": ["a"] * 101}}, "select.key_prefixes"),
        ({"select": {"run_ids": ["0" * 32]}, "max_points": -1}, "max_points"),
    ],
)
def test_read_that_makes_no_sense_is_refused(
    engine: Engine, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(errors.FieldInvalid) as caught:
        engine.read_series(pb.ReadSeriesRequest(**fields))
    assert caught.value.field == field


# The service -----------------------------------------------------------------------


@pytest.fixture
def drain() -> threading.Event:
    return threading.Event()


@pytest.fixture
def stub(engine: Engine, drain: threading.Event) -> MetricServiceStub:
    server = InProcessServer([CallInterceptor()])
    add_MetricServiceServicer_to_server(MetricService(engine, drain), server)  # type: ignore[arg-type]
    return MetricServiceStub(server.channel)  # type: ignore[arg-type]


class Requests:
    """The request side of a stream, as a client would feed it."""

    def __init__(self, run_id: str, writer_id: str = "w", **names: str):
        self._sent: queue.SimpleQueue[pb.StreamBatchesRequest | None] = queue.SimpleQueue()
        declared = [SeriesName(id=int(number[1:]), key=key) for number, key in names.items()]
        opening = pb.StreamBatchesRequest.Open(run_id=run_id, writer_id=writer_id, series=declared)
        self.send(open=opening)

    def send(self, **message: Any) -> None:
        self._sent.put(pb.StreamBatchesRequest(**message))

    def batches(self, *batches: MetricBatch) -> None:
        for one in batches:
            self.send(batch=one)

    def end(self) -> None:
        self._sent.put(None)

    def __iter__(self) -> Iterator[pb.StreamBatchesRequest]:
        return iter(self._sent.get, None)


def acked(response: pb.StreamBatchesResponse) -> int:
    assert response.WhichOneof("message") == "ack"
    return response.ack.committed_sequence


def test_stream_stores_and_acknowledges_all(stub: MetricServiceStub, run_id: str) -> None:
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    opened = next(responses).opened
    assert (opened.committed_sequence, opened.position) == (0, 0)
    assert opened.advice.max_unacked_batches > 0
    requests.batches(*(losses(n, position=n) for n in range(1, 101)))
    requests.end()
    acks = [acked(response) for response in responses]
    assert acks == sorted(acks)
    assert acks[-1] == 100
    reopened = Requests(run_id)
    assert next(stub.StreamBatches(iter(reopened))).opened.position == 100
    reopened.end()
    assert stub.GetWriter(pb.GetWriterRequest(run_id=run_id, writer_id="w")) == (
        pb.GetWriterResponse(committed_sequence=100, position=100)
    )


def test_stream_remembers_the_names_it_was_told(
    stub: MetricServiceStub, engine: Engine, run_id: str
) -> None:
    requests = Requests(run_id, n1="loss")
    responses = stub.StreamBatches(iter(requests))
    requests.batches(
        batch(1, frame({1: [1.0]})),
        batch(2, frame({1: [2.0], 2: [5.0]}, steps=[1]), names={2: "acc"}),
        batch(3, frame({2: [6.0], 1: [3.0]}, steps=[2]), names={1: "loss"}),
    )
    requests.end()
    assert acked(list(responses)[-1]) == 3
    assert [value for *_, value in points(engine, run_id)] == [1.0, 2.0, 3.0]
    assert [value for *_, value in points(engine, run_id, "acc")] == [5.0, 6.0]


def failure(responses: Any) -> tuple[list[int], str, str]:
    """The acks that came, then the status code and details of the end."""
    acks: list[int] = []
    with pytest.raises(grpc.RpcError) as caught:
        acks += (acked(response) for response in responses if response.HasField("ack"))
    return acks, caught.value.code().name, str(caught.value.details())


def test_name_cannot_change_its_meaning_within_a_stream(
    stub: MetricServiceStub, run_id: str
) -> None:
    requests = Requests(run_id, n1="loss")
    responses = stub.StreamBatches(iter(requests))
    requests.batches(batch(1, names={1: "acc"}))
    _, code, details = failure(responses)
    assert (code, "id 1" in details) == ("INVALID_ARGUMENT", True)


def test_gap_ends_the_stream_after_the_ack_of_what_is_stored(
    stub: MetricServiceStub, engine: Engine, run_id: str
) -> None:
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    next(responses)
    requests.batches(losses(1), losses(2))
    while acked(next(responses)) < 2:
        pass
    requests.batches(losses(4), losses(5))
    assert failure(responses)[1] == "OUT_OF_RANGE"
    assert engine.writer(run_id, "w") == (2, 0)


def test_sealed_run_ends_the_stream(stub: MetricServiceStub, db: Database, run_id: str) -> None:
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    next(responses)
    with db.write() as tx:
        run.finish(tx, FinishRunRequest(run_id=run_id, state=Run.STATE_FINISHED))
    requests.batches(losses(1))
    assert failure(responses)[1] == "FAILED_PRECONDITION"
    again = Requests(run_id)  # a writer that it knows may ask where it stands
    assert next(stub.StreamBatches(iter(again))).opened.committed_sequence == 0
    again.end()
    assert failure(stub.StreamBatches(iter(Requests(run_id, "new"))))[1] == "FAILED_PRECONDITION"


@pytest.mark.parametrize("messages", [0, 1, 2])
def test_stream_opens_first_and_once(stub: MetricServiceStub, run_id: str, messages: int) -> None:
    opening = pb.StreamBatchesRequest(
        open=pb.StreamBatchesRequest.Open(run_id=run_id, writer_id="w")
    )
    sent = [opening] * messages if messages != 1 else [pb.StreamBatchesRequest()]
    assert failure(stub.StreamBatches(iter(sent)))[1] == "INVALID_ARGUMENT"


def test_stream_needs_a_writer(stub: MetricServiceStub, run_id: str) -> None:
    assert failure(stub.StreamBatches(iter(Requests(run_id, ""))))[1] == "INVALID_ARGUMENT"


def test_heartbeat_in_a_stream_is_acknowledged(
    stub: MetricServiceStub, db: Database, run_id: str
) -> None:
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    requests.send(heartbeat={})
    requests.end()
    assert [response.WhichOneof("message") for response in responses] == ["opened", "ack"]


def test_wish_to_stop_reaches_an_open_stream(
    stub: MetricServiceStub, db: Database, run_id: str
) -> None:
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    assert not next(responses).opened.advice.stop_requested
    with db.write() as tx:
        run.stop(tx, run_id, "enough")
    requests.send(heartbeat={})
    requests.end()
    assert any(response.advice.stop_requested for response in responses)


def test_draining_server_asks_streams_to_close_and_stores_what_still_comes(
    stub: MetricServiceStub, drain: threading.Event, engine: Engine, run_id: str
) -> None:
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    next(responses)
    drain.set()
    assert next(responses).closing.grace.seconds > 0
    requests.batches(losses(1))
    requests.end()
    assert [acked(response) for response in responses] == [1]


def test_cancelled_stream_ends_its_reader(stub: MetricServiceStub, run_id: str) -> None:
    before = set(threading.enumerate())
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    next(responses)
    requests.batches(losses(1))
    assert acked(next(responses)) == 1
    responses.cancel()
    requests.send(heartbeat={})  # what wakes it; over a socket the end of the call does
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


def test_log_batch_is_the_same_without_a_stream(stub: MetricServiceStub, run_id: str) -> None:
    names = [SeriesName(id=1, key="loss")]
    request = pb.LogBatchRequest(
        run_id=run_id, writer_id="w", batch=batch(1, frame({1: [1.0]})), series=names
    )
    for _ in range(2):
        response = stub.LogBatch(request)
        assert response.ack.committed_sequence == 1
        assert response.advice.max_batch_bytes > 0
    beat = stub.LogBatch(pb.LogBatchRequest(run_id=run_id, writer_id="w"))
    assert beat.ack.committed_sequence == 1
    (message,) = stub.ReadSeries(
        pb.ReadSeriesRequest(select=pb.SeriesSelector(run_ids=[run_id], keys=["loss"]))
    )
    assert list(message.points.values) == [1.0]
    assert [one.key for one in stub.ListSeries(pb.ListSeriesRequest(run_id=run_id)).series] == (
        ["loss"]
    )


def test_log_batch_does_not_wait_past_its_deadline(db: Database, run_id: str) -> None:
    stuck = Engine(db)  # never started: nothing is ever committed
    server = InProcessServer([CallInterceptor()])
    service = MetricService(stuck, threading.Event())
    add_MetricServiceServicer_to_server(service, server)  # type: ignore[arg-type]
    stub = MetricServiceStub(server.channel)  # type: ignore[arg-type]
    with pytest.raises(grpc.RpcError) as caught:
        stub.LogBatch(pb.LogBatchRequest(run_id=run_id, writer_id="w"), timeout=0.05)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_tail_is_not_offered_yet(stub: MetricServiceStub) -> None:
    assert failure(stub.TailSeries(pb.TailSeriesRequest()))[1] == "UNIMPLEMENTED"
