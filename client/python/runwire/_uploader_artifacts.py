"""Upload the files that a run logged, beside its batches."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from runwire._errors import RunwireError
from runwire._uploader_delivery import Delivery, pause_s
from runwire._uploader_link import Link, is_away, is_passing
from runwire._uploader_outbox import Outbox
from runwire._uploader_report import Report

WORKERS = 2


class ArtifactDelivery:
    """Worker threads over the ``artifacts`` of all outboxes.

    A file goes up once the server knows the run, and its finish waits for it. The spool
    file is removed after the commit, so a missing one was committed by an earlier uploader.
    """

    def __init__(self, delivery: Delivery, link: Link, directory: Path, report: Report):
        self._delivery, self._link, self._report = delivery, link, report
        self._spool = directory / "artifacts"
        self._taken: set[tuple[int, int]] = set()  # (run, position) under way
        self._failures: dict[tuple[int, int], int] = {}
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
            try:
                self._put(outbox.run_id, payload)
            except RunwireError as error:
                done = self._failed(outbox, payload, key, error)
            except Exception as error:  # a file that cannot be read must not stop the others
                done = self._give_up(outbox, payload, str(error))
            else:
                done = True
            with self._delivery.changed:
                self._taken.discard(key)
                if done:
                    outbox.artifacts.pop(position, None)
                    self._failures.pop(key, None)
                    self._ready_at.pop(key, None)
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
                        for position, payload in outbox.artifacts.items():
                            key = (outbox.run, position)
                            if key not in self._taken and now >= self._ready_at.get(key, 0.0):
                                self._taken.add(key)
                                return outbox, position, payload
                changed.wait(1.0)
            return None

    def _put(self, run_id: str, payload: dict[str, Any]) -> None:
        spooled = payload.get("spooled")
        local = self._spool / spooled if spooled else Path(payload["file"])
        if spooled and not local.exists():
            return
        self._link.put_artifact(run_id, local, payload["path"])
        if spooled:
            local.unlink(missing_ok=True)

    def _failed(
        self, outbox: Outbox, payload: dict[str, Any], key: tuple[int, int], error: RunwireError
    ) -> bool:
        """Whether to let it be."""
        if not is_passing(error):
            return self._give_up(outbox, payload, str(error))
        with self._delivery.changed:
            if is_away(error):
                self._delivery.lost(error)
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            pause = error.retry_after_s or pause_s(failures)
            self._ready_at[key] = time.monotonic() + pause
        return False

    def _give_up(self, outbox: Outbox, payload: dict[str, Any], reason: str) -> bool:
        with self._delivery.changed:
            self._delivery.reject(outbox, payload["path"], 0, reason)
        return True
