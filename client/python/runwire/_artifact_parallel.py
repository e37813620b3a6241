"""Several transfers at a time, with one count of bytes over all of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from runwire._artifact_memory import keep_freed

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all), from one thread at a time."""

PARALLEL = 4
# Files up to here go many in a message, larger ones as streams of their own.
SMALL_BYTES = 256 << 10
BATCH_BYTES = 1 << 20
BATCH_FILES = 500

T = TypeVar("T")


class Stopped(Exception):
    """Another transfer failed, or the user broke off: this one ends too."""


class Meter:
    """Adds up what the transfers have done, and stops them at their next step."""

    def __init__(self, progress: Progress | None, total: int):
        self._progress, self._total, self._done = progress, total, 0
        self._lock = threading.Lock()
        self._stopped = False
        self.add(0)

    def add(self, count: int) -> None:
        """``count`` bytes more. Raises ``Stopped`` where it is of no use to go on."""
        with self._lock:
            if self._stopped:
                raise Stopped
            self._done += count
            if self._progress is not None:
                self._progress(self._done, self._total)

    def expect(self, count: int) -> None:
        """There are so many bytes more in all, or fewer, than there were said to be."""
        with self._lock:
            self._total += count

    def stop(self) -> None:
        with self._lock:
            self._stopped = True


def run_all(transfers: Iterable[Callable[[], None]], meter: Meter) -> None:
    """Run all; the first failure stops the others and is raised when they have ended."""
    keep_freed()
    left, failures = deque(transfers), list[BaseException]()

    def work() -> None:
        with suppress(IndexError):
            while not failures:
                transfer = left.popleft()
                try:
                    transfer()
                except BaseException as error:
                    failures.append(error)
                    meter.stop()

    # Not a pool, for the reason that ``Hasher`` has none.
    threads = [
        threading.Thread(target=work, name="artifacts", daemon=True)
        for _ in range(min(PARALLEL, len(left)))
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:
        left.clear()
        meter.stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        raise
    if failures:
        raise failures[0]


def batches(
    small: Iterable[T],
    size_of: Callable[[T], int],
    most_bytes: int = BATCH_BYTES,
    most_files: int = BATCH_FILES,
) -> Iterator[list[T]]:
    """Lists of small files that fit a message, or the given bounds; a larger one is alone."""
    batch: list[T] = []
    size = 0
    for one in small:
        if batch and (size + size_of(one) > most_bytes or len(batch) == most_files):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += size_of(one)
    if batch:
        yield batch
