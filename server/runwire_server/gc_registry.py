"""The registry's part of ``runwire gc``: models and versions that were deleted long ago.

Each step is a transaction of its own, and what is being purged cannot be restored: safe
beside servers, and to be run again where it was killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from runwire_server.retry import retrying
from runwire_server.store import model_purge, scan
from runwire_server.store.database import Database, Transaction

T = TypeVar("T")


def collect(
    db: Database,
    older_than_s: float,
    *,
    dry_run: bool = False,
    on_removed: Callable[[str], None] = lambda name: None,
) -> tuple[int, int]:
    """Purge what was deleted so long ago: (models, versions that were deleted by themselves).
    ``on_removed`` hears of each, as "fraud" or "fraud/3"."""
    before = int((time.time() - older_than_s) * 1e6)
    versions = models = 0
    for key in _versions(db, before):
        name = f"{_name_of(db, key[0])}/{key[1]}"
        if dry_run or _purge_version(db, key, before):
            versions += 1
            on_removed(name)
    for model_id in _models(db, before):
        name = _name_of(db, model_id)
        if dry_run or _purge_model(db, model_id, before):
            models += 1
            on_removed(name)
    return models, versions


def _purge_model(db: Database, model_id: str, before: int) -> bool:
    if not _write(db, partial(model_purge.begin, model_id=model_id, before=before)):
        return False
    while numbers := _remaining(db, model_id):
        for number in numbers:
            _purge_version(db, (model_id, number), before)
    _write(db, partial(model_purge.finish, model_id=model_id))
    return True


def _purge_version(db: Database, key: model_purge.Key, before: int) -> bool:
    return _write(db, partial(model_purge.purge_version, key=key, before=before))


def _write(db: Database, change: Callable[[Transaction], T]) -> T:
    def once() -> T:
        with db.write_alone() as tx:  # a tree may be large
            return change(tx)

    return retrying(once)


def _name_of(db: Database, model_id: str) -> str:
    with db.read() as tx:
        return model_purge.name_of(tx, model_id)


def _remaining(db: Database, model_id: str) -> Sequence[int]:
    with db.read() as tx:
        return model_purge.remaining(tx, model_id, scan.PAGE)


def _versions(db: Database, before: int) -> Iterator[model_purge.Key]:
    def query(tx: Transaction, after: model_purge.Key, limit: int) -> Sequence[model_purge.Key]:
        return model_purge.purgeable_versions(tx, before, after, limit)

    return scan.scan(db, query, ("", 0))


def _models(db: Database, before: int) -> Iterator[str]:
    def query(tx: Transaction, after: str, limit: int) -> Sequence[str]:
        return model_purge.purgeable(tx, before, after, limit)

    return scan.scan(db, query, "")
