"""Aliases: the names that serving follows. Moved by compare-and-set, with history."""

from __future__ import annotations

import sqlalchemy as sa
from runwire.v1.model_pb2 import ModelEvent

from runwire_server.errors import AliasMoved, NotFound
from runwire_server.limits import check_value
from runwire_server.store import model_event, model_row
from runwire_server.store.database import Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.model_name import check_alias
from runwire_server.store.model_row import ModelRow
from runwire_server.store.tables import model_aliases


def set_alias(
    tx: Transaction,
    *,
    model: str,
    workspace: str,
    alias: str,
    version: int,
    expected_version: int | None = None,
    comment: str = "",
    actor: str = "",
) -> tuple[int, int]:
    """Point an alias at a version; returns (the version before or 0, the revision).

    With ``expected_version`` it moves only from there (0: only where it is not set),
    else ``AliasMoved``. Where it points at ``version`` already there is nothing to do
    and nothing is recorded, whatever was expected: a repeated call succeeds.
    """
    check_alias("alias", alias)
    check_value("comment", comment)
    row = model_row.locked(tx, workspace_of(workspace), model)
    model_row.find_version(tx, row, version)
    before = target(tx, row, alias)
    if before == version:
        return before, row.revision
    _check_expected(alias, before, expected_version)
    revision = point(tx, row, alias, version, actor=actor, comment=comment)
    model_row.touch(tx, row, revision)
    return before, revision


def delete_alias(
    tx: Transaction,
    *,
    model: str,
    workspace: str,
    alias: str,
    expected_version: int | None = None,
    actor: str = "",
) -> int:
    """Take an alias away; returns the revision. Raises ``NotFound``, ``AliasMoved``."""
    check_alias("alias", alias)
    row = model_row.locked(tx, workspace_of(workspace), model)
    version = target(tx, row, alias)
    _check_expected(alias, version, expected_version)
    if not version:
        raise NotFound("alias", f"{model}@{alias}")
    revision = remove(tx, row, {alias: version}, actor=actor)
    model_row.touch(tx, row, revision)
    return revision


def target(tx: Transaction, model: ModelRow, alias: str) -> int:
    """The version that an alias points at, or 0."""
    statement = sa.select(model_aliases.c.version).where(
        model_aliases.c.model_id == model.model_id, model_aliases.c.alias == alias
    )
    return tx.execute(statement).scalar() or 0


def of_version(tx: Transaction, model: ModelRow, version: int | None) -> dict[str, int]:
    """Alias -> version, of one version or (None) of the whole model."""
    statement = sa.select(model_aliases.c.alias, model_aliases.c.version).where(
        model_aliases.c.model_id == model.model_id
    )
    if version is not None:
        statement = statement.where(model_aliases.c.version == version)
    rows = tx.execute(statement.order_by(model_aliases.c.alias)).all()
    return {row.alias: row.version for row in rows}


def point(
    tx: Transaction,
    model: ModelRow,
    alias: str,
    version: int,
    *,
    actor: str,
    comment: str = "",
) -> int:
    """Move an alias of a locked model and record it; returns the revision."""
    before = target(tx, model, alias)
    revision = model_event.record(
        tx,
        model,
        ModelEvent.KIND_ALIAS_MOVED,
        alias=alias,
        version=version,
        previous_version=before,
        actor=actor,
        comment=comment,
    )
    moved = tx.insert(model_aliases).values(model_id=model.model_id, alias=alias, version=version)
    tx.execute(
        moved.on_conflict_do_update(index_elements=["model_id", "alias"], set_={"version": version})
    )
    model_row.touch_versions(tx, model, {before, version}, revision)
    return revision


def remove(tx: Transaction, model: ModelRow, aliases: dict[str, int], *, actor: str) -> int:
    """Take aliases of a locked model away and record each; returns the last revision, or 0."""
    revision = 0
    for alias, version in aliases.items():
        revision = model_event.record(
            tx,
            model,
            ModelEvent.KIND_ALIAS_REMOVED,
            alias=alias,
            previous_version=version,
            actor=actor,
        )
        tx.execute(
            sa.delete(model_aliases).where(
                model_aliases.c.model_id == model.model_id, model_aliases.c.alias == alias
            )
        )
        model_row.touch_versions(tx, model, {version}, revision)
    return revision


def _check_expected(alias: str, version: int, expected_version: int | None) -> None:
    if expected_version is not None and expected_version != version:
        raise AliasMoved(alias, version, expected_version)
