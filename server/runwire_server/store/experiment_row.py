"""Rows of experiments: how they are found, locked, changed and turned into messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from runwire.v1.experiment_pb2 import Experiment

from runwire_server.errors import Deleted, NotFound
from runwire_server.store.blob import in_batches
from runwire_server.store.check import experiment_key
from runwire_server.store.database import Transaction
from runwire_server.store.tables import experiment_tags, experiments
from runwire_server.store.times import to_proto

ExperimentRow: TypeAlias = sa.Row[Any]

DEFAULT_ID = 0

# Made once: to put it together would take as long as to run it.
_BY_ID = sa.select(experiments).where(experiments.c.experiment_id == sa.bindparam("key"))


def lookup(tx: Transaction, workspace: str, name: str) -> ExperimentRow | None:
    """The live experiment of that name, or None."""
    return tx.execute(
        sa.select(experiments).where(
            experiments.c.workspace == workspace,
            experiments.c.name == name,
            experiments.c.delete_time.is_(None),
        )
    ).one_or_none()


def find(tx: Transaction, experiment_id: str, field: str = "experiment_id") -> ExperimentRow:
    """In the trash or not. Raises ``NotFound``, and ``FieldInvalid`` naming ``field``."""
    return _one(tx, _BY_ID, experiment_id, field)


def find_live(tx: Transaction, experiment_id: str, field: str) -> ExperimentRow:
    """As ``find``, and raises ``Deleted``."""
    row = find(tx, experiment_id, field)
    if row.delete_time is not None:
        raise Deleted("experiment", experiment_id)
    return row


def locked(tx: Transaction, experiment_id: str) -> ExperimentRow:
    """As ``find``, and nobody else changes the row until this transaction ends."""
    return _one(tx, tx.locked(_BY_ID), experiment_id, "experiment_id")


def ensure(
    tx: Transaction, workspace: str, name: str, description: str = ""
) -> tuple[ExperimentRow, bool]:
    """The live experiment of that name, made where there is none; and whether it was there.

    Experiments are made one after the other, each holding the lock of the Default
    experiment's row, so that no two draw one id and none loses a race for a name.
    """
    row = lookup(tx, workspace, name)
    if row is not None:
        return row, True
    tx.execute(tx.locked(sa.select(experiments).where(experiments.c.experiment_id == DEFAULT_ID)))
    row = lookup(tx, workspace, name)
    if row is not None:
        return row, True
    newest = tx.execute(sa.select(sa.func.max(experiments.c.experiment_id))).scalar()
    key = DEFAULT_ID + 1 if newest is None else newest + 1
    values = {
        "experiment_id": key,
        "workspace": workspace,
        "name": name,
        "description": description,
        "create_time": tx.now,
        "update_time": tx.now,
        "revision": 1,
    }
    tx.execute(sa.insert(experiments), values)
    return find(tx, str(key)), False


def change(tx: Transaction, row: ExperimentRow, **values: Any) -> None:
    """Update a row that this transaction has locked, and draw its next revision."""
    tx.execute(
        sa.update(experiments)
        .where(experiments.c.experiment_id == row.experiment_id)
        .values(**values, update_time=tx.now, revision=row.revision + 1)
    )


def put_tags(tx: Transaction, key: int, tags: Mapping[str, str]) -> None:
    if not tags:
        return
    statement = tx.insert(experiment_tags)
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["experiment_id", "key"], set_={"value": statement.excluded.value}
        ),
        [{"experiment_id": key, "key": k, "value": tags[k]} for k in sorted(tags)],
    )


def remove_tags(tx: Transaction, key: int, names: Iterable[str]) -> None:
    for some in in_batches(names):
        tx.execute(
            sa.delete(experiment_tags).where(
                experiment_tags.c.experiment_id == key, experiment_tags.c.key.in_(some)
            )
        )


def tags_of(tx: Transaction, keys: Sequence[int]) -> dict[int, dict[str, str]]:
    """The tags of many experiments at once."""
    found: dict[int, dict[str, str]] = {key: {} for key in keys}
    query = sa.select(experiment_tags).where(experiment_tags.c.experiment_id.in_(keys))
    for row in tx.execute(query):
        found[row.experiment_id][row.key] = row.value
    return found


def messages(tx: Transaction, rows: Sequence[ExperimentRow]) -> list[Experiment]:
    """Rows of ``experiments`` as messages, their tags read in one query."""
    tags = tags_of(tx, [row.experiment_id for row in rows])
    return [_message(row, tags[row.experiment_id]) for row in rows]


def _message(row: ExperimentRow, tags: Mapping[str, str]) -> Experiment:
    return Experiment(
        experiment_id=str(row.experiment_id),
        name=row.name,
        workspace=row.workspace,
        description=row.description,
        tags=tags,
        create_time=to_proto(row.create_time),
        update_time=to_proto(row.update_time),
        delete_time=to_proto(row.delete_time),
        etag=str(row.revision),
    )


def _one(tx: Transaction, query: sa.Select[Any], experiment_id: str, field: str) -> ExperimentRow:
    row = tx.execute(query, {"key": experiment_key(field, experiment_id)}).one_or_none()
    if row is None:
        raise NotFound("experiment", experiment_id)
    return row
