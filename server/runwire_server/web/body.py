"""The body of a request: as much, and for as long, as one caller and all of them may send."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from runwire_server.errors import FieldInvalid, Overloaded
from runwire_server.web.wire import check_size

# A body that takes longer is given up: whoever sends it so slowly holds memory of ours.
BODY_S = 60.0
# Of all calls, from the first byte of a body until its call has ended: 64 of the largest.
MAX_HELD_BYTES = 256 << 20


@dataclass
class Held:
    """Bytes that the bodies of all calls take. Belongs to the thread of the event loop."""

    size_bytes: int = 0


class Body:
    """Of one call; close it when that has ended."""

    def __init__(self, receive: Receive, held: Held):
        self._receive, self._held, self._size = receive, held, 0

    async def read(self, announced: str, max_bytes: int) -> bytes:
        """All of it. ``announced``: its size as the caller says it, or anything at all.

        Raises ``TooLarge``, ``FieldInvalid`` for one that does not end, ``Overloaded``,
        ``ClientDisconnect``.
        """
        check_size(int(announced) if announced.isdigit() else 0, max_bytes)
        data, more = bytearray(), True
        try:
            async with asyncio.timeout(BODY_S):
                while more:
                    more = await self._take(data)
                    check_size(len(data), max_bytes)
        except TimeoutError:
            raise FieldInvalid("request", f"did not arrive within {BODY_S:.0f} s") from None
        return bytes(data)

    def close(self) -> None:
        self._held.size_bytes -= self._size

    async def _take(self, data: bytearray) -> bool:
        """One more part of it. False for the last."""
        message: Any = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        if self._held.size_bytes + len(part) > MAX_HELD_BYTES:
            raise Overloaded(retry_after_s=1.0)
        self._held.size_bytes += len(part)
        self._size += len(part)
        data += part
        return bool(message.get("more_body", False))
