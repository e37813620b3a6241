"""Names of metrics as numbers."""

from __future__ import annotations

import hashlib
from functools import lru_cache

_MASK = (1 << 63) - 1


@lru_cache(maxsize=1 << 17)
def key_id(name: str) -> int:
    """The number that stands for a metric's name in every table, 0 to 2**63 - 1.

    The first 8 bytes of BLAKE2b (little endian, digest size 8) of the UTF-8 name,
    without the top bit so that it fits a signed column. It is stored: it must never
    change. Two names with one number are told apart by ``metric_keys``, which
    refuses the second.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") & _MASK
