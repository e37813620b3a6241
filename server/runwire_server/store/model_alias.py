"""Aliases: the names that serving follows. Moved by compare-and-set, with history."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from runwire.v1.model_pb2 import ModelEvent
from runwire.v1.registry_service_pb2 import (
    DeleteModelAliasRequest,
    RollbackModelAliasRequest,
    RollbackModelAliasResponse,
    SetModelAliasRequest,
)

from runwire_server.errors import AliasMoved, NotFound
from runwire_server.store import model_event, model_row
from runwire_server.store import request as requests
from runwire_server.store.database import Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.model_event import Cause
from runwire_server.store.model_name import check_alias
from runwire_server.store.model_row import ModelRow
from runwire_server.store.tables import model_aliases


def set_alias(
    tx: Transaction, request: SetModelAliasRequest, *, actor: str = ""
) -> tuple[int, int]:
    """Point an alias at a version; returns (the version before or 0, the revision).

    With ``expected_version`` it moves only from there (0: only where it is not set),
    else ``AliasMoved``. Where it points at ``version`` already there is nothing to do
    and nothing is recorded, whatever was expected: a repeated call succeeds.
    """
    check_alias("alias", request.alias)
    row = model_row.locked(tx, workspace_of(request.workspace), request.model)
    model_row.find_version(tx, row, request.version)
    before = target(tx, row, request.alias)
    if before == request.version:
        return before, row.revision
    _check_expected(request, before)
    cause = Cause(actor, request.comment)
    revision = point(tx, row, request.alias, request.version, cause)
    model_row.touch(tx, row, revision)
    return before, revision


def delete_alias(tx: Transaction, request: DeleteModelAliasRequest, *, actor: str = "") -> int:
    """Take an alias away; returns the revision. Raises ``NotFound``, ``AliasMoved``."""
    check_alias("alias", request.alias)
    row = model_row.locked(tx, workspace_of(request.workspace), request.model)
    version = target(tx, row, request.alias)
    _check_expected(request, version)
    if not version:
        raise NotFound("alias", f"{request.model}@{request.alias}")
    revision = remove(tx, row, {request.alias: version}, Cause(actor, request.comment))
    model_row.touch(tx, row, revision)
    return revision


def rollback_alias(
    tx: Transaction, request: RollbackModelAliasRequest, *, actor: str = ""
) -> RollbackModelAliasResponse:
    """Take back the last move that still stands: the alias points where it did before it.

    Raises ``NotFound`` where there is none, or its version is gone for good, ``Deleted``
    where that is in the trash, ``AliasMoved``.
    """
    check_alias("alias", request.alias)
    workspace = workspace_of(request.workspace)
    made_before = requests.recall(tx, request)
    if made_before is not None:
        return _rolled_back(tx, workspace, int(made_before))
    row = model_row.locked(tx, workspace, request.model)
    before = target(tx, row, request.alias)
    _check_expected(request, before)
    undone = model_event.standing_move(tx, row, request.alias)
    if undone is None:
        raise NotFound("move to take back of alias", f"{request.model}@{request.alias}")
    revision = _put_back(tx, row, undone, Cause(actor, request.comment, undone.revision))
    model_row.touch(tx, row, revision)
    requests.remember(tx, request, str(revision))
    return _rolled_back(tx, workspace, revision)


def _put_back(tx: Transaction, row: ModelRow, undone: ModelEvent, cause: Cause) -> int:
    alias, version = undone.alias, undone.previous_version
    if not version:
        return remove(tx, row, {alias: undone.version}, cause)
    model_row.find_version(tx, row, version)
    return point(tx, row, alias, version, cause)


def _rolled_back(tx: Transaction, workspace: str, revision: int) -> RollbackModelAliasResponse:
    move = model_event.find(tx, workspace, revision)
    return RollbackModelAliasResponse(
        version=move.version,
        previous_version=move.previous_version,
        revision=revision,
        undone=model_event.find(tx, workspace, move.undone_revision),
    )


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


def point(tx: Transaction, model: ModelRow, alias: str, version: int, cause: Cause) -> int:
    """Move an alias of a locked model and record it; returns the revision."""
    before = target(tx, model, alias)
    moved = tx.insert(model_aliases).values(model_id=model.model_id, alias=alias, version=version)
    tx.execute(
        moved.on_conflict_do_update(index_elements=["model_id", "alias"], set_={"version": version})
    )
    return _record_moved(tx, model, alias, version, before, cause)


def remove(tx: Transaction, model: ModelRow, aliases: Mapping[str, int], cause: Cause) -> int:
    """Take aliases of a locked model away and record each; returns the last revision, or 0."""
    tx.execute(
        sa.delete(model_aliases).where(
            model_aliases.c.model_id == model.model_id, model_aliases.c.alias.in_(aliases)
        )
    )
    return _record_removed(tx, model, aliases, cause)


def suspend(tx: Transaction, model: ModelRow, cause: Cause) -> None:
    """As ``remove`` for all aliases of a model that goes to the trash, where its rows stay."""
    _record_removed(tx, model, of_version(tx, model, None), cause)


def resume(tx: Transaction, model: ModelRow, cause: Cause) -> int:
    """Set again what ``suspend`` removed, and record it; returns the last revision, or 0."""
    revision = 0
    for alias, version in of_version(tx, model, None).items():
        removal = model_event.standing_move(tx, model, alias)
        undoing = cause._replace(undone_revision=removal.revision if removal else 0)
        revision = _record_moved(tx, model, alias, version, 0, undoing)
    return revision


def _record_moved(
    tx: Transaction, model: ModelRow, alias: str, version: int, before: int, cause: Cause
) -> int:
    revision = model_event.record(
        tx,
        model,
        ModelEvent.KIND_ALIAS_MOVED,
        cause,
        alias=alias,
        version=version,
        previous_version=before,
    )
    model_row.touch_versions(tx, model, {before, version}, revision)
    return revision


def _record_removed(
    tx: Transaction, model: ModelRow, aliases: Mapping[str, int], cause: Cause
) -> int:
    revision = 0
    for alias, version in aliases.items():
        revision = model_event.record(
            tx,
            model,
            ModelEvent.KIND_ALIAS_REMOVED,
            cause,
            alias=alias,
            previous_version=version,
        )
        model_row.touch_versions(tx, model, {version}, revision)
    return revision


def _check_expected(
    request: SetModelAliasRequest | DeleteModelAliasRequest | RollbackModelAliasRequest,
    version: int,
) -> None:
    if request.HasField("expected_version") and request.expected_version != version:
        raise AliasMoved(request.alias, version, request.expected_version)
