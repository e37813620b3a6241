"""Stages: a label for people that a version carries, changed by transitions only."""

from __future__ import annotations

import sqlalchemy as sa
from runwire.v1.model_pb2 import ModelEvent, ModelVersion
from runwire.v1.registry_service_pb2 import TransitionModelVersionRequest

from runwire_server.errors import StageChanged
from runwire_server.store import model, model_event, model_row, model_version, request
from runwire_server.store.database import Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.model_event import Cause
from runwire_server.store.model_name import ARCHIVED, canonical_stage
from runwire_server.store.model_row import ModelRow
from runwire_server.store.tables import model_versions


def transition(
    tx: Transaction, wanted: TransitionModelVersionRequest, *, actor: str = ""
) -> ModelVersion:
    """Bring a version to a stage of its model's list, whose case does not matter.

    With ``expected_stage`` only from there, else ``StageChanged``. ``archive_others``
    brings the other versions of ``to_stage`` to "archived", which must be in the list.
    A version that is there already stays as it is, and nothing is recorded for it.
    """
    key = wanted.key
    if request.recall(tx, wanted) is not None:
        return model_version.get(tx, key)
    row = model_row.locked(tx, workspace_of(key.workspace), key.model)
    before = model_row.find_version(tx, row, key.version)
    stages = model.stages_of(row)
    stage = canonical_stage("to_stage", stages, wanted.to_stage)
    if wanted.expected_stage:
        expected = canonical_stage("expected_stage", stages, wanted.expected_stage)
        if before.stage != expected:
            raise StageChanged(before.stage, expected)
    moves = {key.version: (before.stage, stage)} if before.stage != stage else {}
    if wanted.archive_others:
        archived = canonical_stage("archive_others", stages, ARCHIVED)
        moves |= {
            version: (stage, archived)
            for version in _in_stage(tx, row, stage)
            if version != key.version and stage != archived
        }
    revision, cause = 0, Cause(actor, wanted.comment)
    for version, (previous, new) in moves.items():
        revision = move(tx, row, version, previous, new, cause)
    if moves:
        model_row.touch(tx, row, revision)
    request.remember(tx, wanted, f"{row.model_id}/{key.version}")
    return model_version.get(tx, key)


def move(
    tx: Transaction, row: ModelRow, version: int, previous: str, stage: str, cause: Cause
) -> int:
    """Change the stage of a version of a locked model and record it; returns the revision."""
    revision = model_event.record(
        tx,
        row,
        ModelEvent.KIND_STAGE_CHANGED,
        cause,
        version=version,
        stage=stage,
        previous_stage=previous,
    )
    model_row.touch_versions(tx, row, {version}, revision, stage=stage)
    return revision


def _in_stage(tx: Transaction, row: ModelRow, stage: str) -> list[int]:
    statement = (
        sa.select(model_versions.c.version)
        .where(
            model_versions.c.model_id == row.model_id,
            model_versions.c.stage == stage,
            model_versions.c.delete_time.is_(None),
        )
        .order_by(model_versions.c.version)
    )
    return list(tx.execute(statement).scalars())
