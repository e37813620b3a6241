"""The columns of a frame: which keys its series are, and which of them may be kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from runwire.v1.common_pb2 import Fault

from runwire_server.errors import FieldInvalid, ServiceError
from runwire_server.limits import check_key
from runwire_server.metrics import keys
from runwire_server.metrics.frames import INT, Ints


@dataclass(slots=True, eq=False)
class Columns:
    """One ordered set of keys of one run, resolved once for all frames that have it."""

    names: tuple[str, ...]  # of the kept columns
    key_ids: Ints  # of the kept columns
    keep: Ints | None  # places of the kept columns; None: all
    refused: dict[str, Fault] = field(default_factory=dict)
    # Its names are in metric_keys and its series count within the run's limit, by a
    # committed transaction: the commit need not look again.
    admitted: bool = False


def collision(name: str) -> FieldInvalid:
    """Another name has the same ``key_id``."""
    return FieldInvalid("series.key", f"{name[:80]!r} cannot be told from another key; rename it")


def resolve(names: tuple[str, ...]) -> Columns:
    """Raises ``FieldInvalid`` where a key comes twice; unusable keys are ``refused``."""
    if len(set(names)) != len(names):
        raise FieldInvalid("frames.series", "a key must not come twice in a frame")
    kept: dict[int, str] = {}
    places, refused = [], {}
    for place, name in enumerate(names):
        try:
            check_key("series.key", name)
            key = keys.key_id(name)
            if key in kept:
                raise collision(name)
        except ServiceError as error:
            refused[name] = error.fault()
        else:
            kept[key] = name
            places.append(place)
    key_ids = np.fromiter(kept, INT, len(kept))
    keep = np.array(places, np.int64) if refused else None
    return Columns(tuple(kept.values()), key_ids, keep, refused)


class ColumnCache:
    """The column sets in use, the longest unused dropped first. Safe for threads.

    It is keyed by names and not by the writer's ids, so that a writer that gives an
    id a new meaning between two calls cannot write to the wrong key.
    """

    def __init__(self, max_names: int = 1 << 18):
        self._max_names = max_names
        self._names = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, tuple[str, ...]], Columns] = OrderedDict()

    def get(self, run_id: str, names: tuple[str, ...]) -> Columns:
        key = (run_id, names)
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
                return found
        made = resolve(names)
        with self._lock:
            if key not in self._entries:
                self._entries[key] = made
                self._names += len(names)
            while self._names > self._max_names:
                (_, dropped), _ = self._entries.popitem(last=False)
                self._names -= len(dropped)
        return made
