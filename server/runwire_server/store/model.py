"""Registered models: stored, found, changed and deleted.

Versions are in ``model_version``, aliases in ``model_alias``, stages in ``model_stage``,
references in ``model_resolve`` and ``model_then``, history and revisions in ``model_event``,
what was made from what in ``model_lineage``. The way out of the trash is ``model_restore``,
and that out of the database ``model_purge``.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

import sqlalchemy as sa
from runwire.v1.model_pb2 import Model, ModelEvent
from runwire.v1.registry_service_pb2 import (
    CreateModelRequest,
    DeleteModelRequest,
    SearchModelsRequest,
    UpdateModelRequest,
)

from runwire_server.errors import AlreadyExists, FieldInvalid
from runwire_server.limits import check_value
from runwire_server.store import mask as masks
from runwire_server.store import (
    model_alias,
    model_change,
    model_event,
    model_row,
    model_tag,
    request,
)
from runwire_server.store.check import check_etag
from runwire_server.store.database import Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.fit import fit
from runwire_server.store.mask import Mask
from runwire_server.store.model_change import Change
from runwire_server.store.model_event import Cause
from runwire_server.store.model_name import check_name, check_stages
from runwire_server.store.model_row import ModelRow
from runwire_server.store.search import MODELS
from runwire_server.store.search import search as search_rows
from runwire_server.store.tables import model_aliases, model_tags, model_versions, models
from runwire_server.store.times import to_proto

CHANGEABLE = ("name", "description", "tags", "stages")


def create(tx: Transaction, draft: CreateModelRequest, *, actor: str = "") -> tuple[Model, bool]:
    """The model, and whether it was there before.

    It was where this ``request_id`` made it, or with ``get_existing``; the rest of
    the draft is then not looked at. Else raises ``AlreadyExists``.
    """
    workspace = workspace_of(draft.workspace)
    check_name("name", draft.name)
    made_before = request.recall(tx, draft)
    if made_before is not None:
        return message(tx, model_row.find_by_id(tx, made_before)), True
    row = model_row.lookup(tx, workspace, draft.name)
    if row is not None and draft.get_existing:
        return message(tx, row), True
    if row is not None:
        raise AlreadyExists("model", draft.name)
    row = insert(
        tx,
        workspace,
        draft.name,
        Cause(actor),
        description=draft.description,
        tags=draft.tags,
        stages=draft.stages,
    )
    request.remember(tx, draft, row.model_id)
    return message(tx, row), False


def insert(
    tx: Transaction,
    workspace: str,
    name: str,
    cause: Cause,
    *,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    stages: Sequence[str] = (),
) -> ModelRow:
    """A new row, for a name that ``lookup`` did not find."""
    check_value("description", description)
    stages = check_stages("stages", stages)
    tx.execute(
        sa.insert(models).values(
            model_id=uuid.uuid4().hex,
            workspace=workspace,
            name=name,
            description=description,
            stages=json.dumps(stages),
            latest_version=0,
            creator=cause.actor,
            create_time=tx.now,
            update_time=tx.now,
            revision=0,
        )
    )
    row = model_row.find(tx, workspace, name)
    model_tag.insert(tx, model_tags, {"model_id": row.model_id}, tags or {})
    model_row.touch(tx, row, model_event.record(tx, row, ModelEvent.KIND_MODEL_CREATED, cause))
    return model_row.find(tx, workspace, name)


def get(tx: Transaction, name: str, workspace: str) -> Model:
    return message(tx, model_row.find(tx, workspace_of(workspace), name))


def search(tx: Transaction, request: SearchModelsRequest) -> tuple[list[Model], str]:
    """A page of models, and the token of the next one; fewer than ``page_size`` where
    a message would outgrow its limit. Raises ``FieldInvalid``, ``FilterSyntax``,
    ``PageTokenMismatch``."""
    workspace = workspace_of(request.workspace)
    live = models.c.delete_time.is_(None)
    shown = sa.or_(live, models.c.delete_time > model_row.PURGED) if request.show_deleted else live
    page = partial(
        search_rows,
        tx,
        MODELS,
        scope=[models.c.workspace == workspace, shown],
        filter=request.filter,
        order_by=request.order_by,
        page_token=request.page_token,
        arguments=(workspace, request.show_deleted),
    )
    rows, token = page(page_size=request.page_size)
    found = fit(messages(tx, rows))
    if len(found) < len(rows):
        _, token = page(page_size=len(found))
    return found, token


def update(tx: Transaction, request: UpdateModelRequest, *, actor: str = "") -> Model:
    """Change what the mask names; a stage that a version is in cannot leave the list.

    Where nothing would change, no revision is drawn and any etag is accepted, so that the
    repeat of a call whose answer was lost succeeds. Raises ``NotFound``, ``EtagMismatch``,
    ``AlreadyExists`` (new_name), ``FieldInvalid`` and ``TooLarge``.
    """
    wanted, mask = request.model, masks.parse(request.update_mask, CHANGEABLE)
    row = _locked_to_update(tx, request, may_be_renamed="name" in mask)
    fields = _changed_fields(tx, row, wanted, mask)
    owner = {"model_id": row.model_id}
    stored = model_tag.read(tx, model_tags, owner)
    tags = mask.tag_changes(wanted.tags, stored)
    cause = Cause(actor, request.comment)
    renamed = "name" in mask and request.new_name != row.name
    if fields or tags or renamed:
        check_etag(wanted.etag, row.revision)
    if renamed:
        row = rename(tx, row, request.new_name, cause)
    if fields or tags:
        changes = [*_told(row, fields), *model_change.of_tags(tags, stored)]
        model_tag.change(tx, model_tags, owner, tags)
        revision = model_event.record(
            tx,
            row,
            ModelEvent.KIND_MODEL_CHANGED,
            cause,
            changes=changes,
        )
        model_row.touch(tx, row, revision, **fields)
    return message(tx, model_row.find_by_id(tx, row.model_id))


def _locked_to_update(
    tx: Transaction, request: UpdateModelRequest, *, may_be_renamed: bool
) -> ModelRow:
    """By its name; by its new one where the same call has given it that before."""
    workspace, name = workspace_of(request.model.workspace), request.model.name
    if may_be_renamed and model_row.lookup(tx, workspace, name) is None:
        row = model_row.lookup(tx, workspace, request.new_name)
        if row is not None and model_event.name_before(tx, row) == name:
            return model_row.locked(tx, workspace, request.new_name)
    return model_row.locked(tx, workspace, name)


def rename(tx: Transaction, row: ModelRow, name: str, cause: Cause) -> ModelRow:
    """Give a locked model another name; its row after it. Raises ``AlreadyExists``."""
    check_free(tx, row.workspace, name, "new_name")
    previous = row.name
    model_row.touch(tx, row, row.revision, name=name)
    row = model_row.find_by_id(tx, row.model_id)
    revision = model_event.record(
        tx,
        row,
        ModelEvent.KIND_MODEL_RENAMED,
        cause,
        previous_model=previous,
    )
    model_row.touch(tx, row, revision)
    return row


def check_free(tx: Transaction, workspace: str, name: str, field: str) -> None:
    """Raises ``AlreadyExists`` where a live model has the name, ``FieldInvalid`` (field)."""
    check_name(field, name)
    if model_row.lookup(tx, workspace, name) is not None:
        raise AlreadyExists("model", name)


def delete(tx: Transaction, request: DeleteModelRequest, *, actor: str = "") -> None:
    """Put a model in the trash with its versions; its aliases end. The name is free again."""
    row = model_row.locked(tx, workspace_of(request.workspace), request.name)
    check_etag(request.etag, row.revision)
    cause = Cause(actor, request.comment)
    model_alias.suspend(tx, row, cause)
    revision = model_event.record(tx, row, ModelEvent.KIND_MODEL_DELETED, cause)
    model_row.touch(tx, row, revision, delete_time=tx.now)


def stages_of(row: ModelRow) -> list[str]:
    stages: list[str] = json.loads(row.stages)
    return stages


def message(tx: Transaction, row: ModelRow) -> Model:
    return messages(tx, [row])[0]


def messages(tx: Transaction, rows: Sequence[ModelRow]) -> list[Model]:
    """Rows of ``models`` as messages, with what stands in other tables, in two queries."""
    ids = [row.model_id for row in rows]
    live = [row.model_id for row in rows if row.delete_time is None]
    tags = model_tag.read_models(tx, model_tags, ids)
    aliases: dict[str, dict[str, int]] = defaultdict(dict)
    for alias in tx.execute(sa.select(model_aliases).where(model_aliases.c.model_id.in_(live))):
        aliases[alias.model_id][alias.alias] = alias.version
    return [
        Model(
            name=row.name,
            workspace=row.workspace,
            description=row.description,
            tags=tags.get(row.model_id),
            stages=stages_of(row),
            aliases=aliases.get(row.model_id),
            latest_version=row.latest_version,
            create_time=to_proto(row.create_time),
            update_time=to_proto(row.update_time),
            etag=str(row.revision),
            delete_time=to_proto(row.delete_time),
            creator=row.creator,
        )
        for row in rows
    ]


def _changed_fields(tx: Transaction, row: ModelRow, wanted: Model, mask: Mask) -> dict[str, str]:
    fields: dict[str, str] = {}
    if "description" in mask and wanted.description != row.description:
        check_value("model.description", wanted.description)
        fields["description"] = wanted.description
    if "stages" in mask:
        stages = check_stages("model.stages", wanted.stages)
        _check_unused(tx, row, stages)
        if stages != stages_of(row):
            fields["stages"] = json.dumps(stages)
    return fields


def _told(row: ModelRow, fields: Mapping[str, str]) -> list[Change]:
    changes = []
    if "description" in fields:
        changes.append(Change("description", row.description, fields["description"]))
    if "stages" in fields:
        after = ",".join(json.loads(fields["stages"]))
        changes.append(Change("stages", ",".join(stages_of(row)), after))
    return changes


def _check_unused(tx: Transaction, row: ModelRow, stages: Sequence[str]) -> None:
    other = sa.select(model_versions.c.stage, model_versions.c.version).where(
        model_versions.c.model_id == row.model_id,
        model_versions.c.delete_time.is_(None),
        model_versions.c.stage.not_in(stages),
    )
    kept = tx.execute(other.order_by(model_versions.c.version).limit(1)).one_or_none()
    if kept is not None:
        raise FieldInvalid("model.stages", f"version {kept.version} is in stage {kept.stage!r}")
