"""Rows of runs: how they are found, locked and changed."""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa

from runwire_server.errors import Deleted, NotFound
from runwire_server.store import run_change
from runwire_server.store.check import check_run_id
from runwire_server.store.database import Transaction
from runwire_server.store.tables import experiments, runs

RunRow: TypeAlias = sa.Row[Any]

# The delete_time of a run that is being purged: it cannot be restored any more.
PURGED = 0

# Made once: to put them together would take as long as to run them.
_BY_ID = sa.select(runs).where(runs.c.run_id == sa.bindparam("of_run"))
_LOCKED = _BY_ID.with_for_update()  # which says nothing on SQLite: it locks the whole file
_IS_DELETED = sa.select(experiments.c.delete_time.is_not(None)).where(
    experiments.c.experiment_id == sa.bindparam("of_experiment")
)


def lookup(tx: Transaction, run_id: str) -> RunRow | None:
    """In the trash or not; None where there is no such run."""
    check_run_id("run_id", run_id)
    return tx.execute(_BY_ID, {"of_run": run_id}).one_or_none()


def find(tx: Transaction, run_id: str) -> RunRow:
    """In the trash or not. Raises ``NotFound``, ``FieldInvalid`` (run_id)."""
    return _one(tx, run_id, _BY_ID)


def locked(tx: Transaction, run_id: str) -> RunRow:
    """As ``find``, and nobody else changes the run until this transaction ends."""
    return _one(tx, run_id, _LOCKED)


def locked_live(tx: Transaction, run_id: str) -> RunRow:
    """As ``locked``, for a write. Raises ``Deleted`` where it or its experiment is."""
    row = locked(tx, run_id)
    if row.delete_time is not None:
        raise Deleted("run", run_id)
    if tx.execute(_IS_DELETED, {"of_experiment": row.experiment_id}).scalar():
        raise Deleted("experiment", row.experiment_id)
    return row


def change(tx: Transaction, row: RunRow, **values: Any) -> None:
    """Update a row that this transaction has locked, and draw its next revision. Watchers of
    runs are told."""
    run_change.note(tx, row.run_id)
    tx.execute(
        sa.update(runs)
        .where(runs.c.run_id == row.run_id)
        .values(**values, revision=row.revision + 1)
    )


def _one(tx: Transaction, run_id: str, query: sa.Select[Any]) -> RunRow:
    check_run_id("run_id", run_id)
    row = tx.execute(query, {"of_run": run_id}).one_or_none()
    if row is None:
        raise NotFound("run", run_id)
    return row
