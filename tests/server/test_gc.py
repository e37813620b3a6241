"""What is in the trash for long enough goes for good, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from runwire_server import errors, gc
from runwire_server.metrics import Engine, purge
from runwire_server.store import run
from runwire_server.store.database import Database
from runwire_server.store.tables import metadata, metric_keys

from server.batches import batch, counted, fold, frame, losses, new_run, points, running, send, trim

KEPT = {"experiments", "metric_keys", "alembic_version", "run_revisions"}


@pytest.fixture
def engine(db: Database) -> Iterator[Engine]:
    with running(db) as engine:
        yield engine


def full_run(db: Database, engine: Engine) -> str:
    """A run with something in every table."""
    run_id = new_run(db, params={"lr": "1"}, tags={"team": "a"})
    for sequence in range(1, 5):
        steps = range(sequence * 100, sequence * 100 + 100)
        sent = frame({1: [0.5] * 100, 2: [0.25] * 100, 3: [1.0] * 100}, steps)
        send(engine, run_id, batch(sequence, sent, names={1: "a", 2: "b", 3: "c"}))
        if sequence < 4:
            fold(db, run_id)
    return run_id


def delete(db: Database, run_id: str) -> None:
    with db.write() as tx:
        run.delete(tx, run_id)


def rows(db: Database) -> dict[str, int]:
    return {
        table.name: found
        for table in metadata.sorted_tables
        if table.name not in KEPT and (found := counted(db, table))
    }


def test_deleted_run_leaves_nothing_behind_and_its_neighbour_everything(
    db: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_BLOCKS", "_FRAMES", "_SUMMARIES"):
        monkeypatch.setattr(purge, name, 1)
    kept = full_run(db, engine)
    before = rows(db)
    deleted = full_run(db, engine)
    delete(db, deleted)
    told: list[str] = []
    assert gc.collect(db, 3600.0) == 0  # not old enough
    assert gc.collect(db, 0.0, dry_run=True, on_run=told.append) == 1
    assert told == [deleted]
    with db.read() as tx:
        assert run.get(tx, deleted).run_id == deleted
    assert gc.collect(db, 0.0) == 1
    assert rows(db) == before
    assert len(points(engine, kept, "a")) == 400
    with db.read() as tx, pytest.raises(errors.NotFound):
        run.get(tx, deleted)
    with pytest.raises(errors.NotFound):
        send(engine, deleted, losses(5))
    assert gc.collect(db, 0.0) == 0
    assert counted(db, metric_keys) == 3


def test_restored_run_is_kept(db: Database, engine: Engine) -> None:
    run_id = full_run(db, engine)
    delete(db, run_id)
    with db.write() as tx:
        run.restore(tx, run_id)
    assert gc.collect(db, 0.0) == 0
    assert len(points(engine, run_id, "a")) == 400


def test_gc_that_was_killed_goes_on_and_the_run_cannot_be_restored(
    db: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = full_run(db, engine)
    delete(db, run_id)

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(gc, "purge_metrics", die)
        with pytest.raises(Killed):
            gc.collect(db, 0.0)
    with db.write() as tx, pytest.raises(errors.NotFound):
        run.restore(tx, run_id)
    assert gc.collect(db, 0.0) == 1
    assert rows(db) == {}


@pytest.mark.parametrize("folded", [False, True], ids=["deleted", "folded"])
def test_space_is_given_back(db: Database, engine: Engine, folded: bool) -> None:
    if db.is_postgres:
        pytest.skip("PostgreSQL keeps the space for later rows")
    path = Path(str(db.url.database))
    run_id = new_run(db)
    noise = np.random.default_rng(0).normal(size=40_000).round(2)
    for sequence in range(1, 21):
        send(engine, run_id, batch(sequence, frame({1: noise.tolist()}), names={1: "a"}))
    if folded:
        fold(db, run_id)
        trim(db, run_id)
    else:
        delete(db, run_id)
    with db.engine.connect() as connection:
        connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
    assert path.stat().st_size > 10 << 20
    assert gc.collect(db, 0.0) == (not folded)
    assert path.stat().st_size < 3 << 20
