"""Folding: frames become blocks, once, whoever does it and whenever it is killed.

A step reads frames and blocks and encodes outside of any lock. What it made goes in with
one transaction, which moves the run's ``folded_arrival`` on: readers take frames behind
it and blocks for the rest. Frames are folded only once they are in the summaries.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import sqlalchemy as sa

from runwire_server.metrics import block_store, rows
from runwire_server.metrics.assembly import Assembly
from runwire_server.metrics.frames import FrameDamaged
from runwire_server.metrics.lease import Leases
from runwire_server.metrics.outstanding import Stored, chunk_end, read_frames
from runwire_server.metrics.rows import Rows
from runwire_server.retry import TransactionConflict, retrying
from runwire_server.store.database import Database, Transaction
from runwire_server.store.tables import metric_frames, runs

log = logging.getLogger("runwire.metrics")

_RUN = sa.select(runs.c.folded_arrival, runs.c.summarized_arrival)


class Fold:
    """Folds runs for one owner of leases. Safe for threads that fold different runs."""

    def __init__(self, db: Database, leases: Leases):
        self._db, self._leases = db, leases

    def step(self, run_id: str, *, thorough: bool = False) -> bool:
        """Fold the next frames of a run, about 32 MiB; True: there were no more.

        ``thorough``: the run is over or idle, merge its small blocks. Raises
        ``LeaseLost`` where another owner folds it.
        """
        return retrying(lambda: self._step(run_id, thorough))

    def _step(self, run_id: str, thorough: bool) -> bool:
        with self._db.read() as tx:
            run = tx.execute(_RUN.where(runs.c.run_id == run_id)).one_or_none()
            if run is None:
                return True
            after, last = run.folded_arrival, run.summarized_arrival
            until = chunk_end(tx, run_id, after, last)
            made = Assembly(tx, run_id, thorough=thorough and until == last)
            damaged: list[int] = []
            made.add(_readable(read_frames(tx, run_id, after, until), damaged))
        for error in made.damaged:
            log.error("%s; it is left as it is", error)
        if until > after or made.made:
            with self._db.write_alone() as tx:
                self._store(tx, run_id, (after, until), made, damaged)
        return bool(until == last and (made.complete or not made.made))

    def _store(
        self,
        tx: Transaction,
        run_id: str,
        folded: tuple[int, int],
        made: Assembly,
        damaged: list[int],
    ) -> None:
        after, until = folded
        run = tx.execute(tx.locked(_RUN.where(runs.c.run_id == run_id))).one_or_none()
        if run is None:
            return
        if run.folded_arrival != after:
            raise TransactionConflict(what="another server folded the same metrics")
        first_no = self._leases.draw(tx, run_id, len(made.made))
        block_store.delete(tx, run_id, sorted(made.replaced.items()))
        block_store.add_key_sets(tx, run_id, made.new_sets)
        block_store.insert(tx, first_no, made.made)
        if damaged:
            of_run = metric_frames.c.run_id == run_id
            among = metric_frames.c.arrival.in_(damaged)
            tx.execute(metric_frames.update().where(of_run, among).values(damaged=True))
        tx.execute(runs.update().where(runs.c.run_id == run_id).values(folded_arrival=until))


def _readable(stored: Iterator[Stored], damaged: list[int]) -> Iterator[Rows]:
    for one in stored:
        try:
            found = one.decode()
        except FrameDamaged as error:
            log.error("%s; it is kept as it is", error)
            damaged.append(one.arrival)
            continue
        for frame, place in found:
            yield rows.of_frame(frame, place)
