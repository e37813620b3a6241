"""Chunks of a blob, with their checksum where this installation can make one.

CRC32C is not in Python's library and the client must stay thin: with ``google-crc32c``
installed every chunk carries its checksum and is checked, without it the SHA-256 of
the whole blob finds the same damage later.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from runwire._errors import RunwireError
from runwire.v1.artifact_pb2 import Chunk


@cache
def _crc32c() -> Callable[[bytes], int] | None:
    try:
        import google_crc32c
    except ImportError:
        return None
    crc32c: Callable[[bytes], int] = google_crc32c.value
    return crc32c


def fill(chunk: Chunk, offset: int, data: bytes) -> None:
    """Make it a plain chunk at ``offset`` bytes of the blob.

    In its place inside a request: a chunk that is put there later is copied once more.
    """
    chunk.offset, chunk.plain_size, chunk.data = offset, len(data), data
    if crc32c := _crc32c():
        chunk.crc32c = crc32c(data)


def check(chunk: Chunk, offset: int) -> bytes:
    """The bytes of a chunk that was received. Raises ``RunwireError``.

    ``offset``: where the last one ended. We accept no codec, so it must be plain.
    """
    if chunk.offset != offset or chunk.codec:
        raise RunwireError(f"a chunk at {chunk.offset} came where {offset} was due")
    data = chunk.data  # a copy each time that it is asked for
    crc32c = _crc32c()
    if crc32c and chunk.HasField("crc32c") and crc32c(data) != chunk.crc32c:
        problem = f"the chunk at {offset} was damaged on its way"
        raise RunwireError(problem, reason="CHECKSUM_MISMATCH")
    return data
