"""Time travel: which version a reference meant at a moment of the past.

Answered backwards from the present: the first event after the moment tells what was
before it, and where there is none it was as it is now. So it needs no history from before
the moment. Events are taken in the order of their revisions, times are the servers'.
"""

from __future__ import annotations

import re

import sqlalchemy as sa
from runwire.v1.model_pb2 import ModelEvent

from runwire_server.errors import NotFound
from runwire_server.store import model, model_alias, model_row
from runwire_server.store.database import Transaction
from runwire_server.store.model_name import LATEST, canonical_stage, check_alias
from runwire_server.store.model_row import ModelRow, VersionRow
from runwire_server.store.tables import model_events, model_versions

_DELETED = ModelEvent.KIND_VERSION_DELETED
_NUMBER = re.compile(r"[0-9]{1,18}")


def find(
    tx: Transaction, row: ModelRow, separator: str, selector: str, at: int
) -> VersionRow | None:
    """The version that ``@ALIAS``, ``/7``, ``/latest`` or ``/STAGE`` of a model meant at ``at``
    (µs), deleted since or not. None or ``NotFound`` where it meant nothing."""
    if separator == "@":
        return model_row.find_any_version(tx, row, _target(tx, row, selector, at))
    versions = model_row.select_any_versions().where(
        model_versions.c.model_id == row.model_id,
        model_versions.c.create_time <= at,
        _was_there(row, at),
    )
    if _NUMBER.fullmatch(selector):
        versions = versions.where(model_versions.c.version == int(selector))
    elif selector.lower() != LATEST:
        stage = canonical_stage("references", model.stages_of(row), selector)
        versions = versions.where(_was_in(row, at, stage))
    return tx.execute(versions.order_by(model_versions.c.version.desc()).limit(1)).one_or_none()


def _target(tx: Transaction, row: ModelRow, alias: str, at: int) -> int:
    check_alias("references", alias)
    moved = (
        sa.select(model_events.c.previous_version)
        .where(
            model_events.c.model_id == row.model_id,
            model_events.c.alias == alias,
            model_events.c.time > at,
        )
        .order_by(model_events.c.revision)
        .limit(1)
    )
    version = tx.execute(moved).scalar()
    if version is None:
        version = model_alias.target(tx, row, alias)
    if not version:
        raise NotFound("alias", f"{row.name}@{alias}")
    return int(version)


def _was_there(row: ModelRow, at: int) -> sa.ColumnElement[bool]:
    first = _first_after(row, at, _DELETED, ModelEvent.KIND_VERSION_RESTORED)
    return _by(first, first.c.kind == _DELETED, model_versions.c.delete_time.is_(None))


def _was_in(row: ModelRow, at: int, stage: str) -> sa.ColumnElement[bool]:
    first = _first_after(row, at, ModelEvent.KIND_STAGE_CHANGED)
    return _by(first, first.c.previous_stage == stage, model_versions.c.stage == stage)


def _by(
    first: sa.Subquery, told: sa.ColumnElement[bool], now: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    """What the first event tells of a version or, where it has none, what holds now. As sets of
    versions: both databases make each of them once, and look every version up in it."""
    version, moved = model_versions.c.version, sa.select(first.c.version)
    return sa.or_(version.in_(moved.where(told)), sa.and_(now, version.not_in(moved)))


def _first_after(row: ModelRow, at: int, *kinds: ModelEvent.Kind) -> sa.Subquery:
    """Of each version the first event of these kinds after ``at``."""
    of = model_events.c
    place = sa.func.row_number().over(partition_by=of.version, order_by=of.revision)
    events = (
        sa.select(of.version, of.kind, of.previous_stage, place.label("place"))
        .where(of.model_id == row.model_id, of.time > at, of.kind.in_(kinds))
        .subquery()
    )
    return sa.select(events).where(events.c.place == 1).subquery()
