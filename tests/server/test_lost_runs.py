"""Runs whose jobs fall silent are LOST, once, and no other run is."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from runwire.v1.run_pb2 import Run
from runwire.v1.run_service_pb2 import FinishRunRequest
from runwire_server.lost_runs import SWEEP_EVERY_S, LostRuns
from runwire_server.metrics import Engine
from runwire_server.store import run
from runwire_server.store.database import Database

from server.batches import losses, new_run, running, send, stored

LOST_AFTER_S = 3 * SWEEP_EVERY_S


@pytest.fixture
def engine(db: Database) -> Iterator[Engine]:
    with running(db) as engine:
        yield engine


@pytest.fixture
def server(db: Database) -> LostRuns:
    return LostRuns(db, LOST_AFTER_S)


def sweeps(server: LostRuns, first: int, last: int) -> list[str]:
    """All that is lost by the sweeps of these minutes, both included."""
    minutes = range(first, last + 1)
    return [run_id for minute in minutes for run_id in server.sweep(minute * SWEEP_EVERY_S)]


def test_run_is_lost_once_its_heartbeat_has_not_changed_for_so_long(
    db: Database, engine: Engine, server: LostRuns
) -> None:
    run_id = new_run(db)
    send(engine, run_id, losses(1))
    before = stored(db, run_id)
    assert sweeps(server, 1, 3) == []
    assert sweeps(server, 4, 9) == [run_id]
    after = stored(db, run_id)
    assert after.state == Run.STATE_LOST
    assert after.revision == before.revision + 1
    assert after.heartbeat_time == before.heartbeat_time


def test_next_batch_makes_it_running_again_and_it_can_be_lost_again(
    db: Database, engine: Engine, server: LostRuns
) -> None:
    run_id = new_run(db)
    send(engine, run_id, losses(1))
    assert sweeps(server, 1, 4) == [run_id]
    send(engine, run_id, losses(2))
    assert stored(db, run_id).state == Run.STATE_RUNNING
    assert sweeps(server, 5, 7) == []
    assert sweeps(server, 8, 8) == [run_id]


def test_idle_job_that_sends_heartbeats_is_never_lost(
    db: Database, engine: Engine, server: LostRuns
) -> None:
    run_id = new_run(db)
    for minute in range(1, 20):
        send(engine, run_id, None)
        assert sweeps(server, minute, minute) == []


@pytest.mark.parametrize("what", ["scheduled", "over", "in the trash", "never heard of"])
def test_run_that_owes_no_heartbeat_is_never_lost(
    db: Database, engine: Engine, server: LostRuns, what: str
) -> None:
    run_id = new_run(db, state=Run.STATE_SCHEDULED if what == "scheduled" else Run.STATE_RUNNING)
    if what != "never heard of":
        send(engine, run_id, losses(1))
    with db.write() as tx:
        if what == "over":
            run.finish(tx, FinishRunRequest(run_id=run_id, state=Run.STATE_FAILED))
        if what == "in the trash":
            run.delete(tx, run_id)
    before = stored(db, run_id)
    assert sweeps(server, 1, 9) == []
    assert stored(db, run_id) == before


def test_run_that_speaks_between_look_and_mark_is_not_lost(
    db: Database, engine: Engine, server: LostRuns
) -> None:
    run_id = new_run(db)
    send(engine, run_id, losses(1))
    with db.read() as tx:
        seen = run.heartbeats(tx)
    send(engine, run_id, losses(2))
    with db.write() as tx:
        assert run.lose(tx, seen) == []
    assert stored(db, run_id).state == Run.STATE_RUNNING


def test_servers_that_sweep_at_once_lose_a_run_once(db: Database, engine: Engine) -> None:
    run_ids = [new_run(db) for _ in range(20)]
    for run_id in run_ids:
        send(engine, run_id, losses(1))
    servers = [LostRuns(db, LOST_AFTER_S) for _ in range(4)]
    for server in servers:
        assert sweeps(server, 1, 3) == []
    lost: list[str] = []
    threads = [
        threading.Thread(target=lambda one=server: lost.extend(sweeps(one, 4, 4)))
        for server in servers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lost) == sorted(run_ids)


def test_server_that_was_away_itself_gives_every_run_its_time_again(
    db: Database, engine: Engine, server: LostRuns
) -> None:
    run_id = new_run(db)
    send(engine, run_id, losses(1))
    assert sweeps(server, 1, 3) == []
    assert sweeps(server, 50, 52) == []
    assert sweeps(server, 53, 53) == [run_id]
