"""Tags of models and of versions: both tables have the columns of an owner, key, value."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from runwire_server.errors import TooLarge
from runwire_server.store.check import check_entries
from runwire_server.store.database import Transaction
from runwire_server.store.mask import TagChanges

# Of all keys and values of one owner, so that it can always be read again in one message.
MAX_BYTES = 1 << 20

Owner = Mapping[str, object]
"""The key columns of a model or version, and their values."""


def insert(tx: Transaction, table: sa.Table, owner: Owner, tags: Mapping[str, str]) -> None:
    """Write tags that are not there. Raises ``FieldInvalid``, and ``TooLarge`` for one of them
    or where all of the owner's would be more than ``MAX_BYTES``."""
    check_entries("tags", tags)
    if tags:
        rows = [{**owner, "key": key, "value": value} for key, value in sorted(tags.items())]
        tx.execute(sa.insert(table), rows)
        stored = read(tx, table, owner).items()
        size = sum(len(key.encode()) + len(value.encode()) for key, value in stored)
        if size > MAX_BYTES:
            raise TooLarge("tags", size, MAX_BYTES)


def change(tx: Transaction, table: sa.Table, owner: Owner, changes: TagChanges) -> None:
    """Write and remove what an update mask came to."""
    for key in [*changes.put, *changes.removed]:
        tx.execute(sa.delete(table).where(*_of(table, owner), table.c.key == key))
    insert(tx, table, owner, changes.put)


def read(tx: Transaction, table: sa.Table, owner: Owner) -> dict[str, str]:
    statement = sa.select(table.c.key, table.c.value).where(*_of(table, owner))
    return {row.key: row.value for row in tx.execute(statement)}


def read_models(
    tx: Transaction, table: sa.Table, model_ids: Collection[str]
) -> dict[str, dict[str, str]]:
    """The tags of many models, by model_id."""
    found: dict[str, dict[str, str]] = {}
    for row in tx.execute(sa.select(table).where(table.c.model_id.in_(model_ids))):
        found.setdefault(row.model_id, {})[row.key] = row.value
    return found


def read_versions(
    tx: Transaction, table: sa.Table, model_ids: Collection[str], versions: Collection[int]
) -> dict[tuple[str, int], dict[str, str]]:
    """The tags of many versions, by (model_id, version); more than asked for is no harm."""
    statement = sa.select(table).where(
        table.c.model_id.in_(model_ids), table.c.version.in_(versions)
    )
    found: dict[tuple[str, int], dict[str, str]] = {}
    for row in tx.execute(statement):
        found.setdefault((row.model_id, row.version), {})[row.key] = row.value
    return found


def _of(table: sa.Table, owner: Owner) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in owner.items()]
