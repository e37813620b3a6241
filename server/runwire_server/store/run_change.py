"""Revisions of runs, so that whoever watches finds what has changed.

Runs are spread over shards. A change draws the next revision of its run's shard, under the
lock of the shard's row and in the transaction of the change, so that revisions become
visible in order: who has seen revision N of a shard has seen every change up to N. A run
keeps the revision of its last change, so changes in quick succession are one.

Order of locks: rows of ``runs``, then shards in ascending order, and nothing after them.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable

import sqlalchemy as sa

from runwire_server.store.database import Transaction
from runwire_server.store.tables import run_revisions, runs

# So many changes can commit at the same time, if they are of other shards.
SHARDS = 64

# Made once: to put it together would take as long as to run it.
_NEXT = (
    run_revisions.update()
    .where(run_revisions.c.shard == sa.bindparam("of_shard"))
    .values(revision=run_revisions.c.revision + sa.bindparam("count", type_=sa.BigInteger()))
    .returning(run_revisions.c.revision)
)
_STAMP = (
    runs.update()
    .where(runs.c.run_id == sa.bindparam("of_run"))
    .values(change_shard=sa.bindparam("shard"), change_revision=sa.bindparam("drawn"))
)


def shard_of(run_id: str) -> int:
    return zlib.crc32(run_id.encode()) % SHARDS


def draw(tx: Transaction, run_id: str) -> dict[str, int]:
    """The columns that say that the run has changed. The last lock of a transaction that
    changes one run; others use ``note``."""
    shard = shard_of(run_id)
    return {"change_shard": shard, "change_revision": _draw(tx, shard, 1)}


def note(tx: Transaction, run_id: str) -> None:
    """The run has changed: a revision is drawn when the transaction is about to commit."""
    tx.at_end(_stamp, run_id)


def revisions(tx: Transaction) -> dict[int, int]:
    """The newest of each shard that has any."""
    return {row.shard: row.revision for row in tx.execute(sa.select(run_revisions))}


def _stamp(tx: Transaction, run_ids: Collection[str]) -> None:
    by_shard: dict[int, list[str]] = {}
    for run_id in run_ids:
        by_shard.setdefault(shard_of(run_id), []).append(run_id)
    rows = [row for shard, some in sorted(by_shard.items()) for row in _drawn(tx, shard, some)]
    tx.execute(_STAMP, rows)


def _drawn(tx: Transaction, shard: int, run_ids: Collection[str]) -> Iterable[dict[str, object]]:
    last = _draw(tx, shard, len(run_ids))
    for revision, run_id in enumerate(sorted(run_ids), last - len(run_ids) + 1):
        yield {"of_run": run_id, "shard": shard, "drawn": revision}


def _draw(tx: Transaction, shard: int, count: int) -> int:
    """The last of so many revisions of the shard; its row stays locked until commit."""
    drawn = tx.execute(_NEXT, {"of_shard": shard, "count": count}).scalar()
    if drawn is None:  # the first change of all in this shard
        tx.execute(
            tx.insert(run_revisions).values(shard=shard, revision=0).on_conflict_do_nothing()
        )
        drawn = tx.execute(_NEXT, {"of_shard": shard, "count": count}).scalar_one()
    return int(drawn)
