"""Chunks of a blob, with their checksum where this installation can make one.

CRC32C is not in Python's library and the client must stay thin: with ``google-crc32c``
installed every chunk carries its checksum and is checked, without it the SHA-256 of
the whole blob finds the same damage later. With ``zstandard`` installed, chunks that
shrink travel packed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType

from runwire._errors import RunwireError
from runwire.v1.artifact_pb2 import CODEC_ZSTD, Chunk

# At the start of a chunk; the share of itself that it must shrink to; of one chunk, unpacked.
SAMPLE_BYTES = 16 << 10
MOST_SHARE = 0.8
MOST_BYTES = 8 << 20


@cache
def _crc32c() -> Callable[[bytes], int] | None:
    try:
        import google_crc32c
    except ImportError:
        return None
    crc32c: Callable[[bytes], int] = google_crc32c.value
    return crc32c


@cache
def zstandard() -> ModuleType | None:
    """The library, where it is installed; else chunks travel plain."""
    try:
        import zstandard
    except ImportError:
        return None
    return zstandard


def fill(chunk: Chunk, offset: int, data: bytes, *, pack: bool = False) -> None:
    """Make it a chunk at ``offset`` bytes of the blob. ``pack``: as a zstd frame where it pays.

    In its place inside a request: a chunk that is put there later is copied once more.
    """
    chunk.offset, chunk.plain_size = offset, len(data)
    if crc32c := _crc32c():
        chunk.crc32c = crc32c(data)
    packed = _packed(data) if pack else None
    if packed is None:
        chunk.data = data
    else:
        chunk.codec, chunk.data = CODEC_ZSTD, packed


def _packed(data: bytes) -> bytes | None:
    """A sample at its start tells what is packed already, at 2 % of the price."""
    library = zstandard()
    if library is None:
        return None
    packer = library.ZstdCompressor(level=1)
    sample = data[:SAMPLE_BYTES]
    if len(packer.compress(sample)) > MOST_SHARE * len(sample):
        return None
    packed: bytes = packer.compress(data)
    return packed if len(packed) <= MOST_SHARE * len(data) else None


def check(chunk: Chunk, offset: int) -> bytes:
    """The bytes of a chunk that was received. Raises ``RunwireError``.

    ``offset``: where the last one ended.
    """
    if chunk.offset != offset:
        raise RunwireError(f"a chunk at {chunk.offset} came where {offset} was due")
    data = chunk.data  # a copy each time that it is asked for
    if chunk.codec:
        data = _unpacked(chunk, data)
    crc32c = _crc32c()
    if crc32c and chunk.HasField("crc32c") and crc32c(data) != chunk.crc32c:
        problem = f"the chunk at {offset} was damaged on its way"
        raise RunwireError(problem, reason="CHECKSUM_MISMATCH")
    return data


def _unpacked(chunk: Chunk, packed: bytes) -> bytes:
    """A server is not trusted with our memory: no frame unpacks to more than a message."""
    library = zstandard()
    if library is None or chunk.codec != CODEC_ZSTD or chunk.plain_size > MOST_BYTES:
        raise RunwireError(f"the chunk at {chunk.offset} is packed as we did not ask for")
    try:
        told = library.get_frame_parameters(packed).content_size
        if told not in (chunk.plain_size, library.CONTENTSIZE_UNKNOWN):
            raise RunwireError(f"the chunk at {chunk.offset} is not of the size it tells")
        unpacker = library.ZstdDecompressor(max_window_size=MOST_BYTES)
        data: bytes = unpacker.decompress(
            packed, max_output_size=chunk.plain_size, allow_extra_data=False
        )
    except library.ZstdError as error:
        problem = f"the chunk at {chunk.offset} was damaged on its way ({error})"
        raise RunwireError(problem, reason="CHECKSUM_MISMATCH") from error
    return data
