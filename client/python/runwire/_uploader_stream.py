"""Several batches of one run under way at once, while there is a backlog.

A stream is one StreamBatches call over what an outbox holds: it ends when that is sent and
acknowledged, or after some seconds, so that no run and no server keeps the other for long.
A batch stays in the outbox until it is acknowledged, as with calls of their own; and as
batches are chained by position, one that is still under way when its stream was cut can
never follow another than the one it was made to follow.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from runwire._batches import SealedBatch, batch_request
from runwire._uploader_outbox import Outbox

WINDOW_BATCHES, WINDOW_BYTES = 8, 8 << 20
# How long a stream takes on new batches.
STREAM_S = 15.0
# Without streams for so long where one has failed for a reason that is not our server's: a
# proxy may let no stream pass.
MISTRUST_S = 10.0


class BatchStream:
    """The sending half. ``requests`` runs in a thread of gRPC's, everything else in that of
    the call; ``changed`` is the lock of both, and of the outbox."""

    def __init__(
        self, outbox: Outbox, changed: threading.Condition, may_send: Callable[[int], bool]
    ):
        self._outbox, self._changed = outbox, changed
        self._may_send = may_send  # another one, after so many; else the stream comes to its end
        self._end = time.monotonic() + STREAM_S
        self._sent = outbox.first_sequence - 1
        self._count = 0
        self._sent_at = 0.0
        self._known: dict[int, int] = {}  # by key set: how many of its names were sent
        self._closed = False

    @property
    def under_way(self) -> int:
        """Batches sent and not acknowledged."""
        return max(0, self._sent - self._outbox.first_sequence + 1)

    @property
    def is_over(self) -> bool:
        """Whether it has sent something, and all of that is acknowledged."""
        return self._count > 0 and not self.under_way

    def close(self) -> None:
        """Send nothing more. Called locked."""
        self._closed = True
        self._changed.notify_all()

    def requests(self) -> Iterator[bytes]:
        while (batch := self._next()) is not None:
            yield batch_request(batch, self._new_names(batch))

    def _next(self) -> SealedBatch | None:
        """Wait for the next batch to send; None: there is none, and none is under way."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                goes_on = now < self._end and self._may_send(self._count)
                batch = self._waiting() if goes_on else None
                if batch is None and not self.under_way:
                    break
                pause = self._sent_at + self._outbox.min_interval_s - now
                if batch is not None and self._has_room() and pause <= 0:
                    self._sent, self._sent_at = batch.sequence, now
                    self._count += 1
                    return batch
                self._changed.wait(pause if pause > 0 else None)
            return None

    def _waiting(self) -> SealedBatch | None:
        """The first batch that was not sent. Events are in order with batches: no further."""
        items = self._outbox.items
        place = self.under_way
        item = items[place] if place < len(items) else None
        return item if isinstance(item, SealedBatch) else None

    def _has_room(self) -> bool:
        count = self.under_way
        window = min(WINDOW_BATCHES, self._outbox.max_unacked or WINDOW_BATCHES)
        return count < window and self._outbox.first_bytes(count) < WINDOW_BYTES

    def _new_names(self, batch: SealedBatch) -> bytes:
        """Those that stand beside the batch and were not sent in this call."""
        names = []
        for columns in batch.columns:
            known = self._known.get(columns.schema, 0)
            if columns.end > known:
                names.append(columns.beside)
            if columns.start <= known:
                self._known[columns.schema] = max(known, columns.end)
        return b"".join(names)
