"""Who folds a run: one server at a time, so that no work is done twice.

A lease is not what keeps folding correct (the compare-and-set on ``folded_arrival``
is). No clock is compared with another: the owner counts an epoch up with each sign of
life, and who has watched one epoch stand still for ``PATIENCE_S`` of its own time may
take the run over.
"""

from __future__ import annotations

import time
import uuid
from typing import Any, NamedTuple

import sqlalchemy as sa

from runwire_server.retry import retrying
from runwire_server.store.database import Database, Transaction
from runwire_server.store.tables import metric_folds

PATIENCE_S = 30.0


class LeaseLost(Exception):
    """Another server folds this run."""


class _Seen(NamedTuple):
    owner: str
    epoch: int
    since: float


class Leases:
    """The leases of one server."""

    def __init__(self, db: Database, patience_s: float = PATIENCE_S):
        self._db, self._patience_s = db, patience_s
        self._owner = uuid.uuid4().hex
        self._seen: dict[str, _Seen] = {}

    def take(self, run_id: str) -> bool:
        """Whether the run is ours to fold. A run that is ours already costs one read."""
        with self._db.read() as tx:
            row = self._row(tx, run_id)
        if row is not None and row.owner == self._owner:
            return True
        if row is not None and row.owner and not self._stands_still(run_id, row):
            return False
        return retrying(lambda: self._seize(run_id, 0 if row is None else row.epoch))

    def draw(self, tx: Transaction, run_id: str, count: int) -> int:
        """The first of so many block numbers, and a sign of life. Raises ``LeaseLost``."""
        table = metric_folds.c
        ours = (table.run_id == run_id, table.owner == self._owner)
        update = metric_folds.update().where(*ours)
        values = {"epoch": table.epoch + 1, "next_block": table.next_block + count}
        if tx.execute(update.values(**values)).rowcount != 1:
            raise LeaseLost
        after: int = tx.execute(sa.select(table.next_block).where(*ours)).scalar_one()
        return after - count

    def _seize(self, run_id: str, epoch: int) -> bool:
        with self._db.write() as tx:
            table = metric_folds.c
            insert = tx.insert(metric_folds).on_conflict_do_nothing().returning(table.run_id)
            fresh = {"run_id": run_id, "owner": self._owner, "epoch": 1, "next_block": 0}
            if tx.execute(insert, fresh).first() is not None:
                return True
            unmoved = (table.run_id == run_id, table.epoch == epoch)
            update = metric_folds.update().where(*unmoved)
            taken = tx.execute(update.values(owner=self._owner, epoch=epoch + 1))
            return bool(taken.rowcount == 1)

    def _stands_still(self, run_id: str, row: sa.Row[Any]) -> bool:
        seen, now = self._seen.get(run_id), time.monotonic()
        if seen is None or (seen.owner, seen.epoch) != (row.owner, row.epoch):
            self._seen[run_id] = _Seen(row.owner, row.epoch, now)
            return False
        if now - seen.since < self._patience_s:
            return False
        del self._seen[run_id]
        return True

    def _row(self, tx: Transaction, run_id: str) -> sa.Row[Any] | None:
        query = sa.select(metric_folds.c.owner, metric_folds.c.epoch)
        return tx.execute(query.where(metric_folds.c.run_id == run_id)).one_or_none()
