"""SHA-256 in a thread of its own: it takes longer than all else that is done with a chunk."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

# Chunks that wait to be hashed: a bound on the memory, some milliseconds of work.
MOST_WAITING = 4


class Hasher:
    """Takes the bytes in their order. To be closed, which ends the thread."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._waiting: deque[Future[None]] = deque()

    def update(self, data: bytes) -> None:
        while len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._sha256.update, data))

    def digest(self) -> str:
        """``sha256:…`` of all that came."""
        while self._waiting:
            self._waiting.popleft().result()
        return f"sha256:{self._sha256.hexdigest()}"

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
