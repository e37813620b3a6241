"""A background thread that keeps summaries fresh, so that a search rarely waits."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable

from runwire_server.errors import ServiceError
from runwire_server.metrics.pressure import Pressure
from runwire_server.metrics.summaries import Summaries

log = logging.getLogger("runwire.metrics")

# It may use this part of a core: the more there is to sum up, the longer it rests.
DUTY = 0.2
# And where more runs than this wait for it: each is then summed up less often, with more
# at once. A search does not wait for that, it sums up what it needs.
CROWD = 100
CROWDED_DUTY = 0.05


class Refresher:
    """Sums up runs that have been stale for ``delay_s``. It sleeps until there are any."""

    def __init__(self, summaries: Summaries, pressure: Pressure, delay_s: float):
        self._summaries, self._pressure = summaries, pressure
        self._delay_s = delay_s
        self._due: dict[str, float] = {}  # run id -> when to start, soonest first
        self._unfinished: deque[str] = deque()  # more than a chunk at once: when none is due
        self._closed = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="runwire-summaries", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Finish the chunk under way and stop. What stays stale is summed up when asked for."""
        with self._changed:
            self._closed.set()
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def note(self, run_ids: Iterable[str]) -> None:
        """These runs got points."""
        due = time.monotonic() + self._delay_s
        with self._changed:
            first = not self._due
            for run_id in run_ids:
                self._due.setdefault(run_id, due)
            if first:  # else it waits for one that is due sooner
                self._changed.notify()

    def _work(self) -> None:
        self._note_left_over()
        while (run_id := self._next()) is not None:
            started = time.monotonic()
            self._refresh(run_id)
            duty = DUTY if len(self._due) <= CROWD else CROWDED_DUTY
            self._closed.wait(self._pressure.rest_s(time.monotonic() - started, duty))

    def _note_left_over(self) -> None:
        """What a process before this one left stale."""
        try:
            self.note(self._summaries.stale())
        except Exception:  # a database away at the start must not end this thread
            log.exception("looking for stale summaries failed")

    def _next(self) -> str | None:
        """Wait for a run to be due; None: closed."""
        with self._changed:
            while not self._closed.is_set():
                run_id = next(iter(self._due), None)
                left = None if run_id is None else self._due[run_id] - time.monotonic()
                if run_id is not None and left is not None and left <= 0:
                    del self._due[run_id]
                    return run_id
                if self._unfinished:
                    return self._unfinished.popleft()
                self._changed.wait(left)
        return None

    def _refresh(self, run_id: str) -> None:
        try:
            if not self._summaries.advance(run_id):
                self._unfinished.append(run_id)
        except ServiceError as error:
            log.info("the summaries of run %s stay stale for now: %s", run_id, error)
            self.note([run_id])
        except Exception:  # one run's trouble must not end the thread for all
            log.exception("summing up run %s failed", run_id)
