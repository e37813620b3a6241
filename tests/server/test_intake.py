"""What is refused: entries of a batch one by one, and batches as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from runwire.v1.metric_pb2 import Frame, MetricBatch, WriteAck
from runwire_server import errors
from runwire_server.limits import LIMITS
from runwire_server.metrics import Engine, columns, intake
from runwire_server.store.database import Database
from runwire_server.store.tables import metric_frames

from server.batches import batch, counted, frame, losses, new_run, points, running, send, stored


@pytest.fixture
def engine(db: Database) -> Iterator[Engine]:
    with running(db) as engine:
        yield engine


@pytest.fixture
def run_id(db: Database) -> str:
    return new_run(db)


# Rejections ------------------------------------------------------------------------


def rejected(ack: WriteAck) -> list[tuple[int, str, int, str]]:
    return [(r.sequence, r.key, r.points, r.fault.reason) for r in ack.rejections]


def test_bad_key_is_counted_and_the_rest_of_its_frame_kept(engine: Engine, run_id: str) -> None:
    long = "k" * (LIMITS.max_key_bytes + 1)
    names = {1: "loss", 2: "", 3: long, 4: "acc"}
    rows = frame({4: [4.0, 4.5], 2: [2.0] * 2, 3: [3.0] * 2, 1: [1.0, 1.5]})
    more = frame({2: [0.0], 1: [9.0]}, steps=[7])
    ack = send(engine, run_id, batch(1, rows, more, names=names))
    assert ack.committed_sequence == 1
    assert rejected(ack) == [
        (1, "", 3, "FIELD_INVALID"),
        (1, long[:-1], 2, "TOO_LARGE"),
    ]
    assert [value for _, _, value in points(engine, run_id)] == [1.0, 1.5, 9.0]
    assert [value for _, _, value in points(engine, run_id, "acc")] == [4.0, 4.5]


def test_batch_of_bad_keys_only_is_committed_without_points(
    db: Database, engine: Engine, run_id: str
) -> None:
    ack = send(engine, run_id, batch(1, frame({1: [1.0]}), names={1: "a\nb"}))
    assert ack.committed_sequence == 1
    assert rejected(ack) == [(1, "a\nb", 1, "FIELD_INVALID")]
    assert counted(db, metric_frames) == 0


def test_rejections_of_an_ack_are_bounded_and_complete(engine: Engine, run_id: str) -> None:
    names = {number: f"bad\n{number}" for number in range(1000)}
    rows = frame({number: [0.0, 1.0] for number in names})
    ack = send(engine, run_id, batch(1, rows, names=names))
    assert len(ack.rejections) == intake.MAX_REJECTIONS
    assert sum(rejection.points for rejection in ack.rejections) == 2000


def test_param_with_another_value_is_rejected_and_the_first_kept(db: Database, run_id: str) -> None:
    engine = Engine(db)
    first = engine.submit(run_id, "a", batch(1, params={"lr": "1", "n": "2"}), {})
    second = engine.submit(run_id, "b", batch(1, params={"lr": "9", "n": "2", "m": "3"}), {})
    engine.start()
    assert rejected(first.result(120)) == []
    assert rejected(second.result(120)) == [(1, "lr", 0, "PARAM_CONFLICT")]
    assert dict(stored(db, run_id).params) == {"lr": "1", "n": "2", "m": "3"}
    engine.close()


def test_series_limit_keeps_old_series_and_rejects_new_ones(db: Database, run_id: str) -> None:
    def some(sequence: int, *keys: str) -> MetricBatch:
        names = dict(enumerate(keys))
        rows = frame({number: [float(sequence)] for number in names}, steps=[sequence])
        return batch(sequence, rows, names=names)

    with running(db, max_series=3) as engine:
        assert rejected(send(engine, run_id, some(1, "a", "b"))) == []
        assert rejected(send(engine, run_id, some(2, "b", "c", "d"))) == [(2, "d", 1, "QUOTA")]
        assert rejected(send(engine, run_id, some(3, "e", "a"))) == [(3, "e", 1, "QUOTA")]
        engine.refresh()
    with running(db, max_series=3) as engine:  # another process counts what is stored
        assert rejected(send(engine, run_id, some(4, "a", "f", "c"))) == [(4, "f", 1, "QUOTA")]
        assert [step for step, _, _ in points(engine, run_id, "a")] == [1, 3, 4]
        assert [step for step, _, _ in points(engine, run_id, "c")] == [2, 4]
        assert points(engine, run_id, "d") == points(engine, run_id, "f") == []
        assert rejected(send(engine, new_run(db), some(1, "x", "y", "z"))) == []


def test_two_keys_with_one_number_are_told_apart(
    engine: Engine, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwire_server.metrics.keys.key_id", len)
    send(engine, run_id, batch(1, frame({1: [1.0]}), names={1: "ab"}))
    sent = batch(2, frame({1: [5.0], 2: [6.0]}, steps=[1]), names={1: "xy", 2: "abc"})
    assert rejected(send(engine, run_id, sent)) == [(2, "xy", 1, "FIELD_INVALID")]
    twins = batch(3, frame({1: [7.0], 2: [8.0]}), names={1: "pqrs", 2: "tuvw"})
    assert rejected(send(engine, run_id, twins)) == [(3, "tuvw", 1, "FIELD_INVALID")]


# Bad batches -----------------------------------------------------------------------

ONE = frame({1: [1.0]})


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (batch(0, ONE, names={1: "a"}), "batch.sequence"),
        (batch(-1, ONE, names={1: "a"}), "batch.sequence"),
        (batch(1, ONE), "batch.frames[0].series"),
        (batch(1, ONE, Frame(series=[1]), names={1: "a"}), "batch.frames[1]"),
        (batch(1, Frame(steps=[1], times_micros=[1]), names={1: "a"}), "batch.frames[0]"),
        (
            batch(1, Frame(series=[1], steps=[1, 2], times_micros=[1], values=[1, 2])),
            "batch.frames[0].times_micros",
        ),
        (
            batch(1, Frame(series=[1], steps=[1, 2], times_micros=[1, 2], values=[1])),
            "batch.frames[0].values",
        ),
        (
            batch(
                1,
                Frame(series=[1, 1], steps=[1], times_micros=[1], values=[1, 2]),
                names={1: "a"},
            ),
            "frames.series",
        ),
        (batch(1, frame({1: [1.0], 2: [2.0]}), names={1: "a", 2: "a"}), "frames.series"),
        (batch(1, names={9: "b"}), "series"),
    ],
)
def test_batch_of_a_wrong_shape_is_refused_whole(
    engine: Engine, run_id: str, sent: MetricBatch, field: str
) -> None:
    with pytest.raises(errors.FieldInvalid) as caught:
        engine.submit(run_id, "w", sent, {9: "a"})
    assert caught.value.field == field
    assert engine.writer(run_id, "w") == (0, 0)


def test_ids_are_checked(engine: Engine, run_id: str) -> None:
    for bad_run, writer in (("x", "w"), (run_id, "w" * 65), (run_id, "w\x00")):
        with pytest.raises(errors.FieldInvalid):
            engine.submit(bad_run, writer, None, {})
    with pytest.raises(errors.FieldInvalid):
        engine.submit(run_id, "", losses(2), {})


def test_batch_over_the_limit_is_refused(engine: Engine, run_id: str) -> None:
    values = [0.0] * (LIMITS.max_batch_bytes // 24 + 1)
    with pytest.raises(errors.TooLarge):
        engine.submit(run_id, "w", losses(1, *values), {})


def test_names_declared_before_need_not_come_again(engine: Engine, run_id: str) -> None:
    send(engine, run_id, batch(1, ONE), names={1: "loss"})
    assert points(engine, run_id) == [(0, 1000, 1.0)]


def test_old_protobuf_stores_the_same_bytes(run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def payload() -> bytes:
        sent = losses(1, 0.1, float("nan"), -0.0)
        made = intake.prepare(run_id, "w", sent, {}, columns.ColumnCache()).points
        assert made is not None
        return made.payload

    fast = payload()
    monkeypatch.setattr(intake, "_BULK", False)
    assert payload() == fast


def test_column_cache_forgets_the_longest_unused(run_id: str) -> None:
    cache = columns.ColumnCache(max_names=4)
    old, kept = cache.get(run_id, ("a", "b")), cache.get(run_id, ("c",))
    assert cache.get(run_id, ("c",)) is kept
    cache.get(run_id, ("d", "e"))
    assert cache.get(run_id, ("c",)) is kept
    assert cache.get(run_id, ("a", "b")) is not old
