"""The segments of a journal as the training process writes them: bounded, never in the way.

The store of a record is three steps under the lock: advance ``offset``, copy the body,
store the header word. None of them calls Python code, so no signal handler can break
in between; and where the garbage collector of Python 3.11 does, what it logs lands
behind this record, because ``offset`` is advanced first.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runwire._journal_files import create_mapped
from runwire._journal_format import (
    SEGMENT_HEADER,
    SEGMENT_HEADER_BYTES,
    SEGMENT_MAGIC,
    VOID,
    encode_control,
    header_word,
    segment_name,
)
from runwire._journal_status import Status

# The first store into a new segment makes the kernel zero most of it: measured 0.09 ms for
# 256 KiB, 0.3 ms for 1 MiB, 1.3 ms and more for 4 MiB. Small segments keep that stall small.
FIRST_SEGMENT_BYTES = 256 * 1024
MAX_SEGMENT_BYTES = 512 * 1024
# Rows leave this much of a segment to control records, and control records may pass
# the quota by as much as one segment: a finish is not lost to a flood of points.
_CONTROL_RESERVE = 16 * 1024
_RETRY_S = 0.05


class Segments:
    """``append`` is the slow door; ``RunLog.log_metrics`` stores by itself while it has room.

    ``offset`` and ``limit`` count bytes in the present segment; a ``limit`` of -1 sends
    every caller through the slow door (closed, or inherited by a fork).
    """

    __slots__ = (
        "_capacity", "_deferred", "_directory", "_first", "_kept", "_number", "_quota",
        "_retry_at", "_rotating", "_status", "_used", "block_s", "dropping", "limit", "lock",
        "offset", "on_full", "view", "words",
    )  # fmt: skip

    def __init__(self, directory: Path, status: Status | None, quota_bytes: int, block_s: float):
        self.lock = threading.RLock()
        self.view: Any = None
        self.words: Any = None
        self.offset = SEGMENT_HEADER_BYTES
        self.limit = -1
        self.block_s = block_s
        self.dropping = False
        self.on_full: Callable[[], None] = lambda: None
        self._directory = directory
        self._status = status
        self._quota = quota_bytes
        self._capacity = self._first = self._number = self._used = 0
        self._kept: deque[tuple[int, int]] = deque()  # (end position, size) of full segments
        self._retry_at = 0.0
        self._rotating = False
        self._deferred: list[tuple[int, bytes]] = []

    @property
    def position(self) -> int:
        """Of the end of the last record."""
        return self._first + self.offset - SEGMENT_HEADER_BYTES

    def append(self, schema: int, body: bytes, *, control: bool = False) -> bool:
        """Store a record; False: there is no room for it and the policy says to drop it.

        A signal handler that logs while its own thread makes room is heard afterwards.
        """
        size = len(body) + 8
        with self.lock:
            if self._rotating:
                self._deferred.append((schema, body))
                return True
            while True:
                # Nothing between the look and the step calls Python code.
                offset = self.offset
                end = offset + size
                if end <= (self._capacity if control else self.limit):
                    self.offset = end
                    break
                if not self._make_room(size, control):
                    return False
            try:
                self.view[offset + 8 : end] = body
                self.words[offset >> 3] = header_word(schema, size)
            except BaseException:
                self.void(offset, size)
                raise
            return True

    def void(self, offset: int, size: int) -> None:
        """Close the gap that a failed store left: no record, but a length to step over."""
        self.view[offset + 8 : offset + 16] = encode_control(VOID, {})[:8]
        self.words[offset >> 3] = header_word(0, size)

    def _make_room(self, size: int, control: bool) -> bool:
        if self._rotate(size, control):
            return True
        if control or self.dropping:
            return False
        deadline = time.monotonic() + self.block_s
        self.on_full()
        pause_s = 0.001
        while time.monotonic() < deadline:
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _RETRY_S)
            if self._rotate(size, control, now=True):
                return True
        self.dropping = True
        return False

    def _rotate(self, size: int, control: bool, *, now: bool = False) -> bool:
        """Go on in a new segment, if quota and disk have room for one."""
        if self.dropping and not now:
            if time.monotonic() < self._retry_at:
                return False
            self._retry_at = time.monotonic() + _RETRY_S
        capacity = max(self._next_capacity(), SEGMENT_HEADER_BYTES + size + _CONTROL_RESERVE)
        self._count_trimmed()
        allowance = MAX_SEGMENT_BYTES if control else 0
        if self._used + capacity > self._quota + allowance:
            return False
        limits = self.limit, self._capacity
        self._rotating, self.limit, self._capacity = True, -1, 0
        try:
            self._open(capacity, limits[1])
            limits = capacity - _CONTROL_RESERVE, capacity
        except OSError:  # no space left, or no permission any more
            return False
        finally:
            self._store_deferred(limits[1])
            self._rotating = False
            self.limit, self._capacity = limits
        return True

    def _store_deferred(self, capacity: int) -> None:
        """What signal handlers logged meanwhile, before anything that comes later."""
        while self._deferred:
            schema, body = self._deferred[0]
            offset, size = self.offset, len(body) + 8
            if offset + size > capacity:
                return
            del self._deferred[0]
            self.offset = offset + size
            self.view[offset + 8 : offset + size] = body
            self.words[offset >> 3] = header_word(schema, size)

    def _next_capacity(self) -> int:
        largest = max(FIRST_SEGMENT_BYTES, min(MAX_SEGMENT_BYTES, self._quota // 8))
        return largest if self._number else FIRST_SEGMENT_BYTES

    def _count_trimmed(self) -> None:
        trimmed = self._status.trimmed if self._status is not None else 0
        while self._kept and self._kept[0][0] <= trimmed:
            self._used -= self._kept.popleft()[1]

    def open_first(self) -> None:
        """Raises OSError where the directory cannot be written."""
        capacity = self._next_capacity()
        self._open(capacity, 0)
        self.limit, self._capacity = capacity - _CONTROL_RESERVE, capacity

    def _open(self, capacity: int, last_capacity: int) -> None:
        first = self.position if self._number else 0
        hidden = self._directory / "next"
        name = self._directory / segment_name(self._number + 1)
        hidden.unlink(missing_ok=True)
        view, words = create_mapped(hidden, capacity)
        view[0 : SEGMENT_HEADER.size] = SEGMENT_HEADER.pack(SEGMENT_MAGIC, first, capacity)
        if self._number:
            self._kept.append((first, last_capacity))
        # From here to the end of the rename no interrupt can come in between: a reader that
        # sees the new segment, and a writer that still stores in the old one, would be fatal.
        # A caller that was interrupted in its store still holds the old mapping.
        self._used, self._number = self._used + capacity, self._number + 1
        self._first, self.offset = first, SEGMENT_HEADER_BYTES
        self.view, self.words = view, words
        os.rename(hidden, name)  # noqa: PTH104

    def close(self) -> None:
        """Nothing can be stored any more."""
        self._capacity = self.limit = self._quota = -1
        self.dropping, self._retry_at = True, float("inf")

    def disown(self) -> None:
        """In a forked child: the segments belong to the parent."""
        self.lock = threading.RLock()
        self._rotating = False
        self.close()
        self.view = self.words = None
