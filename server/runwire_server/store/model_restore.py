"""Models and versions out of the trash.

A model comes back as it was deleted: its versions, those that were in the trash by
themselves excepted, and its aliases. A version comes back without its aliases, because
serving follows them, and they may have been set anew.
"""

from __future__ import annotations

from runwire.v1.artifact_pb2 import ModelVersionKey
from runwire.v1.model_pb2 import Model, ModelEvent, ModelVersion
from runwire.v1.registry_service_pb2 import RestoreModelRequest

from runwire_server.store import (
    model,
    model_alias,
    model_event,
    model_row,
    model_stage,
    model_version,
    request,
)
from runwire_server.store.database import Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.model_event import Cause
from runwire_server.store.model_row import ModelRow
from runwire_server.store.times import from_proto


def restore(tx: Transaction, wanted: RestoreModelRequest, *, actor: str = "") -> tuple[Model, bool]:
    """The model, and whether this request had restored it before.

    The one of that name that was deleted last, or at ``delete_time``. Raises ``NotFound``,
    ``AlreadyExists`` where the name is taken (``new_name`` is then the way).
    """
    made_before = request.recall(tx, wanted)
    if made_before is not None:
        return model.message(tx, model_row.find_by_id(tx, made_before)), True
    time = from_proto("delete_time", wanted.delete_time) if wanted.HasField("delete_time") else None
    row = model_row.locked_in_trash(tx, workspace_of(wanted.workspace), wanted.name, time)
    name = wanted.new_name or row.name
    model.check_free(tx, row.workspace, name, "new_name")
    row = _bring_back(tx, row, name, Cause(actor, wanted.comment))
    request.remember(tx, wanted, row.model_id)
    return model.message(tx, row), False


def restore_version(
    tx: Transaction, key: ModelVersionKey, *, comment: str = "", actor: str = ""
) -> ModelVersion:
    """Out of the trash, in its stage or, where that is no more, in the model's first.

    A repeat changes nothing. Raises ``NotFound``, also for a model in the trash.
    """
    row = model_row.locked(tx, workspace_of(key.workspace), key.model)
    before = model_row.find_any_version(tx, row, key.version)
    if before.delete_time is None:
        return model_version.message(tx, before)
    cause = Cause(actor, comment)
    revision = model_event.record(
        tx, row, ModelEvent.KIND_VERSION_RESTORED, cause, version=key.version
    )
    model_row.touch_versions(tx, row, {key.version}, revision, delete_time=None)
    stages = model.stages_of(row)
    if before.stage not in stages:
        revision = model_stage.move(tx, row, key.version, before.stage, stages[0], cause)
    model_row.touch(tx, row, revision, latest_version=model_row.latest_version(tx, row))
    return model_version.message(tx, model_row.find_version(tx, row, key.version))


def _bring_back(tx: Transaction, row: ModelRow, name: str, cause: Cause) -> ModelRow:
    previous = row.name if name != row.name else ""
    model_row.touch(tx, row, row.revision, name=name, delete_time=None)
    row = model_row.find_by_id(tx, row.model_id)
    revision = model_event.record(
        tx, row, ModelEvent.KIND_MODEL_RESTORED, cause, previous_model=previous
    )
    model_row.touch_live_versions(tx, row, revision)
    revision = model_alias.resume(tx, row, cause) or revision
    model_row.touch(tx, row, revision)
    return model_row.find_by_id(tx, row.model_id)
