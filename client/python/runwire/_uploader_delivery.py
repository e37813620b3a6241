"""Deliver what outboxes hold: in order for a run, several runs at once.

One item after the other, and while there is a backlog many batches on one stream. The
acknowledged position is compared with the expected one, and each batch says which position
it goes on from. So a batch of an earlier uploader that the server commits late is noticed
before anything is stored twice.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from runwire._batches import SealedBatch
from runwire._errors import RunwireError
from runwire._journal_format import ATTACH, CREATE, FINISH
from runwire._journal_refused import write_refused
from runwire._journal_status import (
    AWAY,
    CONNECTED,
    REFUSED,
    RUN_ANSWERED,
    RUN_FINISHED,
    RUN_OPEN,
    RUN_REFUSED,
    RUN_STOP_REQUESTED,
    Status,
)
from runwire._uploader_link import TIMEOUT_S, Link, is_away, is_passing
from runwire._uploader_outbox import MIN_BATCH_BYTES, Event, Item, Outbox
from runwire._uploader_report import Report
from runwire._uploader_stream import MISTRUST_S, STREAM_S, WINDOW_BATCHES, BatchStream

WORKERS = 8
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.2, 30.0
_MAX_REOPENINGS = 5
MAX_FAULTS = 20
# A rank or a forked child may be faster than the process that creates the run.
CREATION_WAIT_S = 120.0


@dataclass(slots=True)
class Contact:
    """How it stands with the server. ``away_since`` None: it answers."""

    away_since: float | None = None
    failures: int = 0
    next_try: float = 0.0


class Delivery:
    """Worker threads over the outboxes. ``changed`` is the lock of all state here."""

    def __init__(
        self,
        directory: Path,
        link: Link,
        status: Status,
        report: Report,
        *,
        creation_wait_s: float,
    ):
        self.changed = threading.Condition()
        self.contact = Contact()
        self.outboxes: dict[int, Outbox] = {}  # those with something to do
        self._link, self._status, self._report = link, status, report
        self._creation_wait_s = creation_wait_s
        self._began = time.monotonic()
        self._directory = directory
        self._refused: dict[str, str] = {}
        self._stopped = False
        self._idle = 0
        self._streams_from = 0.0  # time from which on streams are tried
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for number in range(WORKERS):
            thread = threading.Thread(
                target=self._work, name=f"runwire-deliver-{number}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ends the threads, after the calls that are under way."""
        with self.changed:
            self._stopped = True
            self.changed.notify_all()
        for thread in self._threads:
            thread.join()

    # The threads -------------------------------------------------------------

    def _work(self) -> None:
        while (outbox := self._take()) is not None:
            try:
                self._try(outbox)
            finally:
                with self.changed:
                    outbox.busy = False
                    self.changed.notify_all()

    def _try(self, outbox: Outbox) -> None:
        item = outbox.items[0] if outbox.items else None
        try:
            done = self._deliver(outbox, item)
        except RunwireError as error:
            if isinstance(item, SealedBatch) and outbox.items:
                item = outbox.items[0]  # a stream may have got further
            self._settle(outbox, partial(self._failed, outbox, item, error))
        except Exception:  # a fault of ours with one run's data must not stop the others
            self._report.log(traceback.format_exc())
            self._settle(outbox, partial(self._fault, outbox))
        else:
            self._settle(outbox, done)

    def _settle(self, outbox: Outbox, effect: Callable[[], None]) -> None:
        with self.changed:
            # A file may have had the run refused during the call: its items are gone then.
            if not outbox.refused:
                effect()

    def _take(self) -> Outbox | None:
        """Wait for an outbox whose first item can go out; None: stop."""
        with self.changed:
            while not self._stopped:
                now = time.monotonic()
                if now >= self.contact.next_try:
                    ready = [each for each in self.outboxes.values() if each.is_ready(now)]
                    if ready:
                        outbox = min(ready, key=lambda each: each.contact_at)
                        outbox.busy = True
                        return outbox
                self._idle += 1
                self.changed.wait(self._pause(now))
                self._idle -= 1
            return None

    def _pause(self, now: float) -> float:
        """Until something becomes ready by time alone; changes wake us earlier."""
        times = [self.contact.next_try]
        for outbox in self.outboxes.values():
            times += (outbox.ready_at, outbox.contact_at + outbox.min_interval_s)
        return min((moment - now for moment in times if moment > now), default=1.0)

    # One item ----------------------------------------------------------------

    def _deliver(self, outbox: Outbox, item: Item | None) -> Callable[[], None]:
        """Make the calls of an item, or a heartbeat; returns what then becomes true, to be
        run locked."""
        if outbox.must_locate:
            where = self._link.writer(outbox.run_id)
            return lambda: self._located(outbox, where)
        if item is None:
            beat = self._link.log_batch(outbox.run_id, None)
            return lambda: self._beaten(outbox, beat)
        if isinstance(item, SealedBatch):
            if outbox.has_backlog and time.monotonic() >= self._streams_from:
                self._stream(outbox)
                return lambda: None
            response = self._link.log_batch(outbox.run_id, item.batch, item.names)
            return lambda: self._answered(outbox, response)
        if item.kind == CREATE:
            run = self._link.create_run(item.payload["request"])
            self._report.say(f"run {run.name!r} {run.run_id} at {self._link.uri}")
        elif item.kind == ATTACH:
            self._join(outbox, item.payload)
        elif item.kind == FINISH:
            self._finish(outbox, item.payload)
        return lambda: self._happened(outbox, item)

    def _finish(self, outbox: Outbox, payload: dict[str, Any]) -> None:
        state, end = payload["state"], payload["end_time_micros"]
        try:
            self._link.finish_run(outbox.run_id, state, end, outbox.sequence)
        except RunwireError as error:
            # Another writer of the run has ended it: that stands against our guess.
            if error.reason != "RUN_SEALED" or not payload.get("guessed"):
                raise

    def _join(self, outbox: Outbox, payload: dict[str, Any]) -> None:
        """Make the run take this writer. Who only joins leaves it as it was found."""
        if payload.get("sealed"):
            self._reopen(outbox)
            return
        if payload["resume"]:
            self._link.resume_run(outbox.run_id)
        try:
            self._link.log_batch(outbox.run_id, None)
        except RunwireError as error:
            if error.reason != "RUN_SEALED":
                raise
            self._reopen(outbox)

    def _reopen(self, outbox: Outbox) -> None:
        if not outbox.is_open and outbox.reopened_from is None:
            outbox.reopened_from = self._link.ended(outbox.run_id)
        # Not ended any more: another writer has reopened it and will end it again. To resume
        # it here, too, might come after that end, and nobody would repeat it.
        if outbox.is_open or outbox.reopened_from is not None:
            self._link.resume_run(outbox.run_id)
        self._link.log_batch(outbox.run_id, None)

    def _stream(self, outbox: Outbox) -> None:
        """Send batches while there are any, as they are acknowledged."""
        stream = BatchStream(outbox, self.changed, self._may_send)
        responses = self._link.stream_batches(
            outbox.run_id, stream.requests(), STREAM_S + TIMEOUT_S
        )
        try:
            with closing(responses):
                for response in responses:
                    self._settle(outbox, partial(self._hear, outbox, stream, response))
                    if outbox.rewind_to is not None:
                        return
        except RunwireError as error:
            if not self._is_fault_of_streaming(stream, error):
                raise
        finally:
            with self.changed:
                stream.close()

    def _may_send(self, sent: int) -> bool:
        """Whether a stream may go on: not where other runs wait for its thread."""
        if self._stopped:
            return False
        if self._idle or sent < WINDOW_BATCHES:
            return True
        now = time.monotonic()
        return not any(each.is_ready(now) for each in self.outboxes.values())

    def _is_fault_of_streaming(self, stream: BatchStream, error: RunwireError) -> bool:
        """Whether a call without a stream may fare better; there are none for a while then."""
        with self.changed:
            if stream.is_over:
                return True  # all that it took on is acknowledged
            if error.reason or is_away(error):
                return False
            self._report.log(f"a stream failed, going on without for a while: {error}")
            self._streams_from = time.monotonic() + MISTRUST_S
            return True

    def _hear(self, outbox: Outbox, stream: BatchStream, response: Any) -> None:
        kind = response.WhichOneof("message")
        if kind == "opened":
            self._reached(outbox)
            self._heed(outbox, response.opened.advice)
        elif kind == "ack":
            self._acknowledge(outbox, response.ack)
        elif kind == "advice":
            self._heed(outbox, response.advice)
        elif kind == "closing":
            stream.close()
        self.changed.notify_all()

    def _answered(self, outbox: Outbox, response: Any) -> None:
        self._heed(outbox, response.advice)
        self._acknowledge(outbox, response.ack)

    def _acknowledge(self, outbox: Outbox, ack: Any) -> None:
        self._reached(outbox)
        for rejection in ack.rejections:
            fault = rejection.fault
            self.reject(outbox, rejection.key, rejection.points, f"{fault.reason}: {fault.message}")
        if ack.committed_sequence < outbox.first_sequence:
            return  # of batches of one group each has an ack, and the first covered them all
        if outbox.acknowledge(ack.committed_sequence, ack.position):
            outbox.reopenings = 0
            return
        self._report.log(
            f"run {outbox.run_id}: batch {ack.committed_sequence} is at {ack.position}, not "
            "where it should be; going on from there"
        )
        outbox.rewind_to = (ack.committed_sequence, ack.position)

    def _happened(self, outbox: Outbox, event: Event) -> None:
        self._reached(outbox)
        if event.kind == FINISH:
            self._status.flag_run(outbox.run, RUN_FINISHED)
            self._status.clear_run(outbox.run, RUN_OPEN)
            outbox.reopened_from = None
        else:
            outbox.opened = True
            self._status.clear_run(outbox.run, RUN_FINISHED | RUN_REFUSED)
            opens = event.kind == CREATE or event.payload["resume"]
            self._status.flag_run(outbox.run, RUN_ANSWERED | (RUN_OPEN if opens else 0))
        outbox.items.popleft()

    def _heed(self, outbox: Outbox, advice: Any) -> None:
        if advice.max_batch_bytes:
            outbox.limit_bytes = max(
                MIN_BATCH_BYTES, min(advice.max_batch_bytes, outbox.most_bytes)
            )
        outbox.max_unacked = advice.max_unacked_batches
        outbox.min_interval_s = advice.min_interval.ToTimedelta().total_seconds()
        if advice.stop_requested:
            self._status.flag_run(outbox.run, RUN_STOP_REQUESTED)
        else:
            self._status.clear_run(outbox.run, RUN_STOP_REQUESTED)

    def _beaten(self, outbox: Outbox, response: Any) -> None:
        self._reached(outbox)
        self._heed(outbox, response.advice)
        outbox.beat_due = False

    def _located(self, outbox: Outbox, where: tuple[int, int]) -> None:
        outbox.must_locate, outbox.rewind_to = False, where

    # What went wrong ---------------------------------------------------------

    def _failed(self, outbox: Outbox, item: Item | None, error: RunwireError) -> None:
        outbox.failures += 1
        if is_away(error):
            self.lost(error)
        elif is_passing(error):
            outbox.wait(error.retry_after_s or pause_s(outbox.failures))
        elif item is None:
            # Whatever it is, the next thing that is sent will meet it, too.
            self._report.log(f"run {outbox.run_id}: heartbeat: {error}")
            outbox.beat_due, outbox.contact_at = False, time.monotonic()
        elif error.reason == "SEQUENCE_GAP":
            outbox.must_locate = True
        elif error.reason == "RUN_SEALED" and outbox.reopenings < _MAX_REOPENINGS:
            outbox.reopenings += 1
            self._report.log(f"run {outbox.run_id}: {error}; resuming it")
            outbox.items.appendleft(Event(ATTACH, item.start, {"resume": False, "sealed": True}))
        elif error.reason == "TOO_LARGE" and isinstance(item, SealedBatch) and self._shrink(outbox):
            outbox.must_locate = True
        elif self._may_appear(item, error):
            outbox.wait(pause_s(min(outbox.failures, 5)))
        elif error.code_name == "INTERNAL" and outbox.failures <= MAX_FAULTS:
            outbox.wait(pause_s(outbox.failures))
        else:
            self.refuse(outbox, str(error))

    def _shrink(self, outbox: Outbox) -> bool:
        """Smaller batches from now on; False: they are as small as they can be."""
        if outbox.limit_bytes <= MIN_BATCH_BYTES:
            return False
        outbox.most_bytes = outbox.limit_bytes = max(MIN_BATCH_BYTES, outbox.limit_bytes // 2)
        return True

    def _may_appear(self, item: Item, error: RunwireError) -> bool:
        return (
            error.reason == "NOT_FOUND"
            and isinstance(item, Event)
            and item.kind == ATTACH
            and time.monotonic() < self._began + self._creation_wait_s
        )

    def _fault(self, outbox: Outbox) -> None:
        outbox.failures += 1
        if outbox.failures > MAX_FAULTS:
            self.refuse(outbox, "an internal fault, see uploader.log")
        else:
            outbox.wait(pause_s(outbox.failures))

    def refuse(self, outbox: Outbox, reason: str) -> None:
        """The run's data stays in the journal; the others go on. Called locked."""
        if outbox.refused:
            return  # by another call at the same time
        outbox.refuse(reason)
        self._refused[outbox.run_id] = reason
        with suppress(OSError):  # a full disk; the run is refused all the same
            write_refused(self._directory, self._refused)
        self._status.flag_run(outbox.run, RUN_REFUSED)
        self._status.server_state = REFUSED
        self._report.say(
            f"the server refuses run {outbox.run_id}: {reason}. Its data is kept; "
            "send it with `runwire sync` when that is mended."
        )

    def reject(self, outbox: Outbox, key: str, points: int, reason: str) -> None:
        """Entries dropped for good. Called locked."""
        self._status.rejected_entries += 1
        line = f"run {outbox.run_id}: {key!r} was not taken ({points} points): {reason}"
        self._report.log(line)
        self._report.say(line + " (more of these: see uploader.log)", once=f"reject {outbox.run}")

    def lost(self, error: RunwireError) -> None:
        """The server did not answer a call. Called locked."""
        contact = self.contact
        contact.failures += 1
        if contact.away_since is None:
            contact.away_since = time.monotonic()
        pause = error.retry_after_s or pause_s(contact.failures)
        contact.next_try = time.monotonic() + pause
        self._status.server_state = AWAY
        if contact.failures > 1:
            self._report.say(
                f"nothing is lost, it is sent later: {error}",
                once="away",
            )

    def _reached(self, outbox: Outbox) -> None:
        outbox.failures = 0
        outbox.contact_at = time.monotonic()
        self.contact.failures, self.contact.next_try = 0, 0.0
        if self.contact.away_since is not None:
            self.contact.away_since = None
            if self._report.forget("away"):
                self._report.say(f"{self._link.uri} is back.")
        if self._status.server_state != CONNECTED:
            self._status.server_state = CONNECTED


def pause_s(failures: int) -> float:
    """Exponential with full jitter: waiting clients do not come back all at once."""
    return random.uniform(0.0, min(_LAST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures, 10)))
