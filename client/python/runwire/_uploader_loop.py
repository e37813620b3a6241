"""The uploader of one journal: read, hand over, trim, until all of it is delivered.

Nothing is remembered here but what the server says: at its start an uploader asks where
its writer stands in each run and goes on from there. The status page only saves work.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runwire._batches import SeriesIds
from runwire._errors import RunwireError
from runwire._journal_files import boot_id, now_micros
from runwire._journal_format import CLOSE, FINISH, VOID, split_writer_position
from runwire._journal_reader import Chunk, JournalReader, RowBlock
from runwire._journal_refused import write_refused
from runwire._journal_status import RUN_ANSWERED, RUN_OPEN, RUN_REFUSED, Status
from runwire._uploader_artifacts import ArtifactDelivery
from runwire._uploader_delivery import CREATION_WAIT_S, Delivery, pause_s
from runwire._uploader_link import Link, input_bytes, is_away, is_passing
from runwire._uploader_outbox import (
    DEFAULT_BATCH_BYTES,
    MAX_BATCH_BYTES,
    Event,
    Outbox,
)
from runwire._uploader_report import Report
from runwire._uploader_trainer import Trainer

# How long a server may be away before the uploader exits and leaves the journal.
GIVE_UP_S = 24 * 3600.0
GIVE_UP_AFTER_TRAINER_S = 15 * 60.0
HEARTBEAT_S = 15.0

_CHUNK_BYTES = 128 * 1024
_MAX_QUEUED_BYTES = 16 << 20  # sealed and not acknowledged
_MAX_READ_S = 0.05  # at a stretch, before acknowledgements are looked at
_POLL_S, _IDLE_POLL_S, _IDLE_AFTER_S = 0.05, 0.1, 5.0
_REST, _MAX_REST_S = 3, 0.02  # times as long as the work before
_SYNC_EVERY_S = 1.0
_TERMINAL_S = 3.0


@dataclass(frozen=True)
class Patience:
    """``until_drained``: stop when all that is there now is delivered, and do not wait for
    a server that is away longer than ``give_up_s`` (``runwire sync``)."""

    until_drained: bool = False
    give_up_s: float = GIVE_UP_S
    after_trainer_s: float = GIVE_UP_AFTER_TRAINER_S

    @classmethod
    def from_environment(cls) -> Patience:
        """RUNWIRE_UPLOADER_GIVE_UP_S, at most, while the trainer lives and after it ended."""
        text = os.environ.get("RUNWIRE_UPLOADER_GIVE_UP_S")
        if not text:
            return cls()
        return cls(give_up_s=float(text), after_trainer_s=min(float(text), GIVE_UP_AFTER_TRAINER_S))


class Uploader:
    """One journal, whose lock the caller holds. ``run`` returns when nothing is left to do."""

    def __init__(
        self,
        directory: Path,
        meta: dict[str, Any],
        link: Link,
        report: Report,
        patience: Patience,
        *,
        owns_terminal: bool = False,
        max_batch_bytes: int = MAX_BATCH_BYTES,
    ):
        self._directory, self._report, self._patience = directory, report, patience
        self._meta = directory / "meta.json"
        self._owns_terminal = owns_terminal
        self._max_batch_bytes = max_batch_bytes
        self.status = Status.open(directory / "status")
        same_boot = meta["boot_id"] == boot_id()
        self._reader = JournalReader(directory, None if same_boot else self.status.synced)
        self._ids = SeriesIds(self._reader.definitions)
        self._link = link
        self._trainer = Trainer(meta)
        self._ended_at: float | None = None  # when the trainer was seen to be gone
        wait_s = 0.0 if patience.until_drained else CREATION_WAIT_S
        self._delivery = Delivery(
            directory, self._link, self.status, report, creation_wait_s=wait_s
        )
        self._artifacts = ArtifactDelivery(self._delivery, self._link, directory, report)
        self._outboxes: dict[int, Outbox] = {}  # every run that was met
        self._careful_to = 0
        self._max_pinned = int(meta.get("quota_bytes", 1 << 30)) // 2
        self._closed = False  # the trainer said that nothing more comes
        self._finishing = False
        self._last_data = self._synced_at = time.monotonic()
        self._woken_at = self._last_data
        self._first_life = self.status.generation == 0
        self._resume_from = self.status.progress

    def run(self) -> bool:
        """Whether everything was delivered (False: given up, or something was refused)."""
        self.status.uploader_pid = os.getpid()
        self.status.generation += 1  # whoever sees it looks for the process
        self.status.trimmed = self._reader.position
        self._delivery.start()
        self._artifacts.start()
        try:
            self._adopt_open_runs()
            while not self._is_over():
                self._wait(self._read())
                self._tend()
        finally:
            self._delivery.stop()
            self._artifacts.stop()
            self._publish()
            with contextlib.suppress(OSError):  # it was removed, or its disk is full
                write_refused(self._directory, self.refused)
            self._trainer.close()
        return self._is_drained() and not self.refused

    # Reading -----------------------------------------------------------------

    def _read(self) -> bool:
        """Feed what the journal has; True: there may be more at once."""
        end = time.monotonic() + _MAX_READ_S
        self._rewind()
        with self._delivery.changed:
            full_at = self._reader.position + _MAX_QUEUED_BYTES - self._queued_bytes()
            chunk_bytes = self._chunk_bytes()
        while time.monotonic() < end:
            if self._reader.position >= full_at:
                return False
            careful = self._reader.position < self._careful_to
            chunk = self._reader.read(1 if careful else chunk_bytes)
            if chunk is None:
                return False
            self._last_data = time.monotonic()
            self._feed(chunk)
        return True

    def _chunk_bytes(self) -> int:
        return min([_CHUNK_BYTES, *(box.limit_bytes // 4 for box in self._active())])

    def _queued_bytes(self) -> int:
        return sum(box.queued_bytes for box in self._active())

    def _active(self) -> list[Outbox]:
        return list(self._delivery.outboxes.values())

    def _feed(self, chunk: Chunk) -> None:
        if chunk.control is not None:
            self._feed_control(*chunk.control, chunk)
            return
        by_run: dict[int, list[RowBlock]] = {}
        for block in chunk.blocks:
            run = self._reader.definitions.schema(block.schema).run
            by_run.setdefault(run, []).append(block)
        boxes = {run: self._outbox(run) for run in by_run}
        many = len(chunk.blocks) > 1 or chunk.blocks[0].rows > 1
        if many and chunk.start < self._careful_to:
            self._reader.unread(chunk)  # a run that was just met is partly with the server
            return
        with self._delivery.changed:
            fed: list[Outbox] = []
            for run, blocks in by_run.items():
                if not boxes[run].feed_rows(chunk, blocks):
                    self._feed_again(chunk, fed)
                    return
                fed.append(boxes[run])
            self._delivery.changed.notify_all()

    def _feed_again(self, chunk: Chunk, fed: list[Outbox]) -> None:
        """A chunk is more than one batch can take: record by record, then."""
        for box in fed:
            box.fed_to = max(box.fed_to, chunk.end)
        self._careful_to = max(self._careful_to, chunk.end)
        self._reader.unread(chunk)

    def _feed_control(self, kind: int, payload: dict[str, Any], chunk: Chunk) -> None:
        if kind == CLOSE:
            self._closed = True
        elif kind != VOID:
            box = self._outbox(payload["run"])
            with self._delivery.changed:
                box.feed_event(kind, payload, chunk)
                self._delivery.changed.notify_all()

    def _outbox(self, run: int) -> Outbox:
        box = self._outboxes.get(run)
        if box is None:
            box = self._outboxes[run] = self._meet(run)
        if run not in self._delivery.outboxes:
            with self._delivery.changed:
                self._delivery.outboxes[run] = box
        return box

    def _meet(self, run: int) -> Outbox:
        box = Outbox(
            run,
            self._reader.definitions.run_id(run),
            self._ids,
            input_bytes,
            self._delivery.reject,
            limit_bytes=min(DEFAULT_BATCH_BYTES, self._max_batch_bytes),
            most_bytes=self._max_batch_bytes,
        )
        if self._first_life:
            return box
        box.sequence, box.sealed_to = self._where(box.run_id)
        box.floor = split_writer_position(box.sealed_to)
        flags = self.status.run_flags(run)
        if not flags & RUN_REFUSED:
            box.events_from = box.artifacts_from = self._resume_from
        box.is_open, box.opened = bool(flags & RUN_OPEN), bool(flags & RUN_ANSWERED)
        self._careful_to = max(self._careful_to, box.careful_to())
        return box

    def _where(self, run_id: str) -> tuple[int, int]:
        """Ask the server where this writer stands in a run, until it answers."""
        failures = 0
        while True:
            try:
                return self._link.writer(run_id)
            except RunwireError as error:
                if not is_passing(error):
                    return 0, 0  # what is wrong shows when the first batch is sent
                failures += 1
                with self._delivery.changed:
                    if is_away(error):
                        self._delivery.lost(error)
                if self._gives_up():
                    raise
                time.sleep(min(pause_s(failures), 1.0))

    def _adopt_open_runs(self) -> None:
        """Runs whose create is trimmed away already still want heartbeats and an end."""
        definitions = self._reader.definitions
        definitions.refresh()
        for run in range(len(definitions.runs)):
            if self.status.run_flags(run) & RUN_OPEN:
                self._outbox(run)

    def _rewind(self) -> None:
        with self._delivery.changed:
            boxes = [box for box in self._outboxes.values() if box.rewind_to is not None]
            if not boxes:
                return
            read_to = self._reader.position
            for box in self._outboxes.values():
                box.fed_to = max(box.fed_to, read_to)
            start = min([read_to, *(box.rewind(read_to) for box in boxes)])
            self._reader.seek(max(start, self.status.trimmed))
            self._careful_to = max([read_to, *(b.careful_to() for b in self._outboxes.values())])

    # Tending -----------------------------------------------------------------

    def _wait(self, more: bool) -> None:
        """Until there may be something to do: data, an acknowledgement, or time."""
        if not more:
            now = time.monotonic()
            # Each acknowledgement wakes this thread, and a thousand runs take milliseconds.
            rest_s = min(_MAX_REST_S, _REST * (now - self._woken_at))
            idle = now - self._last_data > _IDLE_AFTER_S
            with self._delivery.changed:
                self._delivery.changed.wait(_IDLE_POLL_S if idle else _POLL_S)
            time.sleep(rest_s)
        self._woken_at = time.monotonic()

    def _tend(self) -> None:
        now = time.monotonic()
        wanted = self.status.wanted > self.status.acknowledged or self._all_read()
        with self._delivery.changed:
            for box in self._active():
                box.seal_if_due(now, wanted=wanted)
                if box.is_open and box.opened and now - box.contact_at > HEARTBEAT_S:
                    box.beat_due = True
                if box.is_over():
                    del self._delivery.outboxes[box.run]
            self._delivery.changed.notify_all()
        self._publish()
        unsynced = self._reader.position > self.status.synced
        if unsynced and self._exists and now - self._synced_at >= _SYNC_EVERY_S:
            self._synced_at = now
            self.status.synced = self._reader.sync()
        if self._reader.damaged_at is not None and self._trainer.is_seen:
            self._report.say(
                f"the machine went down before {self._directory} was all on its disk: what "
                f"follows byte {self._reader.damaged_at} (about the last second) is lost",
                once="damaged",
            )
        self._watch(now)

    @property
    def _exists(self) -> bool:
        """Whether nobody has deleted the journal under our feet."""
        return self._meta.exists()

    def _publish(self) -> None:
        """Tell the trainer how far it is, and give back disk."""
        with self._delivery.changed:
            position = self._reader.position
            boxes = self._active()
            acknowledged = min([position, *_known(box.oldest() for box in boxes)])
            progress = min([position, *_known(box.oldest_event() for box in boxes)])
            keep = min([acknowledged, *_known(self._pin(box) for box in boxes)])
        self.status.progress = max(self.status.progress, progress)
        self.status.trimmed = self._reader.trim(keep)
        if acknowledged > self.status.acknowledged:
            self.status.acknowledged = acknowledged

    def _pin(self, box: Outbox) -> int | None:
        """From where on a refused run's data is kept, while that leaves room for the others."""
        if box.pinned_at is None or self._reader.position - box.pinned_at < self._max_pinned:
            return box.pinned_at
        self._report.say(f"the refused data of run {box.run_id} takes too much room: it is deleted")
        box.pinned_at = None
        return None

    @property
    def refused(self) -> dict[str, str]:
        """Why the server took nothing of a run, by run id."""
        return {box.run_id: box.refused for box in self._active() if box.refused}

    def _watch(self, now: float) -> None:
        if self._ended_at is None and not self._trainer.alive:
            self._ended_at = now
        over = self._ended_at is not None and now - self._ended_at > _TERMINAL_S
        if over and self._owns_terminal:
            self._report.let_go_of_terminal()

    def _all_read(self) -> bool:
        return self._closed or self._ended_at is not None or self._patience.until_drained

    def _is_over(self) -> bool:
        if not self._exists:
            return True
        if self._gives_up():
            self._report.say(
                f"giving up on {self._link.uri} for now; `runwire sync` sends the rest "
                f"from {self._directory}"
            )
            return True
        if not self._all_read() or not self._is_drained():
            return False
        return not self.is_complete or not self._finish_open_runs()

    def _is_drained(self) -> bool:
        """Whether every record that can be read is delivered, or refused."""
        with self._delivery.changed:
            if any(box.rewind_to for box in self._outboxes.values()):
                return False
            if any(not box.is_idle() for box in self._active()):
                return False
        chunk = self._reader.read(1)
        if chunk is not None:
            self._reader.unread(chunk)
        return chunk is None

    def _finish_open_runs(self) -> bool:
        """The trainer is gone: end what it did not end. Whether there was something to do."""
        state = "FAILED" if self._closed else "KILLED"
        now = {"state": state, "end_time_micros": now_micros(), "guessed": True}
        found = False
        with self._delivery.changed:
            for box in self._active():
                if box.refused:
                    continue
                payload = now if box.is_open else box.reopened_from
                if payload is not None:
                    box.items.append(Event(FINISH, self._reader.position, payload))
                    box.is_open = False
                    found = True
            self._delivery.changed.notify_all()
        return found

    def _gives_up(self) -> bool:
        since = self._delivery.contact.away_since
        if since is None:
            return False
        patience, now = self._patience, time.monotonic()
        if now - since > patience.give_up_s:
            return True
        ended = self._ended_at
        return ended is not None and now - max(since, ended) > patience.after_trainer_s

    @property
    def sees_trainer(self) -> bool:
        """Whether it can be told from here if the trainer lives."""
        return self._trainer.is_seen

    @property
    def is_complete(self) -> bool:
        """Whether nothing more can come, so that a drained journal can be removed."""
        return self._closed or self._ended_at is not None


def _known(positions: Iterable[int | None]) -> Iterator[int]:
    return (position for position in positions if position is not None)
