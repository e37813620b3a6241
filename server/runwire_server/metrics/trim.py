"""Removing frames that are folded, some minutes later and a few at a time.

Until then they serve tails, and are what is left should a fault be found in blocks.
"""

from __future__ import annotations

import sqlalchemy as sa

from runwire_server.retry import retrying
from runwire_server.store.database import Database, Transaction
from runwire_server.store.tables import metric_frames, runs

KEEP_S = 600.0
# Frames of one transaction: 16 MiB at the most.
BATCH = 32


def trim_frames(db: Database, run_id: str, keep_s: float = KEEP_S) -> bool:
    """Remove some folded frames that were received so long ago; True: there are no more."""
    return retrying(lambda: _trim(db, run_id, keep_s))


def _trim(db: Database, run_id: str, keep_s: float) -> bool:
    with db.read() as tx:
        old = _old(tx, run_id, tx.now - int(keep_s * 1e6))
    if old:
        table = metric_frames.c
        with db.write_alone() as tx:
            gone = (table.run_id == run_id, table.arrival.in_(old))
            tx.execute(sa.delete(metric_frames).where(*gone))
    return len(old) < BATCH


def _old(tx: Transaction, run_id: str, before: int) -> list[int]:
    folded = sa.select(runs.c.folded_arrival).where(runs.c.run_id == run_id).scalar_subquery()
    table = metric_frames.c
    query = (
        sa.select(table.arrival)
        .where(
            table.run_id == run_id,
            table.arrival <= folded,
            table.receive_time <= before,
            sa.not_(table.damaged),
        )
        .order_by(table.arrival)
        .limit(BATCH)
    )
    return list(tx.execute(query).scalars())
