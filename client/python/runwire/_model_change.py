"""Telling of changes of models, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from runwire._errors import RunwireError, from_fault
from runwire.v1.common_pb2 import Fault
from runwire.v1.model_pb2 import ModelVersion

log = logging.getLogger("runwire")

Meaning = ModelVersion | Fault
"""What a reference means, or why it means nothing."""

# A callback under way is waited for so long when the watcher is closed.
CLOSE_S = 10.0


@dataclass(frozen=True)
class ModelChange:
    """A reference means another version: ``before`` and ``now`` (None: it means nothing, and
    ``error`` says why)."""

    reference: str
    before: ModelVersion | None
    now: ModelVersion | None
    error: RunwireError | None


OnChange = Callable[[ModelChange], object]


class Announcer:
    """Calls back one change at a time. What changes several times meanwhile is told as it is
    in the end, and not at all where that is as it was."""

    def __init__(self, on_change: OnChange):
        self._on_change = on_change
        self._condition = threading.Condition()
        self._told: dict[str, Meaning] = {}
        self._latest: dict[str, Meaning] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="runwire-models-told", daemon=True)
        self._thread.start()

    def tell(self, meanings: Mapping[str, Meaning]) -> None:
        with self._condition:
            self._latest = dict(meanings)
            self._condition.notify()

    def close(self) -> None:
        """No callback begins after this; safe to call from one."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_S)

    def _work(self) -> None:
        while (change := self._next()) is not None:
            try:
                self._on_change(change)
            except Exception:  # the callback's own fault must not end what serves it
                log.exception("the callback for %s failed", change.reference)

    def _next(self) -> ModelChange | None:
        with self._condition:
            while not self._closed:
                for reference, now in self._latest.items():
                    before = self._told.get(reference)
                    self._told[reference] = now
                    if _content(before) != _content(now):
                        return _change(reference, before, now)
                self._condition.wait()
            return None


def _content(meaning: Meaning | None) -> object:
    """What makes it another version: notes, tags, aliases and stage do not."""
    if isinstance(meaning, ModelVersion):
        made = meaning.create_time
        place = (meaning.model, meaning.version, made.seconds, made.nanos)
        return (*place, meaning.tree_digest, meaning.source_uri)
    return meaning if meaning is None else meaning.reason


def _change(reference: str, before: Meaning | None, now: Meaning) -> ModelChange:
    return ModelChange(
        reference,
        before if isinstance(before, ModelVersion) else None,
        now if isinstance(now, ModelVersion) else None,
        from_fault(now) if isinstance(now, Fault) else None,
    )
