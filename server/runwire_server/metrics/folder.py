"""A background thread that folds what has come in, and later removes what was folded."""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from runwire_server.errors import ServiceError
from runwire_server.metrics.agenda import IDLE_S, SWEEP_S, Act, Agenda, Task
from runwire_server.metrics.alone import Alone
from runwire_server.metrics.fold import Fold
from runwire_server.metrics.lease import PATIENCE_S, LeaseLost, Leases
from runwire_server.metrics.pressure import Pressure
from runwire_server.metrics.summaries import Summaries
from runwire_server.metrics.trim import KEEP_S, trim_frames
from runwire_server.store.database import Database
from runwire_server.store.tables import metric_frames, runs

log = logging.getLogger("runwire.metrics")

# It may use this part of a core: the more there is to fold, the longer it rests.
DUTY = 0.4
_PAGE = 500


# One run folds for so long before others get their turn; and so long while much comes in.
SHARE_S, SMALL_SHARE_S = 2.0, 0.2


class Outcome(enum.Enum):
    DONE = enum.auto()
    MORE = enum.auto()  # the time was up
    BUSY = enum.auto()  # another server folds this run


class Folder:
    """Folds the runs it is told of. ``idle_s`` and ``keep_s``: see ``IDLE_S``, ``KEEP_S``."""

    def __init__(
        self,
        db: Database,
        summaries: Summaries,
        pressure: Pressure,
        *,
        idle_s: float = IDLE_S,
        keep_s: float = KEEP_S,
    ):
        self._db, self._summaries, self._pressure = db, summaries, pressure
        self._keep_s = keep_s
        self._leases = Leases(db)
        self._fold = Fold(db, self._leases)
        self._alone = Alone()
        self._agenda = Agenda(idle_s)
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="runwire-folder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Finish the step under way and stop. What is left is folded another time."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def note(self, got: Mapping[str, int]) -> None:
        """Runs got frames of so many bytes."""
        now = time.monotonic()
        with self._changed:
            earlier = [self._agenda.note(run_id, size, now) for run_id, size in got.items()]
            if any(earlier):
                self._changed.notify()

    def compact(self, run_id: str, budget_s: float) -> Outcome:
        """Fold a run to the end and remove what is folded, for about so long."""
        deadline = time.monotonic() + budget_s
        outcome = self._fold_until(run_id, deadline, thorough=True)
        while outcome is Outcome.DONE and not trim_frames(self._db, run_id, 0.0):
            if time.monotonic() >= deadline:
                outcome = Outcome.MORE
        return outcome

    def _fold_until(self, run_id: str, deadline: float, *, thorough: bool) -> Outcome:
        while not self._summaries.advance(run_id):
            if self._closed or time.monotonic() >= deadline:
                return Outcome.MORE
        try:
            with self._alone(run_id):
                if not self._leases.take(run_id):
                    return Outcome.BUSY
                while not self._fold.step(run_id, thorough=thorough):
                    if self._closed or time.monotonic() >= deadline:
                        return Outcome.MORE
        except LeaseLost:
            return Outcome.BUSY
        return Outcome.DONE

    def _work(self) -> None:
        while (task := self._next()) is not None:
            started = time.monotonic()
            try:
                self._do(task)
            except ServiceError as error:
                log.info("%s of run %r is put off: %s", task.act, task.run_id, error)
                self._put(task, PATIENCE_S)
            except Exception:  # one run's trouble must not end the thread for all
                log.exception("%s of run %r failed", task.act, task.run_id)
            self._rest(self._pressure.rest_s(time.monotonic() - started, DUTY))

    def _next(self) -> Task | None:
        """Wait for something to be due; None: closed."""
        with self._changed:
            while not self._closed:
                task, wait_s = self._agenda.next(time.monotonic())
                if task is not None:
                    return task
                self._changed.wait(wait_s)
        return None

    def _do(self, task: Task) -> None:
        if task.act is Act.SWEEP:
            self._sweep()
        elif task.act is Act.TRIM:
            if not trim_frames(self._db, task.run_id, self._keep_s):
                self._put(task, 0.0)
        else:
            self._fold_some(task)

    def _fold_some(self, task: Task) -> None:
        share_s = SMALL_SHARE_S if self._pressure.is_high else SHARE_S
        deadline = time.monotonic() + share_s
        outcome = self._fold_until(task.run_id, deadline, thorough=task.act is Act.SETTLE)
        if outcome is Outcome.DONE:
            self._put(Task(Act.TRIM, task.run_id), self._keep_s)
        else:
            self._put(task, PATIENCE_S if outcome is Outcome.BUSY else 0.0)

    def _put(self, task: Task, in_s: float) -> None:
        with self._changed:
            self._agenda.put(task, time.monotonic() + in_s)

    def _sweep(self) -> None:
        """Note what nobody folds or removes any more."""
        for run in self._with_frames():
            if run.last_arrival > run.folded_arrival + 1:
                self._put(Task(Act.SETTLE, run.run_id), 0.0)
            elif run.folded_arrival:
                self._put(Task(Act.TRIM, run.run_id), 0.0)
        self._put(Task(Act.SWEEP), SWEEP_S)

    def _with_frames(self) -> Iterator[sa.Row[Any]]:
        """Runs that have frames, in pages: a probe of the key for each."""
        after = ""
        while not self._closed:
            frames = sa.exists().where(metric_frames.c.run_id == runs.c.run_id)
            query = (
                sa.select(runs.c.run_id, runs.c.last_arrival, runs.c.folded_arrival)
                .where(runs.c.run_id > after, runs.c.last_arrival > 0, frames)
                .order_by(runs.c.run_id)
                .limit(_PAGE)
            )
            with self._db.read() as tx:
                found = tx.execute(query).all()
            yield from found
            if len(found) < _PAGE:
                return
            after = found[-1].run_id

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)
