"""Memory that a test lets a call take."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

_ROUNDS = 20


def holds_less_than(limit: int, call: Callable[[], object]) -> None:
    """Fail where a call holds so many bytes of Python and numpy at a time.

    What other threads of this process take meanwhile counts, too. So a call that seems to
    hold too much is made again: what it takes itself, it takes each time.
    """
    peaks: list[int] = []
    for _ in range(_ROUNDS):
        tracemalloc.start()
        try:
            call()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        if peaks[-1] < limit:
            return
    raise AssertionError(f"{min(peaks)} bytes at least, in {_ROUNDS} rounds")
