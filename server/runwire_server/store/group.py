"""Group commit: small writes of many threads share one transaction, and its wait for the disk.

For a database with one writer at a time. A write has the transaction to itself while its
block runs, in a savepoint; where others wait for their turn at its end, it leaves the
transaction open to the next of them, and the last one commits for all. Nobody returns
before the commit, and nobody waits for it longer than ``MAX_MEMBERS`` and ``MAX_S`` allow.

Whoever waits has a lock of its own, released by the one it waits for: a thread that wakes
has nothing more to compete for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
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


def _held() -> threading.Lock:
    """A lock to wait for."""
    lock = threading.Lock()
    lock.acquire()
    return lock


class _Group:
    """A transaction that is open, and who waits for its commit."""

    def __init__(self, opened: AbstractContextManager[Transaction]):
        self._closing = ExitStack()
        self.tx = self._closing.enter_context(opened)
        self._closes = time.monotonic() + MAX_S
        self._error: BaseException | None = None
        self._members: list[threading.Lock] = []

    @property
    def takes_more(self) -> bool:
        in_time = len(self._members) < MAX_MEMBERS and time.monotonic() < self._closes
        return self.tx.is_open and in_time

    def add(self) -> threading.Lock:
        """Another member: what it waits for."""
        ended = _held()
        self._members.append(ended)
        return ended

    def end(self) -> None:
        """Commit. Where the database has rolled back by itself, all have to run again."""
        try:
            with self._closing:
                if not self.tx.is_open:
                    raise TransactionConflict(what="a write beside it ended the transaction")
        except BaseException as error:
            self._error = error
        for ended in self._members:
            ended.release()

    def wait(self, ended: threading.Lock) -> None:
        """Until it has ended. Raises what kept it from being committed."""
        ended.acquire()
        if self._error is not None:
            raise self._error


class GroupCommit:
    """``begin()`` opens a transaction that commits at its end."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Transaction]], timeout_s: float):
        self._begin, self._timeout_s = begin, timeout_s
        self._lock = threading.Lock()  # of the next two
        self._busy = False
        self._waiting: deque[threading.Lock] = deque()
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
        ended = group.add()
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
        group.wait(ended)
        if failed is not None:
            raise failed

    def _take_turn(self) -> None:
        with self._lock:
            if not self._busy:
                self._busy = True
                return
            turn = _held()
            self._waiting.append(turn)
        try:
            if turn.acquire(timeout=self._timeout_s):
                return
        except BaseException:  # Ctrl-C: nobody may wait for who has gone
            if not self._is_withdrawn(turn):
                self._pass_on()
            raise
        if self._is_withdrawn(turn):
            raise Overloaded(what="the database is busy")

    def _is_withdrawn(self, turn: threading.Lock) -> bool:
        """False: it has come just now."""
        with self._lock:
            if turn not in self._waiting:
                return False
            self._waiting.remove(turn)
            return True

    def _pass_on(self) -> None:
        """A turn that is not taken: those of an open transaction wait for its end."""
        if self._group is None:
            self._give_turn()
        else:
            self._leave(self._group)

    def _leave(self, group: _Group) -> None:
        """Pass the open transaction on to who waits for a turn (and cannot leave without one
        while nobody else has it); else end it."""
        with self._lock:
            if group.takes_more and self._pass_turn():
                return
        self._group = None
        try:
            group.end()
        finally:
            self._give_turn()

    def _give_turn(self) -> None:
        with self._lock:
            self._busy = self._pass_turn()

    def _pass_turn(self) -> bool:
        """To who has waited longest, under the lock; False where nobody does."""
        if self._waiting:
            self._waiting.popleft().release()
            return True
        return False
