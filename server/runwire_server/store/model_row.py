"""Rows of registered models and versions: how they are found, locked and marked as changed.

Locks are always taken in one order, the model's row and then the workspace's row in
``registry_revisions``, so that changes of one registry cannot deadlock.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa

from runwire_server.errors import Deleted, NotFound
from runwire_server.store.database import Transaction
from runwire_server.store.model_name import check_name
from runwire_server.store.tables import model_events, model_versions, models

ModelRow: TypeAlias = sa.Row[Any]
VersionRow: TypeAlias = sa.Row[Any]

_MANY = 1000
# A version's columns and those of its model that its message needs.
VERSION_COLUMNS = (
    *model_versions.columns,
    models.c.name.label("model"),
    models.c.workspace.label("workspace"),
)
# The delete_time of a model that is being purged: it cannot be restored any more.
PURGED = 0


def lookup(tx: Transaction, workspace: str, name: str) -> ModelRow | None:
    """The live model of that name, or None. Raises ``FieldInvalid`` for no possible name."""
    return tx.execute(_live(workspace, name)).one_or_none()


def find(tx: Transaction, workspace: str, name: str) -> ModelRow:
    """The live model of that name. Raises ``NotFound``."""
    row = lookup(tx, workspace, name)
    if row is None:
        raise NotFound("model", name)
    return row


def locked(tx: Transaction, workspace: str, name: str) -> ModelRow:
    """As ``find``, and nobody else changes the model until this transaction ends."""
    row = tx.execute(tx.locked(_live(workspace, name))).one_or_none()
    if row is None:
        raise NotFound("model", name)
    return row


def find_by_id(tx: Transaction, model_id: str) -> ModelRow:
    """The live model by its id, whatever its name is now. Raises ``NotFound``."""
    statement = sa.select(models).where(
        models.c.model_id == model_id, models.c.delete_time.is_(None)
    )
    row = tx.execute(statement).one_or_none()
    if row is None:
        raise NotFound("model", model_id)
    return row


def locked_in_trash(
    tx: Transaction, workspace: str, name: str, delete_time: int | None
) -> ModelRow:
    """The model of that name that was deleted then, or last, locked. Raises ``NotFound``."""
    deleted = _named(workspace, name).where(models.c.delete_time > PURGED)
    if delete_time is not None:
        deleted = deleted.where(models.c.delete_time == delete_time)
    last = deleted.order_by(models.c.delete_time.desc()).limit(1)
    row = tx.execute(tx.locked(last)).one_or_none()
    if row is None:
        raise NotFound("deleted model", name)
    return row


def find_version(tx: Transaction, model: ModelRow, version: int) -> VersionRow:
    """A live version with ``VERSION_COLUMNS``. Raises ``NotFound``, ``Deleted``."""
    row = find_any_version(tx, model, version)
    if row.delete_time is not None:
        raise Deleted("model version", f"{model.name}/{version}")
    return row


def find_any_version(tx: Transaction, model: ModelRow, version: int) -> VersionRow:
    """As ``find_version``, in the trash or not. Raises ``NotFound``."""
    statement = select_any_versions().where(
        model_versions.c.model_id == model.model_id, model_versions.c.version == version
    )
    row = tx.execute(statement).one_or_none()
    if row is None:
        raise NotFound("model version", f"{model.name}/{version}")
    return row


def select_versions() -> sa.Select[Any]:
    """Live versions of live models, with ``VERSION_COLUMNS``."""
    return select_any_versions().where(model_versions.c.delete_time.is_(None))


def select_any_versions() -> sa.Select[Any]:
    """Versions of live models, in the trash or not, with ``VERSION_COLUMNS``."""
    return (
        sa.select(*VERSION_COLUMNS)
        .join(models, models.c.model_id == model_versions.c.model_id)
        .where(models.c.delete_time.is_(None))
    )


def latest_version(tx: Transaction, model: ModelRow) -> int:
    """The greatest number of a live version; 0 where there is none."""
    statement = sa.select(sa.func.max(model_versions.c.version)).where(
        model_versions.c.model_id == model.model_id, model_versions.c.delete_time.is_(None)
    )
    return tx.execute(statement).scalar() or 0


def touch(tx: Transaction, model: ModelRow, revision: int, **values: object) -> None:
    """Write ``values`` and mark the model as changed at ``revision``."""
    tx.execute(
        sa.update(models)
        .where(models.c.model_id == model.model_id)
        .values(update_time=tx.now, revision=revision, **values)
    )


def touch_versions(
    tx: Transaction, model: ModelRow, versions: set[int], revision: int, **values: object
) -> None:
    """As ``touch``, for versions of a model."""
    _touch_versions(tx, model, revision, model_versions.c.version.in_(versions), **values)


def touch_live_versions(tx: Transaction, model: ModelRow, revision: int) -> None:
    """As ``touch``, for all versions of a model that are not in the trash by themselves."""
    _touch_versions(tx, model, revision, model_versions.c.delete_time.is_(None))


def _touch_versions(
    tx: Transaction,
    model: ModelRow,
    revision: int,
    these: sa.ColumnElement[bool],
    **values: object,
) -> None:
    tx.execute(
        sa.update(model_versions)
        .where(model_versions.c.model_id == model.model_id, these)
        .values(update_time=tx.now, revision=revision, **values)
    )


def changed_since(
    tx: Transaction, workspace: str, since: int, revision: int
) -> frozenset[str] | None:
    """Names and ids of the models that changed after ``since``, where the registry is at
    ``revision``; of a renamed one only the new name. None: too many, or it cannot be said."""
    if since == revision:
        return frozenset()
    if not 0 <= since < revision:
        return None
    present = sa.select(models.c.model_id, models.c.name).where(
        models.c.workspace == workspace, models.c.revision > since
    )
    # Of one that was removed for good there is nothing left but its history.
    past = sa.select(model_events.c.model_id, model_events.c.model).where(
        model_events.c.workspace == workspace, model_events.c.revision > since
    )
    rows = tx.execute(present.union(past).limit(_MANY + 1)).all()
    return None if len(rows) > _MANY else frozenset(text for row in rows for text in row)


def _live(workspace: str, name: str) -> sa.Select[Any]:
    return _named(workspace, name).where(models.c.delete_time.is_(None))


def _named(workspace: str, name: str) -> sa.Select[Any]:
    check_name("model", name)
    return sa.select(models).where(models.c.workspace == workspace, models.c.name == name)
