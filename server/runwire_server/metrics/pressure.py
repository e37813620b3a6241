"""How much is coming in: work in the background takes what that leaves of the machine."""

from __future__ import annotations

import math
import time

# More than this much in a second is a backlog being sent, by jobs that wait for it: what
# can be done later is done at a quarter of its usual pace then.
HIGH_BYTES = 32 << 20
SLOWED = 0.25


class Pressure:
    """A leaky count of the bytes of the last second or so. Safe for threads, but for a count
    that is slightly off."""

    def __init__(self) -> None:
        self._bytes = 0.0
        self._at = time.monotonic()

    def note(self, size_bytes: int) -> None:
        """So many bytes were committed."""
        now = time.monotonic()
        self._bytes = self._bytes * math.exp(self._at - now) + size_bytes
        self._at = now

    @property
    def is_high(self) -> bool:
        return self._bytes * math.exp(self._at - time.monotonic()) > HIGH_BYTES

    def rest_s(self, worked_s: float, duty: float) -> float:
        """How long to rest after work that may take this part of a core."""
        return worked_s * (1 / (duty * SLOWED if self.is_high else duty) - 1)
