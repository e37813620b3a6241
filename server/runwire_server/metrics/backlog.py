"""What waits to be committed: a queue bounded in bytes."""

from __future__ import annotations

import threading
import time
from collections import deque

from runwire_server.errors import Draining, Overloaded
from runwire_server.metrics.intake import Entry

# What does not wait for more, however much may come soon. Few entries, because each that
# waits holds a thread of those that answer calls.
LINGER_BYTES = 64 << 10
LINGER_ENTRIES = 8


class Backlog:
    """Filled by many threads, emptied by one. Bytes count until ``release``."""

    def __init__(self, max_bytes: int):
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: deque[Entry] = deque()
        self._closed = False
        self._enough_entries = 1  # with fewer, what is added does not wake the taker
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
            if self._is_enough():
                self._filled.notify()

    def take(self, max_bytes: int, max_entries: int, linger_s: float = 0.0) -> list[Entry]:
        """What has come, in order, waiting for the first, and up to ``linger_s`` for more while
        there is less than ``LINGER_BYTES`` and ``LINGER_ENTRIES``. Empty: closed, and all
        is taken."""
        taken: list[Entry] = []
        size = 0
        with self._filled:
            self._await(1, None)
            if linger_s:
                self._await(LINGER_ENTRIES, linger_s)
            while self._entries and len(taken) < max_entries and size < max_bytes:
                taken.append(self._entries.popleft())
                size += taken[-1].size_bytes
        return taken

    def _await(self, entries: int, timeout_s: float | None) -> None:
        self._enough_entries = entries
        self._filled.wait_for(lambda: self._closed or self._is_enough(), timeout_s)

    def _is_enough(self) -> bool:
        waiting = len(self._entries)
        return waiting >= self._enough_entries or (waiting > 0 and self._bytes >= LINGER_BYTES)

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
