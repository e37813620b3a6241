"""Transactions are whole, and no driver's exception gets out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from runwire_server.errors import Overloaded, StorageUnavailable
from runwire_server.retry import ATTEMPTS, TransactionConflict, retrying
from runwire_server.store import migrations
from runwire_server.store.database import Database
from runwire_server.store.tables import metric_keys

_OWN_PID = "SELECT pg_backend_pid()"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}", pool_size=2, pool_timeout_s=0.2)
    migrations.upgrade(database)
    yield database
    database.close()


def _count(db: Database) -> int:
    with db.read() as tx:
        return int(tx.execute(sa.select(sa.func.count()).select_from(metric_keys)).scalar_one())


def test_write_that_raises_leaves_no_trace(db: Database) -> None:
    def write() -> None:
        with db.write() as tx:
            tx.execute(sa.insert(metric_keys), {"key_id": 1, "name": "a"})
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert _count(db) == 0


def test_unique_key_taken_by_another_is_a_conflict_to_run_again(db: Database) -> None:
    with db.write() as tx:
        tx.execute(sa.insert(metric_keys), {"key_id": 1, "name": "a"})
    with pytest.raises(TransactionConflict), db.write() as tx:
        tx.execute(sa.insert(metric_keys), {"key_id": 1, "name": "b"})


def test_readers_do_not_wait_for_a_writer(db: Database) -> None:
    with db.write() as tx:
        tx.execute(sa.insert(metric_keys), {"key_id": 1, "name": "a"})
        assert _count(db) == 0
    assert _count(db) == 1


def test_connection_that_ended_while_it_was_idle_is_replaced(db: Database) -> None:
    with db.read() as first, db.read() as second:
        pids = [
            tx.execute(sa.text(_OWN_PID)).scalar_one() for tx in (first, second) if db.is_postgres
        ]
    for pid in pids:
        with closing(Database(db.url.render_as_string(False))) as other, other.write() as tx:
            tx.execute(sa.text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
    with db.read() as first, db.write() as second:
        assert first.execute(sa.text("SELECT 1")).scalar() == 1
        assert second.execute(sa.text("SELECT 1")).scalar() == 1


def test_writers_of_two_processes_take_turns(tmp_path: Path, small: Database) -> None:
    other = Database(str(small.url))

    def add(db: Database, first: int) -> None:
        for key_id in range(first, first + 20):
            with db.write() as tx:
                tx.execute(sa.insert(metric_keys), {"key_id": key_id, "name": str(key_id)})

    threads = [
        threading.Thread(target=add, args=(d, i * 100)) for i, d in enumerate((small, other))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _count(small) == 40
    other.close()


def test_writer_that_waits_too_long_is_refused(small: Database) -> None:
    failures: list[Exception] = []

    def write() -> None:
        try:
            with small.write():
                pass
        except Overloaded as error:
            failures.append(error)

    with small.write():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert len(failures) == 1


def test_full_disk_is_said_plainly_and_nothing_is_written(small: Database) -> None:
    with small.engine.connect() as connection:
        pages = connection.execute(sa.text("PRAGMA page_count")).scalar_one()
        connection.rollback()
    sa.event.listen(
        small.engine,
        "checkout",
        lambda raw, *_: raw.execute(f"PRAGMA max_page_count = {pages}").close(),
    )
    rows = [{"key_id": key_id, "name": "x" * 10_000} for key_id in range(100)]
    with pytest.raises(StorageUnavailable, match="disk is full"), small.write() as tx:
        tx.execute(sa.insert(metric_keys), rows)
    assert _count(small) == 0


def test_read_only_database_is_said_plainly(tmp_path: Path, small: Database) -> None:
    sa.event.listen(
        small.engine, "checkout", lambda raw, *_: raw.execute("PRAGMA query_only = ON").close()
    )
    with pytest.raises(StorageUnavailable, match="read-only"), small.write() as tx:
        tx.execute(sa.insert(metric_keys), {"key_id": 1, "name": "a"})


def test_folder_that_cannot_be_made_is_an_error_at_start() -> None:
    with pytest.raises(OSError, match="/proc"):
        Database("sqlite:////proc/nowhere/x.db")


def test_file_of_another_kind_is_said_plainly_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("these are not the pages you are looking for" * 1000)
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(StorageUnavailable, match="not a database"):
        migrations.upgrade(database)
    assert (tmp_path / "x.db").read_text().startswith("these are not the pages")
    database.close()


def test_connection_that_is_given_back_after_the_close_is_closed(db: Database) -> None:
    closed: list[object] = []
    sa.event.listen(db.engine, "close", lambda connection, _: closed.append(connection))
    with db.read() as tx:
        held = tx.connection.connection.driver_connection
        db.close()
        assert held not in closed
    assert held in closed


def test_unknown_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="postgresql"):
        Database("mysql://host/x")


def test_retrying_runs_again_until_it_succeeds() -> None:
    calls = []

    def call() -> str:
        calls.append(1)
        if len(calls) < 3:
            raise TransactionConflict
        return "done"

    assert retrying(call) == "done"
    assert len(calls) == 3


def test_retrying_gives_up_with_the_last_error() -> None:
    calls = []

    def call() -> None:
        calls.append(1)
        raise TransactionConflict

    with pytest.raises(TransactionConflict):
        retrying(call)
    assert len(calls) == ATTEMPTS
