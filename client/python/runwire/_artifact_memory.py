"""Memory that gRPC frees is kept for the next chunk, where the C library is glibc.

There, by default, what is freed at the end of a heap goes back to the kernel at once, and
every chunk gets its pages anew: 150,000 page faults for 1 GiB, a fifth of a download's CPU
time. Freeing one large block teaches it otherwise: from then on it keeps twice as much
(https://man7.org/linux/man-pages/man3/mallopt.3.html, M_MMAP_THRESHOLD).
"""

from __future__ import annotations

from functools import cache

# The memory of a transfer, and no more: each thread's heap may keep twice as much.
BLOCK_BYTES = 8 << 20


@cache
def keep_freed() -> None:
    """Once in a process. The block's pages are never touched."""
    bytes(BLOCK_BYTES)
