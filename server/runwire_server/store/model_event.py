"""The registry's revisions, and the history of what moved: one event per revision.

A revision is drawn under the lock of the workspace's row and so becomes visible in
order: who has seen revision N has seen everything up to N.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp
from runwire.v1.model_pb2 import ModelEvent

from runwire_server.errors import NotFound
from runwire_server.store import page
from runwire_server.store.database import Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.fit import fit
from runwire_server.store.model_name import check_alias, check_name
from runwire_server.store.model_row import ModelRow
from runwire_server.store.tables import model_events, models, registry_revisions
from runwire_server.store.times import from_proto, to_proto

# Of announcements: a workspace's registry has changed.
REGISTRY = "registry"

_ORDER = [page.SortColumn(model_events.c.revision, descending=True, nullable=False)]


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
    *,
    version: int = 0,
    previous_version: int = 0,
    alias: str = "",
    stage: str = "",
    previous_stage: str = "",
    actor: str = "",
    comment: str = "",
) -> int:
    """Write an event at a new revision, and return that."""
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
            actor=actor,
            comment=comment,
            time=tx.now,
        )
    )
    return revision


def list_events(
    tx: Transaction,
    *,
    model: str,
    workspace: str,
    alias: str = "",
    until: Timestamp | None = None,
    page_size: int = 0,
    page_token: str = "",
) -> tuple[list[ModelEvent], str]:
    """Events newest first, and the next page's token; fewer than ``page_size`` where a
    message would outgrow its limit.

    ``model`` (empty: all) is a name that a model has or had when it was deleted; its
    history goes on through renames. Raises ``NotFound`` where there never was one.
    """
    workspace = workspace_of(workspace)
    size = page.clamp(page_size)
    until_micros = from_proto("until", until) if until is not None else None
    arguments = page.query_hash("ListModelEvents", workspace, model, alias, until_micros)
    statement = sa.select(model_events).where(model_events.c.workspace == workspace)
    if model:
        statement = statement.where(model_events.c.model_id.in_(_ids_of(tx, workspace, model)))
    if alias:
        check_alias("alias", alias)
        statement = statement.where(model_events.c.alias == alias)
    if until_micros is not None:
        statement = statement.where(model_events.c.time <= until_micros)
    if page_token:
        statement = statement.where(page.after(_ORDER, page.decode(page_token, arguments)))
    rows = tx.execute(statement.order_by(_ORDER[0].order).limit(size + 1)).all()
    events = fit(map(message, rows[:size]))
    token = page.encode([events[-1].revision], arguments) if len(rows) > len(events) else ""
    return events, token


def _ids_of(tx: Transaction, workspace: str, name: str) -> list[str]:
    check_name("model", name)
    statement = sa.select(models.c.model_id).where(
        models.c.workspace == workspace, models.c.name == name
    )
    ids = list(tx.execute(statement).scalars())
    if not ids:
        raise NotFound("model", name)
    return ids


def message(row: sa.Row[Any]) -> ModelEvent:
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
    )
