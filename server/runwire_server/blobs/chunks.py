"""Chunks of a blob on the wire: checked on their way in, made on their way out."""

from __future__ import annotations

import zlib
from collections.abc import Container, Iterable, Iterator

import google_crc32c
from runwire.v1.artifact_pb2 import CODEC_GZIP, CODEC_UNSPECIFIED, CODEC_ZSTD, Chunk, Codec

from runwire_server.blobs import zstd
from runwire_server.errors import ChecksumMismatch, FieldInvalid, TooLarge, Unimplemented

# zlib's name for "with a gzip header and trailer".
_GZIP_WBITS = 16 + zlib.MAX_WBITS


def decode(chunk: Chunk, max_bytes: int) -> bytes:
    """The plain bytes. Raises ``ChecksumMismatch``, ``TooLarge``, ``FieldInvalid``,
    and ``Unimplemented`` for a codec that this server does not have.

    Of plain chunks, ``plain_size`` may be left out.
    """
    if chunk.plain_size < 0:
        raise FieldInvalid("chunk.plain_size", "must not be negative")
    data = chunk.data  # a copy each time that it is asked for
    if max(chunk.plain_size, len(data)) > max_bytes:
        raise TooLarge("chunk", max(chunk.plain_size, len(data)), max_bytes)
    if chunk.codec != CODEC_UNSPECIFIED:
        data = _unpack(chunk, data)
    if len(data) != chunk.plain_size and (chunk.plain_size or chunk.codec):
        raise FieldInvalid("chunk.plain_size", f"{chunk.plain_size}, but there are {len(data)}")
    if chunk.HasField("crc32c") and google_crc32c.value(data) != chunk.crc32c:
        raise ChecksumMismatch(chunk.offset)
    return data


def fill(chunk: Chunk, offset: int, data: bytes, accepted: Container[int] = ()) -> None:
    """Make it a chunk, in its place inside a response: one copy less. Packed where the caller
    accepts that and it pays."""
    chunk.offset, chunk.plain_size = offset, len(data)
    chunk.crc32c = google_crc32c.value(data)
    if CODEC_ZSTD in accepted and (packed := zstd.pack(data)):
        chunk.codec, chunk.data = CODEC_ZSTD, packed
    else:
        chunk.data = data


def split(blocks: Iterable[bytes], offset: int, chunk_bytes: int) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of chunks of at most ``chunk_bytes``, of blocks of any size."""
    for block in blocks:
        for start in range(0, len(block), chunk_bytes):
            # A slice of all of it is no copy.
            data = block[start : start + chunk_bytes]
            yield offset, data
            offset += len(data)


def _unpack(chunk: Chunk, packed: bytes) -> bytes:
    if chunk.codec == CODEC_ZSTD:
        return zstd.unpack(packed, chunk.plain_size, chunk.offset)
    if chunk.codec == CODEC_GZIP:
        return _gunzip(packed, chunk.plain_size, chunk.offset)
    name = Codec.Name(chunk.codec) if chunk.codec in Codec.values() else str(chunk.codec)
    raise Unimplemented(f"the codec {name}")


def _gunzip(packed: bytes, plain_size: int, offset: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_WBITS)
    try:
        # One byte more than promised is enough to know: a bomb is never blown up.
        data = unpacker.decompress(packed, plain_size + 1)
    except zlib.error as error:
        raise ChecksumMismatch(offset, "it is not whole gzip data") from error
    if len(data) > plain_size:
        raise FieldInvalid("chunk.plain_size", f"the data is larger than {plain_size}")
    if not unpacker.eof or unpacker.unused_data:
        raise ChecksumMismatch(offset, "it is not one whole gzip member")
    return data
