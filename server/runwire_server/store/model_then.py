"""Time travel: which version a reference meant at a moment of the past.

Answered backwards from the present: the first event after the moment tells what was
before it, and where there is none it was as it is now. So it needs no history from before
the moment. Events are taken in the order of their revisions, times are the servers'.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from runwire.v1.model_pb2 import ModelEvent

from runwire_server.errors import NotFound
from runwire_server.store import model, model_alias, model_row
from runwire_server.store.database import Transaction
from runwire_server.store.model_name import LATEST, canonical_stage, check_alias
from runwire_server.store.model_row import ModelRow, VersionRow
from runwire_server.store.tables import model_events, model_versions

_NUMBER = re.compile(r"[0-9]{1,18}")


def find(
    tx: Transaction, row: ModelRow, separator: str, selector: str, at: int
) -> VersionRow | None:
    """The version that ``@ALIAS``, ``/7``, ``/latest`` or ``/STAGE`` of a model meant at ``at``
    (µs), deleted since or not. None or ``NotFound`` where it meant nothing."""
    if separator == "@":
        return model_row.find_any_version(tx, row, _target(tx, row, selector, at))
    versions = _versions(row, at)
    if _NUMBER.fullmatch(selector):
        versions = versions.where(model_versions.c.version == int(selector))
    elif selector.lower() != LATEST:
        stage = canonical_stage("references", model.stages_of(row), selector)
        versions = versions.where(_stage(row, at) == stage)
    return tx.execute(versions.order_by(model_versions.c.version.desc()).limit(1)).one_or_none()


def _target(tx: Transaction, row: ModelRow, alias: str, at: int) -> int:
    check_alias("references", alias)
    moved = _after(row, at, model_events.c.previous_version).where(model_events.c.alias == alias)
    version = tx.execute(moved).scalar()
    if version is None:
        version = model_alias.target(tx, row, alias)
    if not version:
        raise NotFound("alias", f"{row.name}@{alias}")
    return int(version)


def _versions(row: ModelRow, at: int) -> sa.Select[Any]:
    """Those that were there."""
    came_or_went = _of_version(
        _after(row, at, model_events.c.kind),
        ModelEvent.KIND_VERSION_DELETED,
        ModelEvent.KIND_VERSION_RESTORED,
    )
    now = sa.case(
        (model_versions.c.delete_time.is_(None), int(ModelEvent.KIND_VERSION_DELETED)),
        else_=int(ModelEvent.KIND_VERSION_RESTORED),
    )
    there = sa.func.coalesce(came_or_went, now) == int(ModelEvent.KIND_VERSION_DELETED)
    return model_row.select_any_versions().where(
        model_versions.c.model_id == row.model_id, model_versions.c.create_time <= at, there
    )


def _stage(row: ModelRow, at: int) -> sa.ColumnElement[str]:
    left = _of_version(
        _after(row, at, model_events.c.previous_stage), ModelEvent.KIND_STAGE_CHANGED
    )
    return sa.func.coalesce(left, model_versions.c.stage)


def _after(row: ModelRow, at: int, column: sa.Column[Any]) -> sa.Select[Any]:
    """``column`` of the first event of the model after ``at``."""
    return (
        sa.select(column)
        .where(model_events.c.model_id == row.model_id, model_events.c.time > at)
        .order_by(model_events.c.revision)
        .limit(1)
    )


def _of_version(events: sa.Select[Any], *kinds: ModelEvent.Kind) -> sa.ScalarSelect[Any]:
    """Of the version that the outer query looks at."""
    return (
        events.where(
            model_events.c.version == model_versions.c.version, model_events.c.kind.in_(kinds)
        )
        .correlate(model_versions)
        .scalar_subquery()
    )
