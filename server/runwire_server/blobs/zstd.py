"""Zstandard frames of chunks: made where they pay, unpacked within bounds."""

from __future__ import annotations

import zstandard

from runwire_server.errors import ChecksumMismatch, FieldInvalid

# About as quick as a disk; more is for those who keep what they pack.
LEVEL = 1
# Bytes at the start of a chunk that tell of the rest: what is packed already costs 2 % more.
SAMPLE_BYTES = 16 << 10
# Memory that a frame may ask for: no chunk is larger.
MOST_WINDOW_BYTES = 8 << 20
# A chunk must shrink to this share of itself.
MOST_SHARE = 0.8


def pack(data: bytes) -> bytes | None:
    """One frame, or None where it does not pay."""
    packer = zstandard.ZstdCompressor(level=LEVEL)
    sample = data[:SAMPLE_BYTES]
    if len(packer.compress(sample)) > MOST_SHARE * len(sample):
        return None
    packed = packer.compress(data)
    return packed if len(packed) <= MOST_SHARE * len(data) else None


def unpack(packed: bytes, plain_size: int, offset: int) -> bytes:
    """The plain bytes. Raises ``FieldInvalid`` where they are not ``plain_size``, before more
    is unpacked, and ``ChecksumMismatch`` for what is not one whole frame."""
    try:
        # The library trusts a frame that tells its own size, and would allocate all of it.
        told = zstandard.get_frame_parameters(packed).content_size
        if told not in (plain_size, zstandard.CONTENTSIZE_UNKNOWN):
            raise FieldInvalid("chunk.plain_size", f"{plain_size}, but the frame says {told}")
        unpacker = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW_BYTES)
        return unpacker.decompress(packed, max_output_size=plain_size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ChecksumMismatch(offset, "it is not one whole zstd frame of this size") from error
