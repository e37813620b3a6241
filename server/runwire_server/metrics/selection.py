"""Which series a SeriesSelector means."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from runwire.v1.metric_service_pb2 import SeriesSelector

from runwire_server.errors import FieldInvalid
from runwire_server.metrics.frames import Ints
from runwire_server.metrics.keys import key_id
from runwire_server.metrics.rows import Places
from runwire_server.store.database import Transaction
from runwire_server.store.tables import metric_keys

MAX_RUNS = 10_000
MAX_KEYS = 10_000
MAX_PREFIXES = 100

_IN = 1000
# Key sets whose columns are remembered; wide ones are as large as a frame.
_MAX_SETS = 64


@dataclass(frozen=True, slots=True)
class Selection:
    """A checked selector."""

    run_ids: list[str]
    keys: list[str]
    prefixes: list[str]
    digest: bytes

    @classmethod
    def of(cls, select: SeriesSelector) -> Selection:
        """Raises ``FieldInvalid``."""
        _check_count("select.run_ids", len(select.run_ids), 1, MAX_RUNS)
        _check_count("select.keys", len(select.keys), 0, MAX_KEYS)
        _check_count("select.key_prefixes", len(select.key_prefixes), 0, MAX_PREFIXES)
        if any("\x00" in text for text in (*select.keys, *select.key_prefixes)):
            raise FieldInvalid("select", "a key never holds a NUL character")
        data = select.SerializeToString(deterministic=True)
        return cls(
            run_ids=list(dict.fromkeys(select.run_ids)),
            keys=list(dict.fromkeys(select.keys)),
            prefixes=list(select.key_prefixes),
            digest=hashlib.blake2b(data, digest_size=8).digest(),
        )

    @property
    def only_keys(self) -> bool:
        return bool(self.keys) and not self.prefixes


class Chosen:
    """The key ids that a selection means, and their names, learned as they are met."""

    def __init__(self, selection: Selection):
        self._keys = frozenset(selection.keys)
        self._prefixes = tuple(selection.prefixes)
        self._everything = not (self._keys or self._prefixes)
        # None: somebody's key whose name is not wanted.
        self._names: dict[int, str | None] = {}
        self._candidates = {key_id(key) for key in self._keys} if selection.only_keys else None
        self._places: dict[bytes, Places] = {}

    def name(self, key: int) -> str:
        """Of a key id that is wanted."""
        return self._names[key] or ""

    def wanted(self, tx: Transaction, key_ids: Iterable[int]) -> list[int]:
        """Those of the key ids that are wanted."""
        listed = list(key_ids)
        if self._candidates is not None:
            listed = [key for key in listed if key in self._candidates]
        self._learn(tx, [key for key in listed if key not in self._names])
        return [key for key in listed if self._names[key] is not None]

    def places(self, tx: Transaction, key_ids: Ints) -> Places:
        """The wanted columns of a frame, in the order of their key ids."""
        named = key_ids.tobytes()
        found = self._places.get(named)
        if found is None:
            wanted = np.isin(key_ids, self.wanted(tx, key_ids.tolist()))
            found = np.argsort(key_ids, kind="stable")
            found = found[wanted[found]]
            if len(self._places) >= _MAX_SETS:
                self._places.clear()
            self._places[named] = found
        return found

    def _learn(self, tx: Transaction, key_ids: list[int]) -> None:
        for start in range(0, len(key_ids), _IN):
            some = key_ids[start : start + _IN]
            self._names |= dict.fromkeys(some)
            for row in tx.execute(sa.select(metric_keys).where(metric_keys.c.key_id.in_(some))):
                self._names[row.key_id] = row.name if self._wants(row.name) else None

    def _wants(self, name: str) -> bool:
        return self._everything or name in self._keys or name.startswith(self._prefixes)


def _check_count(field: str, count: int, least: int, most: int) -> None:
    if not least <= count <= most:
        raise FieldInvalid(field, f"must have {least} to {most} entries, not {count}")
