"""What waits to be committed: a queue bounded in bytes."""

from __future__ import annotations

import threading
import time
from collections import deque

from runwire_server.errors import Draining, Overloaded
from runwire_server.metrics.intake import Entry


class Backlog:
    """Filled by many threads, emptied by one. Bytes count until ``release``."""

    def __init__(self, max_bytes: int):
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: deque[Entry] = deque()
        self._closed = False
        lock = threading.Lock()
        self._filled = threading.Condition(lock)
        self._emptied = threading.Condition(lock)

    @property
    def fill(self) -> float:
        """0.0 (empty) to 1.0 (full)."""
        return self._bytes / self._max_bytes

    def put(self, entry: Entry, patience_s: float = 0.0) -> None:
        """Wait up to ``patience_s`` for room. Raises ``Overloaded``, ``Draining``."""
        deadline = time.monotonic() + patience_s
        with self._emptied:
            while not self._closed and self._bytes + entry.size_bytes > self._max_bytes:
                left = deadline - time.monotonic()
                if left <= 0 or not self._emptied.wait(left):
                    raise Overloaded(what="too many batches wait to be stored")
            if self._closed:
                raise Draining
            self._bytes += entry.size_bytes
            self._entries.append(entry)
            self._filled.notify()

    def take(self, max_bytes: int, max_entries: int) -> list[Entry]:
        """What has come, in order, waiting for the first. Empty: closed, and all is taken."""
        taken: list[Entry] = []
        size = 0
        with self._filled:
            while not self._entries and not self._closed:
                self._filled.wait()
            while self._entries and len(taken) < max_entries and size < max_bytes:
                taken.append(self._entries.popleft())
                size += taken[-1].size_bytes
        return taken

    def release(self, entries: list[Entry]) -> None:
        """Their bytes are free again."""
        with self._emptied:
            self._bytes -= sum(entry.size_bytes for entry in entries)
            self._emptied.notify_all()

    def close(self) -> None:
        """Nothing more is accepted; what is in it can still be taken."""
        with self._emptied:
            self._closed = True
            self._emptied.notify_all()
            self._filled.notify_all()
