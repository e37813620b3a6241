"""One endless call: what there is to tell now, then what changes, and a Mark while nothing does.

The same for every call that follows something; what it tells is its ``Source``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from runwire_server.errors import Draining
from runwire_server.store.pulse import Follower, Pulse

Event = TypeVar("Event", covariant=True)

MARK_S = 15.0
# How often a call looks whether it is to end while nothing else happens.
LOOK_S = 0.5


class Source(Protocol[Event]):
    """What one call tells. Its methods run in the thread of the call, one at a time."""

    @property
    def topics(self) -> Collection[str]: ...

    @property
    def interval_s(self) -> float:
        """Tell no more often than this."""

    def begin(self) -> Mapping[str, Hashable]:
        """The state of all topics, before the first event."""

    def news(self, changes: Mapping[str, Hashable]) -> Iterator[Event]:
        """What there is to tell, now that these topics are in these states. No transaction
        is open while an event is on its way: its reader may take its time."""

    def mark(self) -> Event | None:
        """Nothing missed up to here. None: there is no place yet to go on from."""


class Live(Generic[Event]):
    """Serves one source. ``cancel`` may be called from any thread.

    ``drain``: set when the server goes away. ``lasts_s``: how long the call may be open.
    Either way it ends with a last Mark, where there is one, and ``Draining``: its caller goes
    on elsewhere.
    """

    def __init__(self, source: Source[Event], pulse: Pulse, drain: threading.Event, lasts_s: float):
        self._source, self._pulse, self._drain = source, pulse, drain
        self._ends_s = time.monotonic() + lasts_s
        self._cancelled = False
        self._follower: Follower | None = None

    def cancel(self) -> None:
        """The call is over."""
        self._cancelled = True
        if self._follower is not None:
            self._follower.wake()

    def events(self) -> Iterator[Event]:
        with self._pulse.follow(self._source.topics) as self._follower:
            pending = dict(self._source.begin())
            yield from self._told(pending)
            yield from self._marked()
            marked_s = told_s = time.monotonic()
            pending = {}
            while not self._cancelled:
                if pending and time.monotonic() >= told_s + self._source.interval_s:
                    for event in self._told(pending):
                        yield event
                        marked_s = told_s = time.monotonic()
                    pending = {}
                if self._is_due():
                    yield from self._marked()
                    raise self._moved()
                if time.monotonic() - marked_s >= MARK_S:
                    yield from self._marked()
                    marked_s = time.monotonic()
                pending |= self._follower.wait(self._pause_s(bool(pending), told_s))

    def _told(self, pending: Mapping[str, Hashable]) -> Iterator[Event]:
        """The news, or as much of them as there is time for."""
        for event in self._source.news(pending):
            yield event
            if self._cancelled or self._is_due():
                return

    def _marked(self) -> Iterator[Event]:
        mark = self._source.mark()
        if mark is not None:
            yield mark

    def _is_due(self) -> bool:
        return self._drain.is_set() or time.monotonic() >= self._ends_s

    def _moved(self) -> Draining:
        if self._drain.is_set():
            return Draining()
        return Draining(0.0, "the call is as old as it may be: go on with its cursor")

    def _pause_s(self, waits: bool, told_s: float) -> float:
        """``waits``: there is something to tell, but it is too soon."""
        now = time.monotonic()
        due = told_s + self._source.interval_s if waits else now + LOOK_S
        return max(0.0, min(due, now + LOOK_S, self._ends_s) - now)
