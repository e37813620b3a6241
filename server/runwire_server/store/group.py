"""Group commit: small writes of many threads share one transaction, and its wait for the disk.

For a database with one writer at a time. A write has the transaction to itself while its
block runs, in a savepoint; where others wait for their turn at its end, it leaves the
transaction open to the next of them, and the last one commits for all. Nobody returns
before the commit, and nobody waits for it longer than ``MAX_MEMBERS`` and ``MAX_S`` allow.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING

from runwire_server.errors import Overloaded
from runwire_server.retry import TransactionConflict

if TYPE_CHECKING:
    from runwire_server.store.database import Transaction

MAX_MEMBERS = 64
# From when a group takes no more members.
MAX_S = 0.02


class _Group:
    """A transaction that is open, and who waits for its commit."""

    def __init__(self, opened: AbstractContextManager[Transaction]):
        self._closing = ExitStack()
        self.tx = self._closing.enter_context(opened)
        self._closes = time.monotonic() + MAX_S
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self.members = 0

    @property
    def takes_more(self) -> bool:
        return self.tx.is_open and self.members < MAX_MEMBERS and time.monotonic() < self._closes

    def end(self) -> None:
        """Commit. Where the database has rolled back by itself, all have to run again."""
        try:
            with self._closing:
                if not self.tx.is_open:
                    raise TransactionConflict(what="a write beside it ended the transaction")
        except BaseException as error:
            self._error = error
        self._ended.set()

    def wait(self) -> None:
        """Until it has ended. Raises what kept it from being committed."""
        self._ended.wait()
        if self._error is not None:
            raise self._error


class GroupCommit:
    """``begin()`` opens a transaction that commits at its end."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Transaction]], timeout_s: float):
        self._begin, self._timeout_s = begin, timeout_s
        self._turn = threading.Condition()
        self._busy = False
        self._waiting = 0
        self._group: _Group | None = None

    @contextmanager
    def join(self) -> Iterator[Transaction]:
        """A block's turn in a transaction, committed when this returns.

        A block that raises leaves no trace. It is told after the commit, too: it may have
        raised for what others wrote. ``Overloaded`` where its turn does not come in time.
        """
        self._take_turn()
        try:
            group = self._group = self._group or _Group(self._begin())
        except BaseException:
            self._give_turn()
            raise
        group.members += 1
        failed: BaseException | None = None
        try:
            with group.tx.savepoint() as tx:
                yield tx
        except BaseException as error:
            failed = error
        broken = not group.tx.is_open
        self._leave(group)
        if failed is not None and broken:
            raise failed
        group.wait()
        if failed is not None:
            raise failed

    def _take_turn(self) -> None:
        with self._turn:
            self._waiting += 1
            free = self._turn.wait_for(lambda: not self._busy, self._timeout_s)
            self._waiting -= 1
            if not free:
                raise Overloaded(what="the database is busy")
            self._busy = True

    def _leave(self, group: _Group) -> None:
        """Pass the open transaction on to who waits for a turn (and cannot leave without one
        while nobody else has it); else end it."""
        with self._turn:
            if self._waiting and group.takes_more:
                self._busy = False
                self._turn.notify()
                return
        self._group = None
        try:
            group.end()
        finally:
            self._give_turn()

    def _give_turn(self) -> None:
        with self._turn:
            self._busy = False
            self._turn.notify()
