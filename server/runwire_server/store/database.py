"""The engine, transactions, and every difference between the databases.

``Database.read()`` and ``Database.write()`` open the one transaction of a request;
store functions take it as their first argument. No other module knows which
database it is on, and none sees a driver's exception: those become
``TransactionConflict`` (run the handler again), ``ConnectionLost`` or
``StorageUnavailable`` here.
"""

from __future__ import annotations

import functools
import json
import operator
import select
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from runwire_server.errors import Overloaded, StorageUnavailable
from runwire_server.retry import ConnectionLost, TransactionConflict
from runwire_server.store.group import GroupCommit

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    Insert = sqlite.Insert | postgresql.Insert

# SQLite result codes: https://www.sqlite.org/rescode.html (primary code = low byte).
_SQLITE_BUSY, _SQLITE_LOCKED = 5, 6
_SQLITE_STORAGE = {
    8: "the database is read-only",
    10: "the disk failed",
    11: "the database file is damaged",
    13: "the disk is full",
    14: "the database file cannot be opened",
    26: "the file is not a database",
}
# PostgreSQL SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
_PG_CONFLICTS = {"40001", "40P01", "55P03"}
_PG_STORAGE = {"53100": "the disk is full", "25006": "the database is read-only"}
# https://www.postgresql.org/docs/current/explicit-joins.html
_AS_WRITTEN = sa.text(
    "SELECT set_config('join_collapse_limit', '1', true), "
    + ", ".join(
        f"set_config('{name}', 'off', true)"
        for name in ("enable_hashjoin", "enable_mergejoin", "enable_seqscan", "enable_bitmapscan",
                     "enable_sort", "jit")
    )
)  # fmt: skip
# 32 MiB of them.
_VACUUMED_PAGES = 2048


Ending = Callable[["Transaction", Collection[str]], None]


class Announcement(NamedTuple):
    """Something of a kind, by its name, may have changed."""

    kind: str
    name: str


class Transaction:
    """One open transaction. ``now`` (µs) is the same for everything it writes."""

    def __init__(self, connection: sa.Connection):
        self._connection = connection
        self.announced: set[Announcement] = set()
        self.now = time.time_ns() // 1000
        self.is_postgres = connection.dialect.name == "postgresql"
        self._endings: dict[Ending, dict[str, None]] = {}

    def at_end(self, ending: Ending, key: str) -> None:
        """Before it commits, call ``ending(tx, keys)`` once, with all keys that were given."""
        self._endings.setdefault(ending, {})[key] = None

    def finish(self) -> None:
        for ending, keys in self._endings.items():
            ending(self, keys)

    def execute(
        self,
        statement: sa.Executable,
        parameters: Sequence[dict[str, Any]] | dict[str, Any] | None = None,
    ) -> sa.CursorResult[Any]:
        return self._connection.execute(statement, parameters)

    def tuples(self, statement: sa.Executable, **parameters: Any) -> list[Any]:
        """All rows as the driver has them: for very many of them, and for columns of which
        the driver's values are the right ones (text, numbers, bytes)."""
        return list(self._connection.execute(statement, parameters).cursor.fetchall())

    def execute_many(
        self, statement: sa.Insert, names: Sequence[str], rows: Sequence[tuple[Any, ...]]
    ) -> int:
        """An INSERT of many rows, whose values are in the order of ``names`` and what the
        driver takes as it is: numbers, text, bytes and None. Returns how many it changed.

        The driver of SQLite gets them untouched, at a third of the cost.
        """
        if self.is_postgres:
            done = self.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])
            return done.rowcount
        sql, order = _compiled(statement, tuple(names), self._connection.dialect)
        return self._connection.exec_driver_sql(sql, list(map(order, rows))).rowcount

    def among(self, column: sa.ColumnElement[int], values: Sequence[int]) -> sa.ColumnElement[bool]:
        """``column IN values`` for any number of values: they are one parameter."""
        if self.is_postgres:
            return column == sa.any_(sa.cast(list(values), sa.ARRAY(sa.BigInteger)))
        listed = sa.func.json_each(json.dumps(values)).table_valued("value")
        return column.in_(sa.select(listed.c.value))

    @property
    def insert(self) -> Callable[[sa.Table], Insert]:
        """Makes an INSERT that has ``on_conflict_do_nothing`` and ``on_conflict_do_update``.

        Always the same function on one kind of database: statements made of it can be cached.
        """
        # Imported here: either dialect costs a start some 50 ms, and only one is needed.
        if self.is_postgres:
            from sqlalchemy.dialects.postgresql import insert as postgres_insert

            return postgres_insert
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        return sqlite_insert

    def announce(self, kind: str, name: str) -> None:
        """Tell those who listen to this database, once the transaction has ended."""
        self.announced.add(Announcement(kind, name))

    @property
    def bytewise(self) -> str:
        """The collation that orders text by its bytes, so that both databases agree."""
        return "C" if self.is_postgres else "BINARY"

    def join_as_written(self) -> None:
        """From here on tables are joined in the order in which a query names them, each row
        of the left side looked up in the right one: for who knows that they are few."""
        if self.is_postgres:
            self._connection.execute(_AS_WRITTEN)

    def locked(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """The query with its rows locked until commit (SQLite locks the whole file anyway)."""
        return query.with_for_update() if self.is_postgres else query

    @contextmanager
    def savepoint(self) -> Iterator[Transaction]:
        """A transaction in this one (on SQLite): what raises in it leaves no trace."""
        driver: Any = self._connection.connection.driver_connection
        driver.execute("SAVEPOINT block")
        try:
            yield Transaction(self._connection)
        except BaseException:
            if self.is_open:
                driver.execute("ROLLBACK TO block")
            raise
        finally:
            if self.is_open:
                driver.execute("RELEASE block")

    @property
    def is_open(self) -> bool:
        """False where SQLite has rolled back by itself, as it does when the disk is full."""
        driver: Any = self._connection.connection.driver_connection
        return bool(driver.in_transaction)

    @property
    def connection(self) -> sa.Connection:
        return self._connection


@functools.lru_cache(64)
def _compiled(
    statement: sa.Insert, names: tuple[str, ...], dialect: sa.Dialect
) -> tuple[str, Callable[[tuple[Any, ...]], tuple[Any, ...]]]:
    """Its text, and what brings a row in the order of ``names`` into that of the text."""
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(names))
    places = [names.index(name) for name in compiled.positiontup]
    return compiled.string, operator.itemgetter(*places)


class Database:
    """A database by its URL. Safe for threads; make a new one after fork or spawn.

    ``pool_size`` bounds the connections, and with them the transactions under way:
    a request that gets none within ``pool_timeout_s`` is refused as ``Overloaded``.
    """

    def __init__(self, url: str, *, pool_size: int = 16, pool_timeout_s: float = 10.0):
        self.url = sa.make_url(url)
        if self.url.drivername in ("postgresql", "postgres"):
            self.url = self.url.set(drivername="postgresql+psycopg")
        self.is_postgres = self.url.get_backend_name() == "postgresql"
        if not self.is_postgres and self.url.get_backend_name() != "sqlite":
            raise ValueError(
                f"backend store {url!r}: only sqlite:// and postgresql:// are supported"
            )
        # Threads of one process queue here, fairly, and not in SQLite's busy loop,
        # which is for other processes only.
        self._sqlite_writer = threading.Lock()
        self._pool_timeout_s = pool_timeout_s
        self._listeners: list[Callable[[Announcement], None]] = []
        if not self.is_postgres and self.url.database not in (None, "", ":memory:"):
            Path(str(self.url.database)).parent.mkdir(parents=True, exist_ok=True)
        self.engine = sa.create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=0,
            # The connection used last has the pages and the statements at hand.
            pool_use_lifo=True,
            pool_timeout=pool_timeout_s,
            hide_parameters=True,
        )
        self._group = None if self.is_postgres else GroupCommit(self._begin, pool_timeout_s)
        if self.is_postgres:
            sa.event.listen(self.engine, "checkout", _check_postgres)
        else:
            sa.event.listen(self.engine, "connect", _set_up_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)

    def close(self) -> None:
        # A thread whose call was cut may hold a connection still.
        sa.event.listen(self.engine, "checkin", _close_for_good)
        self.engine.dispose()

    def listen(self, listener: Callable[[Announcement], None]) -> None:
        """Have it told, before a ``write`` returns, what that has announced."""
        self._listeners.append(listener)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """One snapshot to read from."""
        with _translated(), self.engine.connect() as connection:
            if self.is_postgres:
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                yield Transaction(connection)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that is committed at the end of the block, or leaves no trace.

        For short blocks: on SQLite those of several threads may be committed together.
        """
        with self._announced(self._group.join() if self._group else self._begin()) as tx:
            yield tx

    @contextmanager
    def write_alone(self) -> Iterator[Transaction]:
        """The same for long blocks, which nobody else's commit should wait for."""
        with self._announced(self._begin()) as tx:
            yield tx

    @contextmanager
    def _announced(self, block: AbstractContextManager[Transaction]) -> Iterator[Transaction]:
        announced: set[Announcement] = set()
        try:
            with _translated(), block as tx:
                announced = tx.announced
                yield tx
                tx.finish()
        finally:
            # After an error too: a commit whose answer was lost may have taken place.
            for each in announced:
                for listener in self._listeners:
                    listener(each)

    @contextmanager
    def _begin(self) -> Iterator[Transaction]:
        if self.is_postgres:
            with self.engine.begin() as connection:
                yield Transaction(connection)
            return
        if not self._sqlite_writer.acquire(timeout=self._pool_timeout_s):
            raise Overloaded(what="the database is busy")
        try:
            with self.engine.connect() as connection:
                connection = connection.execution_options(runwire_write=True)
                with connection.begin():
                    yield Transaction(connection)
        finally:
            self._sqlite_writer.release()

    def reclaim(self) -> None:
        """Give space that removed rows left back: to the disk (SQLite), or to later rows."""
        with _translated():
            if self.is_postgres:
                self._vacuum()
            else:
                self._shrink()

    def _vacuum(self) -> None:
        with self.engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(sa.text("VACUUM"))

    def _shrink(self) -> None:
        with self._sqlite_writer, self.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            # Some pages at a time, so that other processes get their turn in between.
            while driver.execute("PRAGMA freelist_count").fetchone()[0]:
                # A script, because each row that the pragma steps through is one page.
                driver.executescript(f"PRAGMA incremental_vacuum({_VACUUMED_PAGES})")
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def check(self) -> None:
        """Raises ``StorageUnavailable`` where the database does not answer."""
        with self.read() as tx:
            tx.execute(sa.text("SELECT 1"))


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # SQLAlchemy begins transactions itself (_begin_sqlite), the driver must not.
    connection.isolation_level = None
    # journal_mode can wait for another process that is just making the file.
    pragmas = ["busy_timeout = 10000"]
    if connection.execute("PRAGMA page_count").fetchone() == (0,):
        # For a new file only. 16 KiB pages doubled the rate of blob writes over 4 KiB;
        # incremental vacuum gives space back after a gc.
        pragmas += ["page_size = 16384", "auto_vacuum = INCREMENTAL"]
    pragmas += [
        "journal_mode = WAL",
        "synchronous = FULL",
        "case_sensitive_like = ON",
        "cache_size = -65536",
    ]
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}").close()


def _check_postgres(connection: Any, _record: object, _proxy: object) -> None:
    # A server that went away has closed the connection, and one that is about to has said so:
    # either can be read, where an idle connection has nothing. It spares the round trip of a ping.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise sa.exc.DisconnectionError


def _close_for_good(_connection: object, record: Any) -> None:
    record.invalidate()


def _begin_sqlite(connection: sa.Connection) -> None:
    # IMMEDIATE: a writer takes its lock at once. A transaction that reads first and
    # writes later could otherwise fail half-way with no retry but from the start.
    write = connection.get_execution_options().get("runwire_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sa.exc.TimeoutError as error:
        raise Overloaded(what="all database connections are in use") from error
    except sa.exc.IntegrityError as error:
        # Another transaction took a unique key first. The next attempt sees its row
        # and answers with the right error, or finds that there is nothing left to do.
        raise TransactionConflict(what="another call changed the same rows") from error
    except sa.exc.DBAPIError as error:
        raise _translate(error) from error


def _translate(error: sa.exc.DBAPIError) -> Exception:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code in (_SQLITE_BUSY, _SQLITE_LOCKED):
            return TransactionConflict(what="the database is busy")
        if code in _SQLITE_STORAGE:
            return StorageUnavailable(_SQLITE_STORAGE[code])
        return error
    state = getattr(cause, "sqlstate", None) or ""
    if state in _PG_CONFLICTS:
        return TransactionConflict(what="the database was busy with the same rows")
    if state in _PG_STORAGE:
        return StorageUnavailable(_PG_STORAGE[state])
    if (
        error.connection_invalidated
        or state[:2] in ("08", "57")
        or (not state and isinstance(error, sa.exc.OperationalError))
    ):
        return ConnectionLost("the database is away")
    return error
