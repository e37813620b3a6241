"""The registry's revisions, and the history of what moved: one event per revision.

A revision is drawn under the lock of the workspace's row and so becomes visible in
order: who has seen revision N has seen everything up to N.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from runwire.v1.model_pb2 import ModelEvent
from runwire.v1.registry_service_pb2 import ListModelEventsRequest

from runwire_server.errors import NotFound
from runwire_server.limits import check_value
from runwire_server.store import model_change, page
from runwire_server.store.database import Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.fit import fit
from runwire_server.store.model_change import Change
from runwire_server.store.model_name import check_alias, check_name
from runwire_server.store.model_row import ModelRow
from runwire_server.store.tables import model_events, models, registry_revisions
from runwire_server.store.times import from_proto, to_proto

# Of announcements: a workspace's registry has changed.
REGISTRY = "registry"

_ORDER = [page.SortColumn(model_events.c.revision, descending=True, nullable=False)]


class Cause(NamedTuple):
    """Who did something, why, and the revision of the move that it takes back (0: none)."""

    actor: str = ""
    comment: str = ""
    undone_revision: int = 0


def draw(tx: Transaction, workspace: str) -> int:
    """The next revision of the workspace's registry; its row stays locked until commit.

    The model that changes is marked with it (``model_row.touch``): what is not marked is
    not seen by those who watch, nor by what is kept in memory.
    """
    tx.announce(REGISTRY, workspace)
    revisions = tx.insert(registry_revisions).values(workspace=workspace, revision=1)
    return int(
        tx.execute(
            revisions.on_conflict_do_update(
                index_elements=["workspace"],
                set_={"revision": registry_revisions.c.revision + 1},
            ).returning(registry_revisions.c.revision)
        ).scalar_one()
    )


def current(tx: Transaction, workspace: str) -> int:
    """The newest revision that this transaction sees; 0 before the first change."""
    statement = sa.select(registry_revisions.c.revision).where(
        registry_revisions.c.workspace == workspace
    )
    return tx.execute(statement).scalar() or 0


def record(
    tx: Transaction,
    model: ModelRow,
    kind: ModelEvent.Kind,
    cause: Cause,
    *,
    version: int = 0,
    previous_version: int = 0,
    alias: str = "",
    stage: str = "",
    previous_stage: str = "",
    previous_model: str = "",
    changes: Iterable[Change] = (),
) -> int:
    """Write an event at a new revision, and return that. ``model.name`` is the new name where
    there is a ``previous_model``."""
    check_value("comment", cause.comment)
    revision = draw(tx, model.workspace)
    tx.execute(
        sa.insert(model_events).values(
            workspace=model.workspace,
            revision=revision,
            kind=int(kind),
            model_id=model.model_id,
            model=model.name,
            version=version,
            previous_version=previous_version,
            alias=alias,
            stage=stage,
            previous_stage=previous_stage,
            actor=cause.actor,
            comment=cause.comment,
            time=tx.now,
            previous_model=previous_model,
            changes=model_change.dump(changes),
            undone_revision=cause.undone_revision,
        )
    )
    return revision


def find(tx: Transaction, workspace: str, revision: int) -> ModelEvent:
    """The event at a revision, which there is."""
    statement = sa.select(model_events).where(
        model_events.c.workspace == workspace, model_events.c.revision == revision
    )
    return message(tx.execute(statement).one())


def standing_move(tx: Transaction, model: ModelRow, alias: str) -> ModelEvent | None:
    """The last move of an alias that was not taken back; None where none is left.

    A move that takes one back says which: what came between the two is settled, and the
    search goes on before the older.
    """
    moves = (
        sa.select(model_events.c.revision, model_events.c.undone_revision)
        .where(model_events.c.model_id == model.model_id, model_events.c.alias == alias)
        .order_by(model_events.c.revision.desc())
    )
    before = None
    for move in tx.execute(moves):
        if before is not None and move.revision >= before:
            continue
        if not move.undone_revision:
            return find(tx, model.workspace, move.revision)
        before = move.undone_revision
    return None


def name_before(tx: Transaction, model: ModelRow) -> str:
    """The name that a model had before the one of today; "" where it had none."""
    renames = (
        sa.select(model_events.c.previous_model)
        .where(
            model_events.c.model_id == model.model_id,
            model_events.c.kind == ModelEvent.KIND_MODEL_RENAMED,
        )
        .order_by(model_events.c.revision.desc())
        .limit(1)
    )
    return tx.execute(renames).scalar() or ""


def list_events(tx: Transaction, request: ListModelEventsRequest) -> tuple[list[ModelEvent], str]:
    """Events newest first, and the next page's token; fewer than ``page_size`` where a
    message would outgrow its limit.

    ``model`` (empty: all) is a name that a model has or had when it was deleted; its
    history goes on through renames. Raises ``NotFound`` where there never was one.
    """
    size = page.clamp(request.page_size)
    conditions = _conditions(tx, request)
    arguments = _arguments(request)
    if request.page_token:
        conditions.append(page.after(_ORDER, page.decode(request.page_token, arguments)))
    statement = sa.select(model_events).where(*conditions).order_by(_ORDER[0].order)
    rows = tx.execute(statement.limit(size + 1)).all()
    events = fit(map(message, rows[:size]))
    token = page.encode([events[-1].revision], arguments) if len(rows) > len(events) else ""
    return events, token


def _conditions(tx: Transaction, request: ListModelEventsRequest) -> list[sa.ColumnElement[bool]]:
    workspace, of = workspace_of(request.workspace), model_events.c
    conditions = [of.workspace == workspace]
    if request.model:
        conditions.append(of.model_id.in_(_ids_of(tx, workspace, request.model)))
    if request.alias:
        check_alias("alias", request.alias)
        conditions.append(of.alias == request.alias)
    if request.kinds:
        conditions.append(of.kind.in_(set(request.kinds)))
    if request.version:
        conditions.append(
            sa.or_(of.version == request.version, of.previous_version == request.version)
        )
    if request.HasField("since"):
        conditions.append(of.time >= from_proto("since", request.since))
    if request.HasField("until"):
        conditions.append(of.time <= from_proto("until", request.until))
    return conditions


def _arguments(request: ListModelEventsRequest) -> bytes:
    """Of all but the page: what a token is good for."""
    query = ListModelEventsRequest()
    query.CopyFrom(request)
    for name in ("page_size", "page_token"):
        query.ClearField(name)
    return page.query_hash("ListModelEvents", query.SerializeToString(deterministic=True).hex())


def _ids_of(tx: Transaction, workspace: str, name: str) -> list[str]:
    """Of the models of that name, in the trash or not, and of those that gc removed."""
    check_name("model", name)
    present = sa.select(models.c.model_id).where(
        models.c.workspace == workspace, models.c.name == name
    )
    removed = sa.select(model_events.c.model_id).where(
        model_events.c.workspace == workspace,
        model_events.c.model == name,
        model_events.c.kind == ModelEvent.KIND_MODEL_DELETED,
    )
    ids = list(tx.execute(present.union(removed)).scalars())
    if not ids:
        raise NotFound("model", name)
    return ids


def message(row: sa.Row[Any]) -> ModelEvent:
    changes, more_changes = model_change.load(row.changes)
    return ModelEvent(
        kind=row.kind,
        model=row.model,
        version=row.version,
        previous_version=row.previous_version,
        alias=row.alias,
        stage=row.stage,
        previous_stage=row.previous_stage,
        actor=row.actor,
        comment=row.comment,
        time=to_proto(row.time),
        revision=row.revision,
        previous_model=row.previous_model,
        changes=changes,
        more_changes=more_changes,
        undone_revision=row.undone_revision,
    )
