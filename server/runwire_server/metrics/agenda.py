"""What there is to fold and to remove, and when. Knows no database, clock or thread."""

from __future__ import annotations

import enum
import heapq
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

# So much of a run is folded at once, however it comes: reads then find few frames.
FOLD_BYTES = 4 << 20
FOLD_FRAMES = 256
# A run without points for so long is folded to the end, and its small blocks are merged.
IDLE_S = 30.0
# How often to look for what other servers, or processes before this one, left behind.
SWEEP_S = 600.0


class Act(enum.StrEnum):
    FOLD = "fold"
    SETTLE = "settle"  # fold to the end and merge small blocks
    TRIM = "trim"
    SWEEP = "sweep"


class Task(NamedTuple):
    act: Act
    run_id: str = ""  # empty: of all


@dataclass(slots=True)
class _Waiting:
    """What came of one run since it was last folded, and when the latest of it did."""

    size_bytes: int = 0
    frames: int = 0
    latest: float = 0.0


class Agenda:
    """Times are seconds of one monotonic clock. Not safe for threads."""

    def __init__(self, idle_s: float = IDLE_S):
        self._idle_s = idle_s
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()  # the longest idle first
        self._ready: OrderedDict[str, None] = OrderedDict()
        self._later: list[tuple[float, Task]] = [(0.0, Task(Act.SWEEP))]

    def note(self, run_id: str, size_bytes: int, now: float) -> bool:
        """The run got a frame; True where something is to be done earlier than before."""
        known = run_id in self._waiting
        waiting = self._waiting.setdefault(run_id, _Waiting())
        self._waiting.move_to_end(run_id)
        waiting.latest = now
        waiting.size_bytes += size_bytes
        waiting.frames += 1
        if waiting.size_bytes < FOLD_BYTES and waiting.frames < FOLD_FRAMES:
            return not known and len(self._waiting) == 1
        waiting.size_bytes = waiting.frames = 0
        self._ready[run_id] = None
        return True

    def put(self, task: Task, when: float) -> None:
        """Do this, not before then."""
        heapq.heappush(self._later, (when, task))

    def next(self, now: float) -> tuple[Task | None, float | None]:
        """What is due; where nothing is: None, and in how many seconds something will be
        (None: not before ``note``)."""
        if self._ready:
            return Task(Act.FOLD, self._ready.popitem(last=False)[0]), 0.0
        if self._later and self._later[0][0] <= now:
            return heapq.heappop(self._later)[1], 0.0
        times = [self._later[0][0]] if self._later else []
        for run_id, waiting in self._waiting.items():
            if waiting.latest + self._idle_s <= now:
                del self._waiting[run_id]
                return Task(Act.SETTLE, run_id), 0.0
            times.append(waiting.latest + self._idle_s)
            break
        return None, min(times) - now if times else None
