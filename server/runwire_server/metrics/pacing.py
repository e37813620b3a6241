"""How often a run should send, where a great many runs send little each.

A batch costs the server about the same however small it is. What many runs would send in
many small batches a second, fewer and larger ones carry as well, some moments later.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping

# Batches that all small writers together are asked to keep to.
BATCHES_PER_S = 250
ACTIVE_S = 10.0
# What they send is committed in groups that gather for this part of the interval they are
# asked to keep, or for so long: a transaction costs as much as several small batches.
LINGER = 0.01
MAX_LINGER_S = 0.05
# Who sends batches of this size has much to say, and is not held up.
SMALL_BYTES = 64 << 10


class Pacing:
    """Counts the runs that sent lately. Used under a lock of its owner."""

    def __init__(self) -> None:
        self._heard: OrderedDict[str, tuple[float, int]] = OrderedDict()  # longest ago first

    def note(self, got: Mapping[str, int]) -> None:
        """A group was committed: bytes of points by run id."""
        now = time.monotonic()
        for run_id, size_bytes in got.items():
            self._heard[run_id] = now, size_bytes
            self._heard.move_to_end(run_id)
        while self._heard and next(iter(self._heard.values()))[0] < now - ACTIVE_S:
            self._heard.popitem(last=False)

    def interval_s(self, run_id: str) -> float:
        """0: as often as it likes. In tenths, and none below one."""
        _, size_bytes = self._heard.get(run_id, (0.0, 0))
        if size_bytes >= SMALL_BYTES:
            return 0.0
        return self._small_interval_s

    def linger_s(self) -> float:
        """How long a group of few bytes may gather."""
        return min(LINGER * self._small_interval_s, MAX_LINGER_S)

    @property
    def _small_interval_s(self) -> float:
        return len(self._heard) * 10 // BATCHES_PER_S / 10
