"""How far a read got, as the token that goes on from there."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import NamedTuple

import google_crc32c
from runwire.v1.metric_service_pb2 import ReadSeriesRequest

from runwire_server.errors import FieldInvalid
from runwire_server.metrics.reduce import Range
from runwire_server.metrics.wire import read_varint, varint

_VERSION = 3
_TOKEN = struct.Struct("<B8sIQB")
# The runs of a read whose tokens tell ``until``: 2 KiB or less in each response.
MAX_TOLD = 256
_BOUND_BYTES = 16  # a relative time can lie outside of int64


class Place(NamedTuple):
    """``sent`` rows of a series were answered, or all of it (``done``).

    ``range`` is what the buckets of the request cover, ``until`` the last arrival that the
    read sees of each run. They come back with the token, so that points that arrive
    meanwhile move no edge, and are left to a tail that goes on from the read.
    """

    run: int  # index into the runs asked for
    key: str
    sent: int
    done: bool
    range: Range
    until: Sequence[int]  # empty where the runs are too many to tell


def encode(place: Place, digest: bytes) -> bytes:
    """``digest``: of the request, whose token this is."""
    body = _TOKEN.pack(_VERSION, digest, place.run, place.sent, place.done)
    body += b"".join(bound.to_bytes(_BOUND_BYTES, "little", signed=True) for bound in place.range)
    body += varint(len(place.until)) + b"".join(map(varint, place.until))
    body += place.key.encode()
    return body + _checksum(body)


def decode(token: bytes, digest: bytes) -> Place:
    """Raises ``FieldInvalid`` for a token that is damaged or of another request."""
    body = token[:-4]
    start = _TOKEN.size + 2 * _BOUND_BYTES
    if len(body) < start or _checksum(body) != token[-4:]:
        raise damaged()
    version, made_for, run, sent, done = _TOKEN.unpack_from(body)
    if version != _VERSION or made_for != digest:
        raise FieldInvalid("resume", "belongs to another request; start again without it")
    low, high = (
        int.from_bytes(body[at : at + _BOUND_BYTES], "little", signed=True)
        for at in (_TOKEN.size, _TOKEN.size + _BOUND_BYTES)
    )
    try:
        until, rest = _until(body[start:])
        key = rest.decode()
    except ValueError as error:
        raise damaged() from error
    if "\x00" in key or low >= high:
        raise damaged()
    return Place(run, key, sent, bool(done), Range(low, high), until)


def _until(data: bytes) -> tuple[list[int], bytes]:
    """The arrivals, and what stands behind them. Raises ``ValueError``."""
    count, at = read_varint(data, 0)
    if count > MAX_TOLD:
        raise ValueError("too many")
    until = []
    for _ in range(count):
        number, at = read_varint(data, at)
        until.append(number)
    return until, data[at:]


def damaged() -> FieldInvalid:
    return FieldInvalid("resume", "is not a token of this server; start again without it")


def digest_of(request: ReadSeriesRequest) -> bytes:
    """Of all of a request but how far it got."""
    rest = ReadSeriesRequest()
    rest.CopyFrom(request)
    rest.ClearField("resume")
    data = rest.SerializeToString(deterministic=True)
    return hashlib.blake2b(data, digest_size=8).digest()


def _checksum(body: bytes) -> bytes:
    return int(google_crc32c.value(body)).to_bytes(4, "little")
