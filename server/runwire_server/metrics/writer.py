"""The one thread that commits: everything queued, in one transaction (group commit)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from runwire.v1.metric_pb2 import WriteAck

from runwire_server.errors import Overloaded, ServiceError, StorageUnavailable
from runwire_server.metrics.backlog import Backlog
from runwire_server.metrics.catalogue import Catalogue
from runwire_server.metrics.commit import Committed, Group
from runwire_server.metrics.intake import Entry
from runwire_server.retry import retrying
from runwire_server.store.database import Database

log = logging.getLogger("runwire.metrics")

# Where more bytes to a transaction stop paying: reference 4.1, raw SQLite ceilings.
GROUP_BYTES = 8 << 20
GROUP_ENTRIES = 256


class GroupWriter:
    """Takes entries from the backlog, commits them, completes their futures.

    A future is completed after the commit only, with its ack or a typed error, and
    in the order in which the entries were queued.
    """

    def __init__(
        self,
        db: Database,
        backlog: Backlog,
        catalogue: Catalogue,
        on_commit: Callable[[Committed], None],
        linger_s: Callable[[], float] = lambda: 0.0,
    ):
        self._db = db
        self._backlog = backlog
        self._catalogue = catalogue
        self._on_commit = on_commit
        self._linger_s = linger_s
        self._thread = threading.Thread(target=self._work, name="runwire-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Wait until a closed backlog is empty and all of it is answered."""
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        linger_s = 0.0
        while group := self._backlog.take(GROUP_BYTES, GROUP_ENTRIES, linger_s):
            # Who sends one batch after the other would only wait: there is nobody to gather with.
            linger_s = self._linger_s() if len(group) > 1 else 0.0
            try:
                self._commit(group)
            except Exception as error:  # without this thread nothing would ever be stored again
                log.exception("a group of %d batches failed", len(group))
                _fail(group, error)
            finally:
                self._backlog.release(group)

    def _commit(self, group: list[Entry]) -> None:
        try:
            committed = retrying(lambda: self._transact(group))
        except (StorageUnavailable, Overloaded) as error:
            log.warning("%d batches were not stored: %s", len(group), error)
            _fail(group, error)
        except Exception as error:  # one batch may have done it: the others must not suffer
            if len(group) == 1:
                raise
            log.warning("%r in a group of %d batches: trying them singly", error, len(group))
            for entry in group:
                self._commit_alone(entry)
        else:
            self._on_commit(committed)
            _complete(group, committed.outcomes)

    def _commit_alone(self, entry: Entry) -> None:
        try:
            self._commit([entry])
        except Exception as error:  # whatever it is, it is this batch's own
            if not isinstance(error, ServiceError):
                log.exception("batch %d of writer %s failed", entry.sequence, entry.writer_id)
            _fail([entry], error)

    def _transact(self, group: Sequence[Entry]) -> Committed:
        with self._db.write_alone() as tx:
            transaction = Group(tx, self._catalogue, group)
            transaction.apply()
        return transaction.committed()


def _fail(group: Sequence[Entry], error: Exception) -> None:
    for entry in group:
        if not entry.future.done():
            entry.future.set_exception(error)


def _complete(group: Sequence[Entry], outcomes: Sequence[WriteAck | ServiceError]) -> None:
    for entry, outcome in zip(group, outcomes, strict=True):
        if isinstance(outcome, ServiceError):
            entry.future.set_exception(outcome)
        else:
            entry.future.set_result(outcome)
