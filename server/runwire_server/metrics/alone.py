"""One thread at a time for a run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Alone:
    """``with alone(run_id)``: threads that ask for the same run wait for one another."""

    def __init__(self) -> None:
        self._busy: set[str] = set()
        self._free = threading.Condition()

    @contextmanager
    def __call__(self, run_id: str) -> Iterator[None]:
        with self._free:
            while run_id in self._busy:
                self._free.wait()
            self._busy.add(run_id)
        try:
            yield
        finally:
            with self._free:
                self._busy.remove(run_id)
                self._free.notify_all()
