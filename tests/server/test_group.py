"""Writes that share a transaction keep every promise of a write that has its own."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from runwire_server.errors import Overloaded, StorageUnavailable
from runwire_server.retry import TransactionConflict
from runwire_server.store import group, migrations
from runwire_server.store.database import Database, Transaction
from runwire_server.store.tables import metric_keys

Block = Callable[[Transaction], object]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path / 'x.db'}", pool_timeout_s=120)) as database:
        migrations.upgrade(database)
        yield database


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MAX_S", 60.0)


def adding(key_id: int, error: Exception | None = None) -> Block:
    def add(tx: Transaction) -> None:
        tx.execute(sa.insert(metric_keys), {"key_id": key_id, "name": str(key_id)})
        if error is not None:
            raise error

    return add


def stored(db: Database) -> list[int]:
    with db.read() as tx:
        query = sa.select(metric_keys.c.key_id).order_by(metric_keys.c.key_id)
        return list(tx.execute(query).scalars())


def commits(db: Database) -> list[sa.Connection]:
    """Grows with every commit."""
    found: list[sa.Connection] = []
    sa.event.listen(db.engine, "commit", found.append)
    return found


def together(db: Database, blocks: list[Block]) -> list[BaseException | None]:
    """What each write raised, where a block ends only when the next thread waits for its turn."""
    raised: list[BaseException | None] = [None] * len(blocks)

    def write(place: int) -> None:
        try:
            with db.write() as tx:
                try:
                    blocks[place](tx)
                finally:
                    if place + 1 < len(threads):
                        threads[place + 1].start()
                        _wait_for_another(db)
        except BaseException as error:
            raised[place] = error

    threads = [threading.Thread(target=write, args=(place,)) for place in range(len(blocks))]
    threads[0].start()
    for thread in threads:
        while thread.ident is None:
            threads[0].join(0.001)
        thread.join()
    return raised


def _wait_for_another(db: Database) -> None:
    assert db._group is not None
    while not db._group._waiting:
        threading.Event().wait(0.001)


def test_writes_that_wait_for_each_other_share_a_commit(small: Database) -> None:
    committed = commits(small)
    assert together(small, [adding(key) for key in range(5)]) == [None] * 5
    assert len(committed) == 1
    assert stored(small) == [0, 1, 2, 3, 4]


def test_write_that_nobody_waits_behind_commits_at_once(small: Database) -> None:
    committed = commits(small)
    for key in range(3):
        with small.write() as tx:
            adding(key)(tx)
        assert len(committed) == key + 1


def test_group_takes_no_more_than_its_most(
    small: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "MAX_MEMBERS", 2)
    committed = commits(small)
    assert together(small, [adding(key) for key in range(5)]) == [None] * 5
    assert len(committed) == 3


def test_group_takes_no_more_when_its_time_is_up(
    small: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "MAX_S", 0.0)
    committed = commits(small)
    together(small, [adding(key) for key in range(3)])
    assert len(committed) == 3


@pytest.mark.parametrize("place", [0, 1, 2])
def test_write_that_raises_leaves_no_trace_and_harms_no_other(small: Database, place: int) -> None:
    blocks = [adding(key) for key in range(3)]
    blocks[place] = adding(9, KeyError("mine"))
    raised = together(small, blocks)
    assert isinstance(raised.pop(place), KeyError)
    assert raised == [None, None]
    assert stored(small) == [key for key in range(3) if key != place]


def test_write_that_clashes_with_one_beside_it_is_to_run_again(small: Database) -> None:
    first, second, third = together(small, [adding(1), adding(1), adding(2)])
    assert (first, third) == (None, None)
    assert isinstance(second, TransactionConflict)
    assert stored(small) == [1, 2]


@pytest.mark.parametrize("failing", [None, KeyError("for what it saw")])
def test_nobody_is_told_anything_where_the_commit_fails(
    small: Database, failing: Exception | None
) -> None:
    def fail(_connection: sa.Connection) -> None:
        raise StorageUnavailable("the disk failed")

    sa.event.listen(small.engine, "commit", fail)
    raised = together(small, [adding(1), adding(2, failing)])
    sa.event.remove(small.engine, "commit", fail)
    assert [type(one) for one in raised] == [StorageUnavailable] * 2
    assert stored(small) == []
    with small.write() as tx:
        adding(3)(tx)
    assert stored(small) == [3]


def test_where_sqlite_rolls_back_by_itself_the_others_run_again(small: Database) -> None:
    """A full disk can end the transaction, with what the others wrote in it."""

    def ends(tx: Transaction) -> None:
        tx.connection.exec_driver_sql("ROLLBACK")
        raise StorageUnavailable("the disk is full")

    first, second = together(small, [adding(1), ends])
    assert isinstance(first, TransactionConflict)
    assert isinstance(second, StorageUnavailable)
    assert stored(small) == []
    assert together(small, [adding(1), adding(2)]) == [None, None]


def test_transaction_that_ended_is_not_taken_for_committed(small: Database) -> None:
    def ends(tx: Transaction) -> None:
        tx.connection.exec_driver_sql("ROLLBACK")

    assert all(isinstance(one, TransactionConflict) for one in together(small, [adding(1), ends]))
    assert stored(small) == []


def test_turn_that_does_not_come_in_time_is_refused(small: Database) -> None:
    assert small._group is not None
    small._group._timeout_s = 0.05
    refused: list[Exception] = []

    def write() -> None:
        try:
            with small.write():
                pass
        except Overloaded as error:
            refused.append(error)

    with small.write() as tx:
        adding(1)(tx)
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert len(refused) == 1
    assert stored(small) == [1]


def test_each_write_of_a_group_sees_the_time_at_which_it_began(small: Database) -> None:
    times: list[int] = []
    together(small, [lambda tx: times.append(tx.now)] * 3)
    assert len(times) == 3
    assert times == sorted(times)


def test_many_threads_lose_and_double_nothing(small: Database) -> None:
    committed = commits(small)

    def add(first: int) -> None:
        for key_id in range(first, first + 50):
            with small.write() as tx:
                adding(key_id)(tx)

    threads = [threading.Thread(target=add, args=(place * 50,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stored(small) == list(range(400))
    assert len(committed) <= 400


KILLED = """
import os, sys, threading
sys.path[:0] = {path!r}
from server.test_group import adding, together
from runwire_server.store import group
from runwire_server.store.database import Database
group.MAX_S = 60.0
db = Database({url!r})
with db.write() as tx:
    adding(1)(tx)
together(db, [adding(2), adding(3), lambda tx: os._exit(9)])
"""


def test_process_killed_before_the_commit_leaves_nothing_of_the_group(small: Database) -> None:
    code = KILLED.format(path=sys.path, url=str(small.url))
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert stored(small) == [1]


@pytest.mark.parametrize("has_come", [False, True])
def test_who_is_interrupted_while_it_waits_leaves_no_turn_behind(
    small: Database, has_come: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    taking, leave, comes = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        with small.write():
            taking.set()
            assert leave.wait(120)

    class Interrupted:
        def acquire(self, timeout: float) -> bool:
            if has_come:
                leave.set()
                assert comes.wait(120)
            raise KeyboardInterrupt

        def release(self) -> None:
            comes.set()

    holder = threading.Thread(target=hold)
    holder.start()
    assert taking.wait(120)
    with monkeypatch.context() as patch:
        patch.setattr(group, "_held", Interrupted)
        with pytest.raises(KeyboardInterrupt), small.write():
            pass
    leave.set()
    holder.join()
    with small.write() as tx:
        adding(1)(tx)
    assert stored(small) == [1]
