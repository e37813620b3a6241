"""``runwire gc``: what is in the trash for long enough is removed, and its space given back.

Safe beside servers and beside itself: each step is a transaction of its own, and a run
that is being purged can be neither written, read nor restored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from runwire_server.errors import NotFound
from runwire_server.metrics.purge import purge_metrics
from runwire_server.retry import retrying
from runwire_server.store import run_purge
from runwire_server.store.database import Database, Transaction
from runwire_server.store.scan import scan


def collect(
    db: Database,
    older_than_s: float,
    *,
    dry_run: bool = False,
    on_run: Callable[[str], None] = lambda run_id: None,
) -> int:
    """Purge runs that were deleted so long ago; how many. ``on_run`` hears of each."""
    before = int((time.time() - older_than_s) * 1e6)
    count = 0
    for run_id in _found(db, before):
        if dry_run or _purge(db, run_id, before):
            count += 1
            on_run(run_id)
    if not dry_run:
        db.reclaim()  # what folding has left, too
    return count


def _found(db: Database, before: int) -> Iterator[str]:
    def query(tx: Transaction, after: str, limit: int) -> Sequence[str]:
        return run_purge.purgeable(tx, before, after, limit)

    return scan(db, query, "")


def _purge(db: Database, run_id: str, before: int) -> bool:
    try:
        if not retrying(lambda: _begin(db, run_id, before)):
            return False
    except NotFound:  # another gc was quicker
        return False
    purge_metrics(db, run_id)
    with db.write_alone() as tx:
        run_purge.finish(tx, run_id)
    return True


def _begin(db: Database, run_id: str, before: int) -> bool:
    with db.write_alone() as tx:
        return run_purge.begin(tx, run_id, before)
