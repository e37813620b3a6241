"""Runs out of the trash, for good."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from runwire_server.store import run_row
from runwire_server.store.artifact import run_owner
from runwire_server.store.database import Transaction
from runwire_server.store.tables import artifacts, run_inputs, run_params, run_tags, runs


def purgeable(tx: Transaction, before: int, after: str, limit: int) -> Sequence[str]:
    """Runs behind ``after`` that were deleted before (µs), in the order of their ids."""
    query = (
        sa.select(runs.c.run_id)
        .where(runs.c.run_id > after, runs.c.delete_time <= before)
        .order_by(runs.c.run_id)
        .limit(limit)
    )
    return tx.execute(query).scalars().all()


def begin(tx: Transaction, run_id: str, before: int) -> bool:
    """Remove all of a run but its row, its metrics, and the bytes of its artifacts. False:
    it was restored meanwhile. Raises ``NotFound``."""
    row = run_row.locked(tx, run_id)
    if row.delete_time is None or row.delete_time > before:
        return False
    for table in (run_params, run_tags, run_inputs):
        tx.execute(sa.delete(table).where(table.c.run_id == run_id))
    tx.execute(sa.delete(artifacts).where(artifacts.c.owner == run_owner(run_id)))
    run_row.change(tx, row, delete_time=run_row.PURGED)
    return True


def finish(tx: Transaction, run_id: str) -> None:
    """Remove the row: the last step."""
    tx.execute(sa.delete(runs).where(runs.c.run_id == run_id))
