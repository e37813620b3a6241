"""Upload the files that a run logged, beside its batches."""

from __future__ import annotations

import threading
import time
import traceback
from pathlib import Path
from typing import Any

from runwire._errors import RunwireError
from runwire._uploader_delivery import MAX_FAULTS, Delivery, pause_s
from runwire._uploader_link import Link, is_away, is_passing
from runwire._uploader_outbox import Outbox
from runwire._uploader_report import Report

WORKERS = 2
# Of a file that its owner took away, or that we may not read: it will not come back.
_LOST = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
# The server takes nothing from us for now: the run's metrics will not fare better.
_BARRED = {"UNAUTHENTICATED", "PERMISSION_DENIED"}


class ArtifactDelivery:
    """Worker threads over the ``artifacts`` of all outboxes.

    A file goes up once the server knows the run, and its finish waits for it. The spool
    file is removed after the commit, so a missing one was committed by an earlier uploader.
    Of the files that wait for one path only the last goes up, alone: what is logged again
    and again (a table that grows) ends as it was logged last.
    """

    def __init__(self, delivery: Delivery, link: Link, directory: Path, report: Report):
        self._delivery, self._link, self._report = delivery, link, report
        self._spool = directory / "artifacts"
        self._taken: set[tuple[int, int]] = set()  # (run, position) under way
        self._failures: dict[tuple[int, int], int] = {}
        self._faults: dict[tuple[int, int], int] = {}  # those among them that may be for good
        self._ready_at: dict[tuple[int, int], float] = {}
        self._stopped = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for number in range(WORKERS):
            thread = threading.Thread(
                target=self._work, name=f"runwire-artifacts-{number}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        with self._delivery.changed:
            self._stopped = True
            self._delivery.changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (work := self._take()) is not None:
            outbox, position, payload = work
            key = (outbox.run, position)
            done = [position]
            try:
                done = self._put(outbox, position, payload)
            except RunwireError as error:
                done = done if self._failed(outbox, payload, key, error) else []
            except Exception as error:  # a file that cannot be read must not stop the others
                done = done if self._broke(outbox, payload, key, error) else []
            with self._delivery.changed:
                self._taken.discard(key)
                for one in done:
                    outbox.artifact_done(payload["path"], one)
                    for known in (self._failures, self._faults, self._ready_at):
                        known.pop((outbox.run, one), None)
                self._delivery.changed.notify_all()

    def _take(self) -> tuple[Outbox, int, dict[str, Any]] | None:
        changed = self._delivery.changed
        with changed:
            while not self._stopped:
                now = time.monotonic()
                if now >= self._delivery.contact.next_try:
                    for outbox in self._delivery.outboxes.values():
                        if not outbox.opened or outbox.refused:
                            continue
                        found = self._first_ready(outbox, now)
                        if found is not None:
                            self._taken.add((outbox.run, found))
                            return outbox, found, outbox.artifacts[found]
                changed.wait(1.0)
            return None

    def _first_ready(self, outbox: Outbox, now: float) -> int | None:
        """The last file for the first path that none is under way for."""
        taken = {position for run, position in self._taken if run == outbox.run}
        for payload in outbox.artifacts.values():
            positions = outbox.paths[payload["path"]]
            is_ready = now >= self._ready_at.get((outbox.run, positions[-1]), 0.0)
            if is_ready and taken.isdisjoint(positions):
                return positions[-1]
        return None

    def _put(self, outbox: Outbox, position: int, payload: dict[str, Any]) -> list[int]:
        """Returns the positions of what needs not be sent any more."""
        with self._delivery.changed:
            replaced = outbox.replaced(payload["path"], position)
            files = [*(outbox.artifacts[one] for one in replaced), payload]
        spooled = payload.get("spooled")
        local = self._spool / spooled if spooled else Path(payload["file"])
        if local.exists() or not spooled:
            self._link.put_artifact(outbox.run_id, local, payload["path"])
        # In this order: while the last is there, what is left after a crash is not sent after it.
        for name in (one.get("spooled") for one in files):
            if name:
                (self._spool / name).unlink(missing_ok=True)
        return [*replaced, position]

    def _failed(
        self, outbox: Outbox, payload: dict[str, Any], key: tuple[int, int], error: RunwireError
    ) -> bool:
        """Whether to let it be."""
        if error.code_name in _BARRED:
            with self._delivery.changed:
                self._delivery.refuse(outbox, str(error))
            return False
        if error.code_name == "INTERNAL":
            return self._fault(outbox, payload, key, error)
        if not is_passing(error):
            return self._give_up(outbox, payload, str(error))
        with self._delivery.changed:
            if is_away(error):
                self._delivery.lost(error)
            self._wait(key, error.retry_after_s)
        return False

    def _broke(
        self, outbox: Outbox, payload: dict[str, Any], key: tuple[int, int], error: Exception
    ) -> bool:
        """The same for what is no answer of the server's."""
        if isinstance(error, _LOST):
            return self._give_up(outbox, payload, str(error))
        self._report.log("".join(traceback.format_exception(error)))
        return self._fault(outbox, payload, key, error)

    def _fault(
        self, outbox: Outbox, payload: dict[str, Any], key: tuple[int, int], error: Exception
    ) -> bool:
        """A cut connection, no descriptor, no thread: it may pass, but not for sure."""
        with self._delivery.changed:
            faults = self._faults[key] = self._faults.get(key, 0) + 1
            if faults <= MAX_FAULTS:
                self._wait(key)
                return False
        return self._give_up(outbox, payload, str(error) or repr(error))

    def _wait(self, key: tuple[int, int], seconds: float | None = None) -> None:
        """Before it is tried again. Called locked."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._ready_at[key] = time.monotonic() + (seconds or pause_s(failures))

    def _give_up(self, outbox: Outbox, payload: dict[str, Any], reason: str) -> bool:
        with self._delivery.changed:
            self._delivery.reject(outbox, payload["path"], 0, reason)
        return True
