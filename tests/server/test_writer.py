"""Group commit: exactly once, in order, whole or not at all."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire.v1.metric_pb2 import MetricBatch, WriteAck
from runwire.v1.run_pb2 import DatasetInput, Run
from runwire.v1.run_service_pb2 import FinishRunRequest
from runwire_server import errors
from runwire_server.metrics import Engine
from runwire_server.store import migrations, run
from runwire_server.store.database import Database
from runwire_server.store.tables import metric_frames, metric_writers, runs

from server.batches import batch, counted, losses, new_run, points, running, send, stored


@pytest.fixture
def engine(db: Database) -> Iterator[Engine]:
    with running(db) as engine:
        yield engine


@pytest.fixture
def run_id(db: Database) -> str:
    return new_run(db)


def outcome(future: Future[WriteAck]) -> Any:
    """The committed sequence of the ack, or the class of the error."""
    error = future.exception(120)
    return future.result().committed_sequence if error is None else type(error)


def set_state(db: Database, run_id: str, state: int) -> None:
    with db.write() as tx:
        tx.execute(sa.update(runs).where(runs.c.run_id == run_id).values(state=state))


def finish(db: Database, run_id: str, **after: int) -> None:
    with db.write() as tx:
        run.finish(tx, FinishRunRequest(run_id=run_id, state=Run.STATE_FINISHED, after=after))


# Sequences -------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(st.integers(1, 6), max_size=20))
def test_any_order_of_sends_stores_each_batch_once(db: Database, sends: list[int]) -> None:
    run_id, committed = new_run(db), 0
    with running(db) as engine:
        for sequence in sends:
            future = engine.submit(run_id, "w", losses(sequence, position=10 * sequence), {})
            if sequence > committed + 1:
                error = future.exception(120)
                assert isinstance(error, errors.SequenceGap)
                assert error.metadata["committed_sequence"] == str(committed)
            else:
                committed = max(committed, sequence)
                assert future.result(120).committed_sequence == committed
                assert future.result(120).position == 10 * committed
        expected = [(n, 1000 + n, float(n)) for n in range(1, committed + 1)]
        assert points(engine, run_id) == expected


def test_batches_of_one_writer_share_a_group(db: Database, run_id: str) -> None:
    engine = Engine(db)
    futures = [engine.submit(run_id, "w", losses(n), {}) for n in (1, 2, 2, 3, 5, 4, 5)]
    engine.start()
    gap = errors.SequenceGap
    # Acks are cumulative: all of a group are of the end of the group.
    assert [outcome(future) for future in futures] == [5, 5, 5, 5, gap, 5, 5]
    engine.close()


def test_two_engines_racing_for_one_writer_store_each_batch_once(db: Database, run_id: str) -> None:
    with (
        closing(Database(db.url.render_as_string(hide_password=False))) as other_db,
        running(db) as one,
        running(other_db) as other,
    ):
        barrier = threading.Barrier(2)

        def push(engine: Engine) -> None:
            barrier.wait(120)
            sequence = 1
            while sequence <= 40:
                try:
                    sequence = send(engine, run_id, losses(sequence)).committed_sequence + 1
                except errors.Overloaded:
                    continue  # lost the race for the rows: as a client, once more

        threads = [threading.Thread(target=push, args=(engine,)) for engine in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert [value for _, _, value in points(one, run_id)] == list(range(1, 41))
        assert other.writer(run_id, "w") == (40, 0)


def test_many_writers_at_once_lose_nothing(db: Database, engine: Engine, run_id: str) -> None:
    def push(writer: int) -> None:
        for sequence in range(1, 11):
            sent = losses(sequence, float(writer), first_step=100 * writer + sequence)
            send(engine, run_id, sent, f"w{writer}")

    threads = [threading.Thread(target=push, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    expected = [(100 * w + n, float(w)) for w in range(8) for n in range(1, 11)]
    assert [(step, value) for step, _, value in points(engine, run_id)] == expected


def test_without_a_writer_a_batch_is_applied_once_per_call(engine: Engine, run_id: str) -> None:
    for _ in range(2):
        assert send(engine, run_id, losses(0, 5.0), writer_id="").committed_sequence == 1
    assert [value for _, _, value in points(engine, run_id)] == [5.0, 5.0]


def test_duplicate_is_acknowledged_after_the_run_is_over(
    db: Database, engine: Engine, run_id: str
) -> None:
    send(engine, run_id, losses(1))
    finish(db, run_id)
    assert send(engine, run_id, losses(1)).committed_sequence == 1
    assert stored(db, run_id).state == Run.STATE_FINISHED


def test_ack_means_that_another_process_can_read_it(
    db: Database, engine: Engine, run_id: str
) -> None:
    send(engine, run_id, losses(1))
    with closing(Database(db.url.render_as_string(hide_password=False))) as other_db:
        other = Engine(other_db)
        assert points(other, run_id) == [(1, 1001, 1.0)]
        assert other.writer(run_id, "w") == (1, 0)


def test_values_come_back_bit_for_bit(engine: Engine, run_id: str) -> None:
    bits = np.array(
        [0x7FF8000000000123, 0xFFF8000000000ABC, 1 << 63, 1, 0x7FF << 52, 0xFFF << 52], "<u8"
    )
    sent = MetricBatch.FromString(losses(1).SerializeToString())
    sent.frames[0].steps[:] = sent.frames[0].times_micros[:] = range(len(bits))
    del sent.frames[0].values[:]
    sent.frames[0].MergeFromString(b"\x22\x30" + bits.tobytes())
    send(engine, run_id, sent)
    read = np.array([value for _, _, value in points(engine, run_id)])
    assert read.view("<u8").tolist() == bits.tolist()


# Whole runs ------------------------------------------------------------------------


def test_unknown_run_is_not_found_and_others_of_its_group_are_stored(
    db: Database, run_id: str
) -> None:
    engine = Engine(db)
    lost = engine.submit(uuid.uuid4().hex, "w", losses(1), {})
    kept = engine.submit(run_id, "w", losses(1), {})
    engine.start()
    assert (outcome(lost), outcome(kept)) == (errors.NotFound, 1)
    engine.close()


def test_deleted_run_refuses_batches(db: Database, engine: Engine, run_id: str) -> None:
    with db.write() as tx:
        run.delete(tx, run_id)
    assert outcome(engine.submit(run_id, "w", losses(1), {})) is errors.Deleted


def test_finished_run_refuses_a_new_writer(db: Database, engine: Engine, run_id: str) -> None:
    finish(db, run_id)
    assert outcome(engine.submit(run_id, "new", losses(1), {})) is errors.RunSealed
    assert outcome(engine.submit(run_id, "new", None, {})) is errors.RunSealed
    assert engine.writer(run_id, "new") == (0, 0)


def test_finish_closes_the_writers_it_names_only(db: Database, engine: Engine, run_id: str) -> None:
    send(engine, run_id, losses(1), "main")
    send(engine, run_id, losses(1), "rank1")
    finish(db, run_id, main=1)
    assert outcome(engine.submit(run_id, "main", losses(2), {})) is errors.RunSealed
    assert send(engine, run_id, losses(2), "rank1").committed_sequence == 2
    assert stored(db, run_id).state == Run.STATE_FINISHED


def test_finish_waits_for_the_batches_it_names(db: Database, engine: Engine, run_id: str) -> None:
    finish(db, run_id, w=2)
    send(engine, run_id, losses(1))
    assert stored(db, run_id).state == Run.STATE_RUNNING
    send(engine, run_id, losses(2))
    assert stored(db, run_id).state == Run.STATE_FINISHED
    assert outcome(engine.submit(run_id, "w", losses(3), {})) is errors.RunSealed


def test_resumed_run_takes_new_writers(db: Database, engine: Engine, run_id: str) -> None:
    finish(db, run_id)
    with db.write() as tx:
        run.resume(tx, run_id)
    assert send(engine, run_id, losses(1), "later").committed_sequence == 1


@pytest.mark.parametrize("heartbeat", [True, False])
def test_lost_run_is_revived_by_its_writer(
    db: Database, engine: Engine, run_id: str, heartbeat: bool
) -> None:
    set_state(db, run_id, Run.STATE_LOST)
    send(engine, run_id, None if heartbeat else losses(1))
    assert stored(db, run_id).state == Run.STATE_RUNNING


def test_heartbeat_registers_its_writer(db: Database, engine: Engine, run_id: str) -> None:
    before = stored(db, run_id)
    assert send(engine, run_id, None) == WriteAck()
    assert counted(db, metric_writers) == 1
    after = stored(db, run_id)
    assert after.heartbeat_time.ToMicroseconds() >= before.create_time.ToMicroseconds()
    assert after.revision == before.revision + 1
    finish(db, run_id, other=0)
    # It registered before the end, so what it has is still taken.
    assert send(engine, run_id, losses(1)).committed_sequence == 1


def test_advice_carries_the_wish_to_stop(db: Database, engine: Engine, run_id: str) -> None:
    send(engine, run_id, None)
    assert not engine.advice(run_id).stop_requested
    with db.write() as tx:
        run.stop(tx, run_id, "enough")
    send(engine, run_id, None)
    assert engine.advice(run_id).stop_requested


def test_params_tags_and_inputs_are_stored_with_their_batch(
    db: Database, engine: Engine, run_id: str
) -> None:
    inputs = [DatasetInput(name="train")]
    send(engine, run_id, batch(1, params={"lr": "1"}, tags={"a": "1", "b": "2"}, inputs=inputs))
    send(engine, run_id, batch(2, tags={"a": "3"}, removed_tags=["b", "b\x00"]))
    found = stored(db, run_id)
    assert dict(found.params) == {"lr": "1"}
    assert dict(found.tags) == {"a": "3"}
    assert list(found.inputs) == inputs
    assert counted(db, metric_frames) == 0


# Trouble ---------------------------------------------------------------------------


def test_poisonous_batch_fails_alone(
    db: Database, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def set_tags(tx: Any, run_id: str, tags: Any) -> Any:
        if "poison" in tags:
            raise ValueError("poison")
        return original(tx, run_id, tags)

    original = run.set_tags
    monkeypatch.setattr(run, "set_tags", set_tags)
    engine = Engine(db, refresh_delay_s=3600)
    sent = [
        engine.submit(run_id, "a", losses(1), {}),
        engine.submit(run_id, "b", losses(1, tags={"poison": ""}, params={"p": "1"}), {}),
        engine.submit(run_id, "b", losses(2), {}),
        engine.submit(run_id, "a", losses(2, tags={"good": "1"}), {}),
    ]
    engine.start()
    assert [outcome(future) for future in sent] == [1, ValueError, errors.SequenceGap, 2]
    assert len(points(engine, run_id)) == 2
    assert dict(stored(db, run_id).tags) == {"good": "1"}
    assert dict(stored(db, run_id).params) == {}
    assert engine.writer(run_id, "b") == (0, 0)
    engine.close()


def fill(db: Database) -> None:
    """SQLite's own limit of pages stands for a full disk: the same error, SQLITE_FULL."""

    def limit(connection: Any, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 3}")

    _on_every_connection(db, limit)


def make_read_only(db: Database) -> None:
    _on_every_connection(db, lambda connection, _: connection.execute("PRAGMA query_only = 1"))


def _on_every_connection(db: Database, listener: Callable[..., Any]) -> None:
    db.engine.dispose()
    sa.event.listen(db.engine, "connect", listener)


@pytest.mark.parametrize("trouble", [fill, make_read_only])
def test_full_or_read_only_disk_leaves_nothing_half_written(
    tmp_path: Path, trouble: Callable[[Database], None]
) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    with closing(Database(url)) as db:
        migrations.upgrade(db)
        run_id = new_run(db)
        with running(db) as engine:
            send(engine, run_id, losses(1))
            before = stored(db, run_id)
            trouble(db)
            sent = losses(2, *[0.5] * 20_000, params={"p": "1"})
            assert outcome(engine.submit(run_id, "w", sent, {})) is errors.StorageUnavailable
            assert engine.writer(run_id, "w") == (1, 0)
            assert stored(db, run_id) == before
    with closing(Database(url)) as db, running(db) as engine:  # there is room again
        assert send(engine, run_id, sent).committed_sequence == 2
        assert len(points(engine, run_id)) == 20_001


def test_full_queue_refuses_with_a_delay_to_retry_after(db: Database, run_id: str) -> None:
    engine = Engine(db, queue_bytes=10_000)
    accepted = [engine.submit(run_id, "w", losses(n), {}) for n in range(1, 10)]
    with pytest.raises(errors.Overloaded) as caught:
        engine.submit(run_id, "w", losses(10), {})
    assert caught.value.retry_after_s
    assert engine.advice(run_id).min_interval.ToMilliseconds() > 1000
    with pytest.raises(errors.Overloaded):
        engine.submit(run_id, "w", losses(10), {}, patience_s=0.01)
    engine.start()
    assert outcome(accepted[-1]) == 9
    later = engine.submit(run_id, "w", losses(10), {}, patience_s=120)
    assert outcome(later) == 10
    engine.close()
    assert not engine.advice(run_id).HasField("min_interval")


def test_close_commits_what_is_queued_and_refuses_more(db: Database, run_id: str) -> None:
    engine = Engine(db)
    queued = [engine.submit(run_id, "w", losses(n), {}) for n in range(1, 6)]
    engine.start()
    engine.close()
    assert [future.done() for future in queued] == [True] * 5
    assert engine.writer(run_id, "w") == (5, 0)
    with pytest.raises(errors.Draining):
        engine.submit(run_id, "w", losses(6), {})
