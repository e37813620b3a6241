"""SHA-256 in a thread of its own: hashing and sending or writing take as long as each other."""

from __future__ import annotations

import hashlib
import queue
import threading
from typing import Self

# Blocks that wait to be hashed: a bound on the memory, some milliseconds of work.
MOST_WAITING = 4


class Hasher:
    """Takes the bytes in their order. Leave its block to end the thread.

    Not a pool of ``concurrent.futures``: that takes nothing more once the interpreter ends,
    when an uploader that is a thread of the job still has to send the last artifacts.
    """

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._waiting: queue.Queue[bytes | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="sha256", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()

    def update(self, data: bytes) -> None:
        self._waiting.put(data)

    def digest(self) -> str:
        """``sha256:…`` of all that came."""
        self._waiting.join()
        return f"sha256:{self._sha256.hexdigest()}"

    def _work(self) -> None:
        while (data := self._waiting.get()) is not None:
            self._sha256.update(data)
            self._waiting.task_done()
