"""Memory that a server frees is kept for what comes next, where the C library is glibc.

By default it goes back to the kernel at once, and every batch and every read gets its pages
anew. On a virtual machine a page is a fault of about a microsecond: half of the time that a
read of a million points takes.
"""

from __future__ import annotations

import ctypes
import sys

# https://www.gnu.org/software/libc/manual/html_node/Malloc-Tunable-Parameters.html
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# So much is kept in each arena at most, of which threads share this many.
KEPT_BYTES = 32 << 20
ARENAS = 2


def keep_freed() -> None:
    """For the whole process; it does nothing elsewhere than on glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
        mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
