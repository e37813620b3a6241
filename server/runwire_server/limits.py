"""What the server accepts, in one place, as ``GetServerInfo`` tells it to clients."""

from __future__ import annotations

import unicodedata

from runwire.v1.server_service_pb2 import Limits

from runwire_server.errors import FieldInvalid, TooLarge

MIB = 1 << 20

# A stream that is older is told to close, and goes on at whatever server it then reaches.
STREAM_AGE_S = 600.0

LIMITS = Limits(
    max_message_bytes=4 * MIB,
    max_batch_bytes=MIB,
    max_series_per_run=2_000_000,
    max_key_bytes=512,
    max_value_bytes=64 * 1024,
    max_page_size=10_000,
    # Measured over a stream: 1.0 GiB/s at 256 KiB, 1.6 at 1 MiB, no more above it.
    blob_chunk_bytes=MIB,
    max_blob_bytes=1 << 40,
    max_batch_put_bytes=2 * MIB,
)


def check_key(field: str, key: str) -> None:
    """A key of a param, tag or metric: 1 to ``max_key_bytes`` bytes of UTF-8, printable."""
    if not key:
        raise FieldInvalid(field, "a key must not be empty")
    size = len(key.encode())
    if size > LIMITS.max_key_bytes:
        raise TooLarge(field, size, LIMITS.max_key_bytes)
    if not key.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in key):
        raise FieldInvalid(field, f"the key {key!r} holds a control character")


def check_value(field: str, value: str) -> None:
    """A value of a param or tag, or a description: at most ``max_value_bytes``, no NUL."""
    size = len(value.encode())
    if size > LIMITS.max_value_bytes:
        raise TooLarge(field, size, LIMITS.max_value_bytes)
    if "\x00" in value:
        raise FieldInvalid(field, "a value must not hold a NUL character")
