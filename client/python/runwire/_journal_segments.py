"""The segments of a journal as the training process writes them: bounded, never in the way.

A record is stored in three steps: advance ``offset``, copy the body, store the header
word. They take no lock. With a GIL nothing comes in between: other threads and signal
handlers get their turn at a call, a loop or the start of a function, and there is none
from the look at ``offset`` to the header word. Without a GIL, and where a store is a call
(a file that cannot be mapped), ``limit`` stays at -1 and every row takes ``append``, which
has the lock. Where the garbage collector of Python 3.11 does break in, what it logs lands
behind this record, because ``offset`` is advanced first.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runwire._journal_files import Mapping
from runwire._journal_format import (
    SEGMENT_HEADER,
    SEGMENT_HEADER_BYTES,
    SEGMENT_MAGIC,
    VOID,
    encode_control,
    header_word,
    segment_name,
)
from runwire._journal_next import STEP_BYTES, NextSegment
from runwire._journal_status import Status

# Each segment is twice as large as the one before: a short run takes little disk, a long
# one seldom touches the file system, whose own journal may make a caller wait.
FIRST_SEGMENT_BYTES = 256 * 1024
MAX_SEGMENT_BYTES = 4 * 1024 * 1024
# Rows leave this much of a segment to control records, and control records may pass
# the quota by a segment: a finish is not lost to a flood of points.
_CONTROL_RESERVE = 16 * 1024
_CONTROL_ALLOWANCE_BYTES = 512 * 1024
_RETRY_S = 0.05
_HAS_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()


class Segments:
    """``append`` is the slow door; ``RunLog.log_metrics`` stores by itself while it has room.

    ``offset`` and ``limit`` count bytes in the present segment. A caller that would pass
    ``limit`` takes the slow door: to make room, to prepare the next segment by one step, or
    (-1) because it is closed or inherited by a fork.
    """

    __slots__ = (
        "_capacity", "_deferred", "_directory", "_first", "_is_fast", "_kept", "_mapping",
        "_next", "_number", "_quota", "_retry_at", "_rotating", "_status", "block_s", "dropping",
        "limit", "lock", "offset", "on_full", "view", "words",
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
        self._capacity = self._first = self._number = 0
        self._kept: deque[tuple[int, int]] = deque()  # (end position, size) of full segments
        self._mapping: Mapping | None = None
        self._is_fast = False
        self._next: NextSegment | None = None
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
        header = header_word(schema, size)
        with self.lock:
            if self._rotating:
                self._deferred.append((header, body))
                return True
            while True:
                room = self._capacity if control else self._capacity - _CONTROL_RESERVE
                view, words = self.view, self.words
                # From here to the header word nothing calls Python code.
                offset = self.offset
                end = offset + size
                if end <= room:
                    self.offset = end
                    break
                if not self._make_room(size, control):
                    return False
            try:
                view[offset + 8 : end] = body
                words[offset >> 3] = header
            except BaseException:
                self.void(offset, size)
                raise
            if end > self.limit:
                self._take_step()
            return True

    def void(self, offset: int, size: int) -> None:
        """Close the gap that a failed store left: no record, but a length to step over."""
        self.view[offset + 8 : offset + 16] = encode_control(VOID, {})[:8]
        self.words[offset >> 3] = header_word(0, size)

    def _take_step(self) -> None:
        self._set_limit()
        if self._next is not None:
            self._next.take_step()

    def _set_limit(self) -> None:
        """The next line at which a row takes the slow door."""
        if self._is_fast:
            self.limit = min(self.offset + STEP_BYTES, self._capacity - _CONTROL_RESERVE)

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
        needed = SEGMENT_HEADER_BYTES + size + _CONTROL_RESERVE
        capacity = max(self._next_capacity(), needed)
        if not self._has_room(capacity):
            if not control or not self._has_room(needed, _CONTROL_ALLOWANCE_BYTES):
                return False
            capacity = max(FIRST_SEGMENT_BYTES, needed)
        self._rotating, self.limit = True, -1
        try:
            self._open(capacity)
        except OSError:  # no space left, or no permission any more
            return False
        finally:
            self._store_deferred()
            self._rotating = False
            self._set_limit()
        return True

    def _store_deferred(self) -> None:
        """What signal handlers logged meanwhile, before anything that comes later."""
        while self._deferred:
            header, body = self._deferred[0]
            offset, size = self.offset, len(body) + 8
            if offset + size > self._capacity:
                return
            del self._deferred[0]
            self.offset = offset + size
            self.view[offset + 8 : offset + size] = body
            self.words[offset >> 3] = header

    def _next_capacity(self) -> int:
        largest = max(FIRST_SEGMENT_BYTES, min(MAX_SEGMENT_BYTES, self._quota // 8))
        return min(FIRST_SEGMENT_BYTES << min(self._number, 8), largest)

    def _has_room(self, capacity: int, allowance: int = 0) -> bool:
        """Whether the quota has room for one more segment."""
        trimmed = self._status.trimmed if self._status is not None else 0
        # By a copy, and by value: a signal handler that logs may come here in between.
        for full in tuple(self._kept):
            if full[0] > trimmed:
                break
            with contextlib.suppress(ValueError):
                self._kept.remove(full)
        used = self._capacity + sum(size for _, size in tuple(self._kept))
        return used + capacity <= self._quota + allowance

    def open_first(self) -> None:
        """Raises OSError where the directory cannot be written."""
        self._open(self._next_capacity())
        self._is_fast = _HAS_GIL and self._mapping is not None and not self._mapping.is_plain
        self._set_limit()

    def _open(self, capacity: int) -> None:
        following = self._prepared(capacity)
        mapping, capacity = following.ready(), following.capacity
        first = self.position if self._number else 0
        mapping.view[0 : SEGMENT_HEADER.size] = SEGMENT_HEADER.pack(SEGMENT_MAGIC, first, capacity)
        hidden, name = following.path, self._directory / segment_name(self._number + 1)
        full = self._mapping
        before = self._number, self._first, self._capacity, self.offset
        # From here to the end of the rename no interrupt can come in between: a reader that
        # sees the new segment, and a writer that still stores in the old one, would be fatal.
        # A caller that was interrupted in its store still holds the old mapping.
        self._number, self._first, self._capacity = before[0] + 1, first, capacity
        self.offset, self._next = SEGMENT_HEADER_BYTES, None
        self._mapping, self.view, self.words = mapping, mapping.view, mapping.words
        try:
            os.rename(hidden, name)  # noqa: PTH104
        except OSError:
            self._number, self._first, self._capacity, self.offset = before
            self._mapping, self.view, self.words = full, full and full.view, full and full.words
            raise
        if full is not None:
            self._kept.append((first, before[2]))
        self._next = NextSegment(self._directory, self._next_capacity(), full, self._has_room)

    def _prepared(self, capacity: int) -> NextSegment:
        following = self._next
        if following is not None and following.capacity >= capacity:
            return following
        if following is not None:
            following.discard()
        return NextSegment(self._directory, capacity, None, self._has_room)

    def close(self, farewell: bytes) -> None:
        """A last control record; nothing can be stored after it."""
        with self.lock:
            self._is_fast, self.limit = False, -1
            self.append(0, farewell, control=True)
            if self._next is not None:
                self._next.discard()
            self._shut()

    def _shut(self) -> None:
        self._is_fast, self.limit = False, -1
        self._capacity = self._quota = -1
        self.dropping, self._retry_at = True, float("inf")

    def disown(self) -> None:
        """In a forked child: the segments belong to the parent."""
        self._rotating = False
        self._shut()
        self.view = self.words = self._mapping = self._next = None
