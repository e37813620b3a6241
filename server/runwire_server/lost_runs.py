"""Marks runs LOST whose jobs have fallen silent. Any number of servers may do it at once."""

from __future__ import annotations

import logging
import threading
import time
from typing import NamedTuple

from runwire_server.retry import retrying
from runwire_server.store import run
from runwire_server.store.database import Database

log = logging.getLogger("runwire.runs")

SWEEP_EVERY_S = 60.0


class _Heard(NamedTuple):
    heartbeat_time: int
    at_s: float  # when this heartbeat was first seen, by our own clock


class LostRuns:
    """A thread that looks for silent runs once a minute.

    Silent is a run whose heartbeat this process has seen unchanged for ``lost_after_s``
    seconds. Heartbeats are compared with one another only, never with our clock: a
    server whose clock is wrong loses nobody's run, and neither does one that was away.
    """

    def __init__(self, db: Database, lost_after_s: float):
        self._db = db
        self._lost_after_s = lost_after_s
        self._heard: dict[str, _Heard] = {}
        self._swept_s = 0.0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="runwire-lost-runs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        if self._thread.ident is not None:
            self._thread.join()

    def sweep(self, now_s: float) -> list[str]:
        """The runs that are LOST by this sweep. ``now_s`` is of a clock that never jumps."""
        if now_s - self._swept_s > 2 * SWEEP_EVERY_S:
            self._heard = {}  # we were away, or the database: nobody could be heard
        with self._db.read() as tx:
            found = run.heartbeats(tx)
        self._swept_s = now_s
        self._heard = {
            run_id: self._hear(run_id, heartbeat_time, now_s)
            for run_id, heartbeat_time in found.items()
        }
        silent = {
            run_id: heard.heartbeat_time
            for run_id, heard in self._heard.items()
            if now_s - heard.at_s >= self._lost_after_s
        }
        return retrying(lambda: self._lose(silent)) if silent else []

    def _hear(self, run_id: str, heartbeat_time: int, now_s: float) -> _Heard:
        heard = self._heard.get(run_id)
        if heard is not None and heard.heartbeat_time == heartbeat_time:
            return heard
        return _Heard(heartbeat_time, now_s)

    def _lose(self, silent: dict[str, int]) -> list[str]:
        with self._db.write() as tx:
            return run.lose(tx, silent)

    def _work(self) -> None:
        while not self._closed.wait(SWEEP_EVERY_S):
            try:
                for run_id in self.sweep(time.monotonic()):
                    log.warning("run %s is lost: nothing was heard of it", run_id)
            except Exception as error:  # a database that is away must not end this thread
                log.warning("looking for lost runs failed: %s", error)
