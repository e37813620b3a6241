"""More than the database can take: writers are told to wait, and nothing is lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import closing

import backends
from drills.processes import eventually
from runwire._connect import connect
from runwire.v1.metric_pb2 import SeriesName
from runwire.v1.metric_service_pb2 import LogBatchRequest
from runwire.v1.metric_service_pb2_grpc import MetricServiceStub
from runwire_server.errors import Overloaded
from runwire_server.metrics import Engine
from runwire_server.store.database import Database
from runwire_server.store.tables import runs

from server.batches import losses, new_run, points, running

WRITERS, BATCHES = 8, 40
QUEUE_BYTES = 100_000
# Clients wait as long as they are told to, each a little longer or shorter: so many come at once.
COME_BACK = 50


def test_a_stalled_database_holds_writers_back_within_the_bounds_of_the_queue(
    db: Database,
) -> None:
    run_id = new_run(db)
    held_back = [threading.Event() for _ in range(WRITERS)]
    fills: list[float] = []
    with running(db, queue_bytes=QUEUE_BYTES) as engine:
        threads = [
            threading.Thread(target=write_all, args=(engine, run_id, number, told, fills))
            for number, told in enumerate(held_back)
        ]
        with (
            closing(Database(db.url.render_as_string(hide_password=False))) as other,
            other.write() as tx,
        ):
            tx.execute(runs.update().values(revision=runs.c.revision))  # the writer waits for it
            for thread in threads:
                thread.start()
            assert all(told.wait(120) for told in held_back)
            assert engine.advice(run_id).min_interval.ToMilliseconds() > 0
        for thread in threads:
            thread.join()
        assert max(fills) <= 1.0
        assert Counter(step for step, _, _ in points(engine, run_id)) == Counter(
            dict.fromkeys(range(1, BATCHES * 100 + 1), WRITERS)
        )
        eventually(lambda: engine._backlog.fill == 0, "the last group gives its room back")
        assert not engine.advice(run_id).HasField("min_interval")


def write_all(
    engine: Engine, run_id: str, writer: int, told: threading.Event, fills: list[float]
) -> None:
    """What a client does: as fast as it can, and again where it is refused."""
    acks = []
    for sequence in range(1, BATCHES + 1):
        first = (sequence - 1) * 100 + 1
        sent = losses(sequence, *[0.5] * 100, first_step=first)
        while True:
            fills.append(engine._backlog.fill)
            try:
                acks.append(engine.submit(run_id, f"w{writer}", sent, {}))
            except Overloaded as error:
                told.set()
                time.sleep((error.retry_after_s or 60.0) / 100)
            else:
                break
    assert acks[-1].result(120).committed_sequence == BATCHES


def test_a_thousand_writers_at_once_all_get_in(backend: backends.Backend) -> None:
    with backends.grpc_server(backend) as uri, closing(connect(uri)) as connection:
        with closing(Database(backend.metadata_url)) as db:
            run_id = new_run(db)
        stub = MetricServiceStub(connection.channel)
        left = [request(run_id, writer, 1) for writer in range(1000)]
        refused, together = 0, len(left)
        while left:
            calls = [(sent, stub.LogBatch.future(sent)) for sent in left[:together]]
            left, together = left[together:], COME_BACK
            for sent, call in calls:
                if call.exception() is not None:
                    assert "too much to do" in (call.details() or "")
                    refused += 1
                    left.append(sent)
                elif sent.batch.sequence < 3:
                    left.append(request(run_id, int(sent.writer_id), sent.batch.sequence + 1))
        assert refused  # or the test should have more writers
        with closing(Database(backend.metadata_url)) as db:
            found = Counter(step for step, _, _ in points(Engine(db), run_id))
    assert found == Counter(dict.fromkeys(range(1, 7), 1000))


def request(run_id: str, writer: int, sequence: int) -> LogBatchRequest:
    sent = losses(sequence, 0.5, 0.25, first_step=2 * sequence - 1)
    del sent.series[:]
    names = [SeriesName(id=1, key="loss")]
    return LogBatchRequest(run_id=run_id, writer_id=str(writer), batch=sent, series=names)
