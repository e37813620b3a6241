"""Which keys exist, and how many series each run has."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from runwire.v1.common_pb2 import Fault

from runwire_server.errors import Quota
from runwire_server.limits import LIMITS
from runwire_server.metrics.columns import Columns, collision
from runwire_server.metrics.frames import INT, Ints
from runwire_server.store.database import Transaction
from runwire_server.store.tables import metric_keys, metric_summaries

_NONE = np.empty(0, INT)


@dataclass(frozen=True, slots=True)
class RunSeries:
    """What is known of the series of one run."""

    stored: int  # summaries that were stored when the run was first seen here
    seen: Ints  # key ids met since, sorted

    @property
    def at_most(self) -> int:
        # A series can be among both.
        return self.stored + len(self.seen)


class Catalogue:
    """What this process knows of the runs it writes; used by the committing thread only."""

    def __init__(self, max_series: int = LIMITS.max_series_per_run, max_runs: int = 4096):
        self.max_series = max_series
        self._max_runs = max_runs
        self._runs: OrderedDict[str, RunSeries] = OrderedDict()

    def run(self, tx: Transaction, run_id: str) -> RunSeries:
        known = self._runs.get(run_id)
        if known is None:
            query = sa.select(sa.func.count()).where(metric_summaries.c.run_id == run_id)
            known = RunSeries(tx.execute(query).scalar_one(), _NONE)
        return known

    def learn(self, runs: dict[str, RunSeries]) -> None:
        """A transaction that was counted on these has been committed."""
        for run_id, known in runs.items():
            self._runs[run_id] = known
            self._runs.move_to_end(run_id)
        while len(self._runs) > self._max_runs:
            self._runs.popitem(last=False)


class Admission:
    """Lets new column sets into one transaction; ``commit`` once that is committed.

    The series limit holds exactly for one server. Several servers that write to one
    run each count what they saw themselves, so that it may be passed by a factor.
    """

    def __init__(self, tx: Transaction, catalogue: Catalogue):
        self._tx = tx
        self._catalogue = catalogue
        self._runs: dict[str, RunSeries] = {}
        self._admitted: list[Columns] = []

    def admit(self, wanted: dict[Columns, str]) -> dict[Columns, dict[int, Fault]]:
        """Register the keys of column sets (of their runs); which keys are refused, and why."""
        refused = {columns: self._over_limit(run_id, columns) for columns, run_id in wanted.items()}
        names: dict[int, str] = {}
        for columns, faults in refused.items():
            for key, name in zip(columns.key_ids.tolist(), columns.names, strict=True):
                if key not in faults:
                    names.setdefault(key, name)
        stored = self._register(names)
        for columns, faults in refused.items():
            for key, name in zip(columns.key_ids.tolist(), columns.names, strict=True):
                if key not in faults and stored[key] != name:
                    faults[key] = collision(name).fault()
            if not faults:
                self._admitted.append(columns)
        return refused

    def commit(self) -> None:
        self._catalogue.learn(self._runs)
        for columns in self._admitted:
            columns.admitted = True

    def _over_limit(self, run_id: str, columns: Columns) -> dict[int, Fault]:
        limit = self._catalogue.max_series
        known = self._runs.get(run_id) or self._catalogue.run(self._tx, run_id)
        new = columns.key_ids[~np.isin(columns.key_ids, known.seen)]
        if known.stored and known.at_most + len(new) > limit:
            known = RunSeries(0, np.union1d(known.seen, self._stored_series(run_id)))
            new = new[~np.isin(new, known.seen)]
        room = max(0, limit - known.at_most)
        if len(new):
            known = RunSeries(known.stored, np.union1d(known.seen, new[:room]))
        self._runs[run_id] = known
        fault = Quota("max_series_per_run", limit).fault()
        return dict.fromkeys(new[room:].tolist(), fault)

    def _stored_series(self, run_id: str) -> Ints:
        query = sa.select(metric_summaries.c.key_id).where(metric_summaries.c.run_id == run_id)
        return np.array(self._tx.execute(query).scalars().all(), INT)

    def _register(self, names: dict[int, str]) -> dict[int, str]:
        """Make sure that the keys are in metric_keys; the names that are stored there.

        Another transaction may add the same keys: each inserts in the order of the
        key, so that none waits in a circle, and looks who was first where it was not alone.
        """
        stored = self._stored_names(list(names))
        missing = sorted(names.keys() - stored.keys())
        if missing:
            insert = self._tx.insert(metric_keys).on_conflict_do_nothing()
            rows = [(key, names[key]) for key in missing]
            added = self._tx.execute_many(insert, ("key_id", "name"), rows)
            stored |= dict(rows) if added == len(rows) else self._stored_names(missing)
        return stored

    def _stored_names(self, key_ids: list[int]) -> dict[int, str]:
        query = sa.select(metric_keys.c.key_id, metric_keys.c.name)
        return dict(self._tx.tuples(query.where(self._tx.among(metric_keys.c.key_id, key_ids))))
