"""Models and versions out of the trash, for good. Their events stay: history is kept."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from runwire_server.store import model_row
from runwire_server.store.artifact import version_owner
from runwire_server.store.database import Transaction
from runwire_server.store.model_row import ModelRow
from runwire_server.store.tables import (
    artifacts,
    model_aliases,
    model_tags,
    model_version_tags,
    model_versions,
    models,
)

Key = tuple[str, int]
"""model_id and number of a version."""


def purgeable(tx: Transaction, before: int, after: str, limit: int) -> Sequence[str]:
    """Models behind ``after`` that were deleted before (µs), in the order of their ids."""
    query = (
        sa.select(models.c.model_id)
        .where(models.c.model_id > after, models.c.delete_time <= before)
        .order_by(models.c.model_id)
        .limit(limit)
    )
    return tx.execute(query).scalars().all()


def purgeable_versions(tx: Transaction, before: int, after: Key, limit: int) -> list[Key]:
    """Versions behind ``after`` that were deleted before (µs), each by itself."""
    key = sa.tuple_(model_versions.c.model_id, model_versions.c.version)
    query = (
        sa.select(model_versions.c.model_id, model_versions.c.version)
        .where(key > after, model_versions.c.delete_time <= before)
        .order_by(model_versions.c.model_id, model_versions.c.version)
        .limit(limit)
    )
    return [(row.model_id, row.version) for row in tx.execute(query)]


def name_of(tx: Transaction, model_id: str) -> str:
    """Empty where it is gone."""
    query = sa.select(models.c.name).where(models.c.model_id == model_id)
    return tx.execute(query).scalar() or ""


def begin(tx: Transaction, model_id: str, before: int) -> bool:
    """From now on the model cannot be restored. False: it was, or it is gone."""
    row = _locked(tx, model_id)
    if row is None or row.delete_time is None or row.delete_time > before:
        return False
    model_row.touch(tx, row, row.revision, delete_time=model_row.PURGED)
    return True


def remaining(tx: Transaction, model_id: str, limit: int) -> Sequence[int]:
    """Numbers of versions that a model still has, in the trash or not."""
    query = sa.select(model_versions.c.version).where(model_versions.c.model_id == model_id)
    return tx.execute(query.order_by(model_versions.c.version).limit(limit)).scalars().all()


def purge_version(tx: Transaction, key: Key, before: int) -> bool:
    """Remove a version and its tree; the bytes are for others to collect. False: it was
    restored meanwhile, or another gc was quicker."""
    model_id, version = key
    row = _locked(tx, model_id)
    this = (model_versions.c.model_id == model_id) & (model_versions.c.version == version)
    found = tx.execute(sa.select(model_versions.c.delete_time).where(this)).one_or_none()
    if row is None or found is None:
        return False
    of_purged_model = row.delete_time == model_row.PURGED
    if not of_purged_model and (found.delete_time is None or found.delete_time > before):
        return False
    owner = version_owner(row.workspace, model_id, version)
    tx.execute(sa.delete(artifacts).where(artifacts.c.owner == owner))
    tags = model_version_tags.c
    tx.execute(
        sa.delete(model_version_tags).where(tags.model_id == model_id, tags.version == version)
    )
    tx.execute(sa.delete(model_versions).where(this))
    return True


def finish(tx: Transaction, model_id: str) -> None:
    """Remove what is left of a model without versions: the last step."""
    for table in (model_tags, model_aliases, models):
        tx.execute(sa.delete(table).where(table.c.model_id == model_id))


def _locked(tx: Transaction, model_id: str) -> ModelRow | None:
    query = sa.select(models).where(models.c.model_id == model_id)
    return tx.execute(tx.locked(query)).one_or_none()
