"""Bringing ``metric_summaries`` up to date with the frames that were acknowledged.

Done when somebody asks (a search, a list of series), and shortly after points came
in the background. Frames are read and added up outside of any lock; only storing
the result takes the run's lock, and it is stored only if nobody else summed up the
same frames meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from itertools import repeat
from typing import Any

import numpy as np
import sqlalchemy as sa

from runwire_server.metrics import frames, tally
from runwire_server.metrics.alone import Alone
from runwire_server.metrics.outstanding import chunk_end, decoded, read_frames
from runwire_server.metrics.tally import Tally
from runwire_server.retry import TransactionConflict, retrying
from runwire_server.store import run_change
from runwire_server.store.database import Database, Transaction
from runwire_server.store.tables import metric_summaries, runs

_IN = 1000

_VALUES = (
    "points", "non_finite", "first_step", "last_step", "last_time", "time_min", "time_max",
    "last", "min", "max", "sum", "mean",
)  # fmt: skip
_COLUMNS = ("experiment_id", "key_id", "run_id", *_VALUES)
_Row = tuple[Any, ...]

# In the words of the index ix_runs_stale, or SQLite would look at every run.
_STALE = sa.text("runs.summaries_stale")
_RUN = sa.select(runs.c.experiment_id, runs.c.summarized_arrival, runs.c.last_arrival)


class Summaries:
    """Safe for threads; threads that ask for the same run wait for one another."""

    def __init__(self, db: Database):
        self._db = db
        self._alone = Alone()

    def stale(
        self,
        run_ids: Collection[str] | None = None,
        experiment_ids: Collection[int] | None = None,
    ) -> list[str]:
        """The runs in scope whose summaries lack acknowledged points."""
        query = sa.select(runs.c.run_id).where(_STALE)
        if experiment_ids is not None:
            query = query.where(runs.c.experiment_id.in_(list(experiment_ids)))
        with self._db.read() as tx:
            if run_ids is None:
                return list(tx.execute(query).scalars())
            wanted = list(run_ids)
            found: list[str] = []
            for start in range(0, len(wanted), _IN):
                part = query.where(runs.c.run_id.in_(wanted[start : start + _IN]))
                found += tx.execute(part).scalars()
            return found

    def refresh(
        self,
        run_ids: Collection[str] | None = None,
        experiment_ids: Collection[int] | None = None,
    ) -> None:
        """Sum up what was acknowledged before the call, for the stale runs in scope."""
        for run_id in self.stale(run_ids, experiment_ids):
            self.refresh_run(run_id)

    def refresh_run(self, run_id: str) -> None:
        while not self.advance(run_id):
            pass

    def advance(self, run_id: str) -> bool:
        """Sum up one chunk of a run. True: there was nothing more when it was read."""
        with self._alone(run_id):
            return retrying(lambda: self._step(run_id))

    def _step(self, run_id: str) -> bool:
        with self._db.read() as tx:
            run = tx.execute(_RUN.where(runs.c.run_id == run_id)).one_or_none()
            if run is None or run.summarized_arrival == run.last_arrival:
                return True
            after = run.summarized_arrival
            until = chunk_end(tx, run_id, after, run.last_arrival)
            found = tally.tally(decoded(read_frames(tx, run_id, after, until)))
            merged = tally.merge([_stored(tx, run_id, found.key_ids), found])
        rows = _rows(run.experiment_id, run_id, merged)
        with self._db.write_alone() as tx:
            _store(tx, run_id, rows, after, until)
        return bool(until == run.last_arrival)


def _store(tx: Transaction, run_id: str, rows: list[_Row], after: int, until: int) -> None:
    """Store what was there for ``after`` with the frames up to ``until``. Whoever logs waits
    for this transaction: all that could be done before it was."""
    run = tx.execute(tx.locked(_RUN.where(runs.c.run_id == run_id))).one_or_none()
    if run is None:
        return
    if run.summarized_arrival != after:
        raise TransactionConflict(what="another server sums up the same metrics")
    if rows:
        tx.execute_many(_upsert(tx.insert), _COLUMNS, rows)
    stale = until < run.last_arrival
    update = runs.update().where(runs.c.run_id == run_id)
    # Those who watch are told of metrics when these are summed up: once in some seconds.
    changed = run_change.draw(tx, run_id)
    tx.execute(update.values(summarized_arrival=until, summaries_stale=stale, **changed))


def _stored(tx: Transaction, run_id: str, key_ids: frames.Ints) -> Tally:
    """The summaries there are for these keys, older than whatever is merged into them."""
    table = metric_summaries.c
    columns = [table.key_id, *(table[name] for name in _VALUES[:-1])]
    query = sa.select(*columns).where(table.run_id == run_id)
    rows = tx.execute(query.where(tx.among(table.key_id, key_ids.tolist()))).all()
    if not rows:
        return tally.EMPTY
    key, points, non_finite, first, step, time, early, late, last, low, high, total = zip(
        *rows, strict=True
    )
    return Tally(
        _ints(key), _ints(points), _ints(non_finite), _ints(first), _ints(step), _ints(time),
        _ints(early), _ints(late), np.full(len(rows), -1), _floats(last, np.nan),
        _floats(low, np.inf), _floats(high, -np.inf), _floats(total, 0.0),
    )  # fmt: skip


def _ints(column: Any) -> frames.Ints:
    return np.array(column, frames.INT)


def _floats(column: Any, null: float) -> frames.Floats:
    """A column from the database, where NULL stands for ``null``."""
    array = np.array(column, frames.FLOAT)  # None becomes NaN
    array[np.isnan(array)] = null
    return array


def _rows(experiment_id: int, run_id: str, lines: Tally) -> list[_Row]:
    finite = lines.points > lines.non_finite
    return list(
        zip(
            repeat(experiment_id),
            lines.key_ids.tolist(),
            repeat(run_id),
            lines.points.tolist(),
            lines.non_finite.tolist(),
            lines.first_step.tolist(),
            lines.last_step.tolist(),
            lines.last_time.tolist(),
            lines.time_min.tolist(),
            lines.time_max.tolist(),
            _nullable(lines.last, ~np.isnan(lines.last)),
            _nullable(lines.minimum, finite),
            _nullable(lines.maximum, finite),
            lines.total.tolist(),
            _nullable(lines.mean, finite),
            strict=False,  # the run is the same in all rows
        )
    )


@cache  # to put it together takes longer than the rows of a small run
def _upsert(insert_into: Callable[[sa.Table], Any]) -> sa.Insert:
    insert = insert_into(metric_summaries)
    upsert: sa.Insert = insert.on_conflict_do_update(
        index_elements=[metric_summaries.c[name] for name in _COLUMNS[:3]],
        set_={name: insert.excluded[name] for name in _VALUES},
    )
    return upsert


def _nullable(column: frames.Floats, present: Any) -> list[float | None]:
    objects = column.astype(object)
    objects[~present] = None
    return list(objects)
