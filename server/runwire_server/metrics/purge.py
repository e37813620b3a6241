"""Removing the metrics of a run for good, in transactions of bounded size."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from runwire_server.metrics import block_store
from runwire_server.retry import retrying
from runwire_server.store.database import Database, Transaction
from runwire_server.store.tables import (
    metric_folds,
    metric_frames,
    metric_key_sets,
    metric_summaries,
    metric_writers,
)

# What one transaction removes at the most: some 100 MiB of blocks, 16 MiB of frames.
_BLOCKS, _FRAMES, _SUMMARIES = 64, 32, 20_000


def purge_metrics(db: Database, run_id: str) -> None:
    """Remove frames, blocks, summaries and writers. The run must be closed to writers
    (its row says that it is purged). Killed in the middle, it can be called again."""
    steps: list[Callable[[Transaction], bool]] = [
        lambda tx: _some_blocks(tx, run_id),
        lambda tx: _some(tx, metric_frames.c.arrival, run_id, _FRAMES),
        lambda tx: _some(tx, metric_summaries.c.key_id, run_id, _SUMMARIES),
        lambda tx: _rest(tx, run_id),
    ]
    for step in steps:
        while not retrying(lambda step=step: _in_transaction(db, step)):  # type: ignore[misc]
            pass


def _in_transaction(db: Database, step: Callable[[Transaction], bool]) -> bool:
    with db.write_alone() as tx:
        return step(tx)


def _some_blocks(tx: Transaction, run_id: str) -> bool:
    found = block_store.listed(tx, run_id, limit=_BLOCKS)
    by_set: dict[int, list[int]] = {}
    for row in found:
        by_set.setdefault(row.set_id, []).append(row.block_no)
    block_store.delete(tx, run_id, sorted(by_set.items()))
    return len(found) < _BLOCKS


def _some(tx: Transaction, key: sa.Column[int], run_id: str, count: int) -> bool:
    """Remove a run's first rows in the order of a key; True: there are no more."""
    of_run = key.table.c.run_id == run_id
    following = sa.select(key).where(of_run).order_by(key).offset(count).limit(1)
    end = tx.execute(following).scalar()
    tx.execute(sa.delete(key.table).where(of_run, sa.true() if end is None else key < end))
    return end is None


def _rest(tx: Transaction, run_id: str) -> bool:
    for table in (metric_key_sets, metric_writers, metric_folds):
        tx.execute(sa.delete(table).where(table.c.run_id == run_id))
    return True
