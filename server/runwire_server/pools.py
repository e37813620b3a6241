"""The threads that answer calls, with bounds: one set for the gRPC port and the web port.

The database and fsspec block, so every call has a thread. Short calls and long streams have
pools of their own, so that watchers cannot starve writers; a call that would only wait in a
full pool is refused at once with ``OVERLOADED``. A stream has a thread for as long as it is
open, so ``--stream-threads`` is also how many may follow one process: watchers, tails and
uploaders together. Threads are made when they are needed.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from runwire_server.settings import Settings

# How many calls may wait for a thread of a pool, as a multiple of its threads.
WAITING_PER_THREAD = 8


class Pool(ThreadPoolExecutor):
    """A thread pool that knows when another call would only wait."""

    def __init__(self, threads: int, name: str):
        super().__init__(threads, thread_name_prefix=name)
        self._most_waiting = threads * WAITING_PER_THREAD

    @property
    def is_full(self) -> bool:
        return self._work_queue.qsize() >= self._most_waiting


class StreamPool(Pool):
    """For calls that may have no end: none waits until another has ended."""

    def __init__(self, threads: int, name: str):
        super().__init__(threads, name)
        self._threads_at_most = threads
        self._lock = threading.Lock()
        self._open = 0

    @property
    def is_full(self) -> bool:
        return self._open >= self._threads_at_most

    def submit(self, *call: Any, **arguments: Any) -> Future[Any]:
        with self._lock:
            self._open += 1
        future = super().submit(*call, **arguments)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _future: Future[Any]) -> None:
        with self._lock:
            self._open -= 1


class Pools:
    """Those of one process."""

    def __init__(self, settings: Settings):
        self.unary = Pool(settings.unary_threads, "unary")
        self.streams = StreamPool(settings.stream_threads, "stream")

    def of(self, *, streaming: bool) -> Pool:
        return self.streams if streaming else self.unary

    def close(self) -> None:
        """Calls that still wait are given up, those under way end by themselves."""
        for pool in (self.unary, self.streams):
            pool.shutdown(wait=False, cancel_futures=True)
