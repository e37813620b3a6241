"""Who waits for changes, and the one thread that looks for them.

Several servers share a database without a way to call one another, so what others commit
is found by asking: one cheap statement for all that is followed here, some times a second.
What this process commits rings the bell, and is found at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager

log = logging.getLogger("runwire.pulse")

Ask = Callable[[Collection[str]], Mapping[str, Hashable]]
"""The present state of each topic; one that is left out does not exist."""

# Between two looks: while something changes, and when nothing did for BUSY_FOR_S.
BUSY_S, IDLE_S = 0.05, 0.2
BUSY_FOR_S = 10.0
# Commits in quick succession are found together.
BELL_S = 0.005
# It rests this many times as long as a look took: under a fifth of a core, however many follow.
REST = 4.0
AWAY_S = 1.0


class Follower:
    """Told of whatever changes of its topics."""

    def __init__(self, topics: Collection[str]):
        self.topics = frozenset(topics)
        self._lock = threading.Lock()
        self._changes: dict[str, Hashable] = {}
        self._woken = threading.Event()

    def tell(self, changes: Mapping[str, Hashable]) -> None:
        with self._lock:
            self._changes.update(changes)
        self._woken.set()

    def wake(self) -> None:
        """End a ``wait`` that is under way, or the next one."""
        self._woken.set()

    def wait(self, timeout_s: float) -> dict[str, Hashable]:
        """Topics with their new state (None: gone), as soon as there are any; none when the
        time is over or it was woken."""
        self._woken.wait(timeout_s)
        self._woken.clear()
        with self._lock:
            changes, self._changes = self._changes, {}
        return changes


class Pulse:
    """Asks while there are followers. Safe for threads."""

    def __init__(self, ask: Ask, name: str):
        self._ask, self._name = ask, name
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._followers: set[Follower] = set()
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def follow(self, topics: Collection[str]) -> Iterator[Follower]:
        """It is told of what changes from here on: read the present state inside. A topic
        that nobody followed before is told once without a change."""
        follower = Follower(topics)
        with self._lock:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                thread.start()  # it waits for this lock
                self._thread = thread
            self._followers.add(follower)
        try:
            yield follower
        finally:
            with self._lock:
                self._followers.discard(follower)

    def ring(self) -> None:
        """Something was committed here: look now."""
        self._bell.set()

    def close(self) -> None:
        """Stop looking; followers are woken a last time."""
        with self._lock:
            self._closed = True
            thread = self._thread
            for follower in self._followers:
                follower.wake()
        self._bell.set()
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        known: Mapping[str, Hashable] = {}
        changed_s = 0.0
        while self._is_followed():
            started = time.monotonic()
            topics = frozenset[str]().union(*(one.topics for one in self._present()))
            found = self._look(topics)
            if found is None:
                self._rest(AWAY_S, AWAY_S)
                continue
            changed = {
                one: found.get(one)
                for one in topics
                if one not in known or known[one] != found.get(one)
            }
            known = {one: found.get(one) for one in topics}
            # Those, too, who came while it looked: they may have begun before the change.
            _tell(self._present(), changed)
            now = time.monotonic()
            changed_s = now if changed else changed_s
            pause_s = BUSY_S if now - changed_s < BUSY_FOR_S else IDLE_S
            least_s = max(BELL_S, REST * (now - started))
            self._rest(least_s, max(pause_s, least_s))

    def _is_followed(self) -> bool:
        """Where nobody follows the thread is given up."""
        with self._lock:
            if self._closed or not self._followers:
                self._thread = None
                return False
            return True

    def _present(self) -> list[Follower]:
        with self._lock:
            return list(self._followers)

    def _look(self, topics: Collection[str]) -> Mapping[str, Hashable] | None:
        try:
            return self._ask(topics)
        except Exception as error:  # a database that is away must not end this thread
            log.warning("looking for changes failed: %s", error)
            return None

    def _rest(self, least_s: float, most_s: float) -> None:
        """So long at the least, and until the bell rings or at the most so long."""
        time.sleep(least_s)
        self._bell.wait(max(0.0, most_s - least_s))
        self._bell.clear()


def _tell(followers: Collection[Follower], changed: Mapping[str, Hashable]) -> None:
    for follower in followers:
        mine = follower.topics & changed.keys() if changed else ()
        if mine:
            follower.tell({one: changed[one] for one in mine})
