"""``fork()`` and gRPC: calls of other threads are waited for, and a child starts afresh.

grpcio survives a fork when GRPC_ENABLE_FORK_SUPPORT=1 is set before its first import
*and* no call is under way at that moment; with one of the two alone, forked children
hang or fail (measured with grpcio 1.85). So every call goes through ``gate``: a fork
waits a moment until none is under way, and new ones wait until it is over. Streams
that are merely open are cancelled; those that can resume do.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Longer than a healthy call, shorter than a person's patience with DataLoader(workers=8).
PATIENCE_S = 1.0


class Gate:
    """Counts the calls under way, and closes around a fork."""

    def __init__(self) -> None:
        self._is_registered = False
        self.forks = 0
        self.reset()

    def reset(self) -> None:
        """In a child: nothing of the parent's calls is ours."""
        self._condition = threading.Condition()
        self._inside = 0
        self._closed = False
        self._streams: weakref.WeakSet[Any] = weakref.WeakSet()
        self.generation = os.getpid()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Around every entry into grpc that may block."""
        with self._condition:
            while self._closed:
                self._condition.wait()
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    def opened(self, stream: Any) -> None:
        """An open stream, to be cancelled where a fork comes."""
        self._streams.add(stream)

    def register(self) -> None:
        """Hook into ``os.fork``. To be called once a channel exists: Python runs the latest
        ``before`` hook first, and ours must run before grpc's own."""
        if self._is_registered or not hasattr(os, "register_at_fork"):
            return
        self._is_registered = True
        os.register_at_fork(
            before=self._close, after_in_parent=self._open, after_in_child=self.reset
        )

    def _close(self) -> None:
        with self._condition:
            self._closed = True
            self.forks += 1
            streams = tuple(self._streams)
        for stream in streams:
            stream.cancel()
        with self._condition:
            self._condition.wait_for(lambda: self._inside == 0, PATIENCE_S)

    def _open(self) -> None:
        with self._condition:
            self._closed = False
            self._condition.notify_all()


gate = Gate()

# Read by grpc at its first import, so ``_client`` imports this module before all others.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")
