"""What keeps the board of ``runwire top`` up to date: a watch of runs, a tail of metrics."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from runwire._command.find import experiment_of
from runwire._command.top_board import WIDTH, Board
from runwire._errors import NotFoundError

if TYPE_CHECKING:
    from runwire import Client
    from runwire._feed import Feed

UNDER_WAY = "state IN ('SCHEDULED', 'RUNNING', 'LOST')"
# Keys of a run that are looked at to choose from.
LISTED = 100
# Points come together so often.
INTERVAL_S = 0.2
# Runs that have ended make room for others.
LOOK_S = 5.0


class Feeds:
    """Two threads. ``error``: what has ended them."""

    def __init__(self, client: Client, board: Board, args: argparse.Namespace):
        self._client, self._board = client, board
        self._experiments = [experiment_of(client, one).experiment_id for one in args.experiment]
        self._filter = args.filter
        self.error: Exception | None = None
        self._closed = False
        self._changed = threading.Event()
        self._watch: Feed[Any] | None = None
        self._tail: Feed[Any] | None = None
        self._followed: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def is_away(self) -> bool:
        """Whether the server is waited for."""
        feeds = (self._watch, self._tail)
        return any(feed is not None and feed.is_away for feed in feeds)

    def search(self) -> None:
        """Put on the board what is under way now."""
        under_way = f"({self._filter}) AND {UNDER_WAY}" if self._filter else UNDER_WAY
        for run in self._client.runs.search(self._experiments, filter=under_way):
            self._board.put(run)
        self._choose()

    def load(self) -> None:
        """Read the courses that are not on the board yet."""
        for run_id, keys in self._board.unloaded():
            options: dict[str, Any] = {"reduce": "BUCKETS", "max_points": WIDTH}
            found = self._client.metrics.read(run_id, keys, **options)
            self._board.load(run_id, found.values())

    def start(self) -> None:
        self._watch = self._client.runs.watch(self._experiments, filter=self._filter)
        next(self._watch)  # it watches: what changes from here on is told
        self.search()
        for work in (self._watch_runs, self._tail_metrics):
            threading.Thread(target=self._guarded, args=(work,), daemon=True).start()

    def close(self) -> None:
        self._closed = True
        for feed in (self._watch, self._tail):
            if feed is not None:
                feed.close()
        self._changed.set()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # told by the thread of the screen
            if not self._closed:
                self.error = error

    def _watch_runs(self) -> None:
        assert self._watch is not None  # noqa: S101 - set by start
        for event in self._watch:
            if event.HasField("changed"):
                self._board.put(event.changed)
                self._choose()

    def _choose(self) -> None:
        """Which metrics of a run are shown; a run that has just begun has none yet."""
        for run_id in self._board.lacks_keys():
            listed = islice(self._client.metrics.list(run_id), LISTED)
            self._board.choose(run_id, [one.key for one in listed])
        self._renew()

    def _renew(self) -> None:
        self._changed.set()
        tail = self._tail
        if tail is not None and self._board.selection() != self._followed:
            tail.close()

    def _tail_metrics(self) -> None:
        while not self._closed:
            self._changed.clear()
            self._followed = run_ids, keys = self._board.selection()
            if not run_ids:
                self._changed.wait(LOOK_S)
                continue
            self._tail = self._client.metrics.tail(run_ids, keys, min_interval_s=INTERVAL_S)
            try:
                self._follow(self._tail)
            except NotFoundError as error:  # it was deleted: the watch tells, too
                self._board.drop(error.metadata.get("key", ""))

    def _follow(self, tail: Feed[Any]) -> None:
        with tail:
            for event in tail:
                self.load()  # once it follows, so that there is no gap between the two
                self._board.take(event)
                if self._closed or self._board.selection() != self._followed:
                    return
