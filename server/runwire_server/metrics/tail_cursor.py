"""How far a tail got, as the bytes that go on from there.

Little endian: version u8 | selection 8s | a place for each run of the selection, in its
order | crc32c u32. A place is a varint, arrival << 2 | partial << 1 | ended; where it is
partial, two more follow: frames of the next arrival, and points of the frame after these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import google_crc32c

from runwire_server.errors import FieldInvalid
from runwire_server.metrics.outstanding import PLACE_BITS
from runwire_server.metrics.wire import read_varint, varint

_VERSION = b"\x01"
_HEAD = 1 + 8
_PARTIAL, _ENDED = 2, 1
# So that a place fits 63 bits.
_MAX_ARRIVAL = 1 << 42


@dataclass(slots=True)
class Place:
    """Where a tail stands in a run: before the frame ``next`` (an arrival, and in its low
    bits which frame of it), of which it has ``sent`` so many points already. ``ended``: it
    has told that the run is over."""

    next: int = 1 << PLACE_BITS
    sent: int = 0
    ended: bool = False

    @classmethod
    def behind(cls, arrival: int, *, ended: bool = False) -> Place:
        return cls((arrival + 1) << PLACE_BITS, 0, ended)

    @property
    def arrival(self) -> int:
        """The last one of which everything is sent."""
        return (self.next >> PLACE_BITS) - 1

    def move(self, next: int, sent: int = 0) -> None:
        self.next, self.sent, self.ended = next, sent, False


class Cursor:
    """The places of a tail, by run. ``bytes``: as of the last ``moved``."""

    def __init__(self, places: Mapping[str, Place], digest: bytes):
        self.places = places
        self._head = _VERSION + digest
        self._coded = {run_id: _encode(place) for run_id, place in places.items()}
        self.bytes = self._join()

    def moved(self, run_id: str) -> bytes:
        """The place in a run has changed."""
        self._coded[run_id] = _encode(self.places[run_id])
        self.bytes = self._join()
        return self.bytes

    def _join(self) -> bytes:
        body = self._head + b"".join(self._coded.values())
        return body + _checksum(body)


def decode(cursor: bytes, digest: bytes, run_ids: Iterable[str]) -> Cursor:
    """Raises ``FieldInvalid`` for a cursor that is damaged or of another selection."""
    body = cursor[:-4]
    if len(body) < _HEAD or _checksum(body) != cursor[-4:] or body[:1] != _VERSION:
        raise _damaged()
    if body[1:_HEAD] != digest:
        raise FieldInvalid("cursor", "belongs to another selection; start again without it")
    try:
        numbers = _varints(body[_HEAD:])
        places = {run_id: _decode(numbers) for run_id in run_ids}
        if next(numbers, None) is not None:
            raise ValueError("more places than runs")
    except (ValueError, StopIteration):
        raise _damaged() from None
    return Cursor(places, digest)


def ahead(run_id: str) -> FieldInvalid:
    """The cursor knows of points that the run does not have: of another database."""
    return FieldInvalid("cursor", f"is ahead of run {run_id!r}; start again without it")


def _damaged() -> FieldInvalid:
    return FieldInvalid("cursor", "is not a cursor of this server; start again without it")


def _encode(place: Place) -> bytes:
    frame = place.next & ((1 << PLACE_BITS) - 1)
    flags = (_PARTIAL if frame or place.sent else 0) | (_ENDED if place.ended else 0)
    head = varint(place.arrival << 2 | flags)
    return head + varint(frame) + varint(place.sent) if flags & _PARTIAL else head


def _decode(numbers: Iterator[int]) -> Place:
    head = next(numbers)
    if head >> 2 >= _MAX_ARRIVAL:
        raise ValueError("no arrival is so large")
    place = Place.behind(head >> 2, ended=bool(head & _ENDED))
    if head & _PARTIAL:
        frame, place.sent = next(numbers), next(numbers)
        if frame >> PLACE_BITS:
            raise ValueError("no batch has so many frames")
        place.next |= frame
    return place


def _varints(data: bytes) -> Iterator[int]:
    """Raises ``ValueError``."""
    at = 0
    while at < len(data):
        number, at = read_varint(data, at)
        yield number


def _checksum(body: bytes) -> bytes:
    return int(google_crc32c.value(body)).to_bytes(4, "little")
