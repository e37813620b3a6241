"""Model versions: sealed trees of artifacts under a number, with labels and notes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import sqlalchemy as sa
from runwire.v1.artifact_pb2 import ModelVersionKey
from runwire.v1.model_pb2 import ModelEvent, ModelVersion
from runwire.v1.registry_service_pb2 import (
    CreateModelVersionRequest,
    DeleteModelVersionRequest,
    SearchModelVersionsRequest,
    UpdateModelVersionRequest,
)

from runwire_server.errors import FieldInvalid, NotFound, TooLarge
from runwire_server.limits import LIMITS, check_value
from runwire_server.store import mask as masks
from runwire_server.store import (
    model,
    model_alias,
    model_change,
    model_content,
    model_event,
    model_row,
    model_tag,
    request,
)
from runwire_server.store.check import check_etag
from runwire_server.store.database import Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.fit import fit
from runwire_server.store.model_change import Change
from runwire_server.store.model_event import Cause
from runwire_server.store.model_name import check_alias
from runwire_server.store.model_row import ModelRow, VersionRow
from runwire_server.store.search import MODEL_VERSIONS
from runwire_server.store.search import search as search_rows
from runwire_server.store.tables import (
    model_aliases,
    model_version_tags,
    model_versions,
    models,
)
from runwire_server.store.times import to_proto

CHANGEABLE = ("description", "tags")
# A version may carry a signature of 1 MiB; this bounds the memory of a search.
MAX_PAGE_SIZE = 1000


def create(
    tx: Transaction, draft: CreateModelVersionRequest, *, actor: str = ""
) -> tuple[ModelVersion, bool]:
    """Seal the content, number the version, move the aliases: all or nothing.

    The version, and whether it existed before this call.

    Numbers are dense per model, because its row is locked meanwhile. A repeat of the
    same ``request_id`` returns the version that it made. Raises what
    ``model_content.seal`` does, and ``NotFound`` for the model without ``create_model``.
    """
    _check(draft)
    made_before = request.recall(tx, draft)
    if made_before is not None:
        return _recalled(tx, made_before), True
    workspace = workspace_of(draft.workspace)
    cause = Cause(actor, draft.comment)
    row = _model_for(tx, workspace, draft, cause)
    version, stage = row.last_number + 1, model.stages_of(row)[0]
    content = model_content.seal(tx, row, version, draft)
    revision = model_event.record(
        tx, row, ModelEvent.KIND_VERSION_CREATED, cause, version=version, stage=stage
    )
    tx.execute(
        sa.insert(model_versions).values(
            model_id=row.model_id,
            version=version,
            stage=stage,
            description=draft.description,
            source_run_id=draft.source_run_id,
            source_path=draft.source_path,
            **content._asdict(),
            signature=draft.signature,
            creator=actor,
            create_time=tx.now,
            update_time=tx.now,
            revision=revision,
        )
    )
    owner = {"model_id": row.model_id, "version": version}
    model_tag.insert(tx, model_version_tags, owner, draft.tags)
    for alias in dict.fromkeys(draft.aliases):
        revision = model_alias.point(tx, row, alias, version, cause)
    model_row.touch(tx, row, revision, latest_version=version, last_number=version)
    request.remember(tx, draft, f"{row.model_id}/{version}")
    return message(tx, model_row.find_version(tx, row, version)), False


def get(tx: Transaction, key: ModelVersionKey) -> ModelVersion:
    row = model_row.find(tx, workspace_of(key.workspace), key.model)
    return message(tx, model_row.find_version(tx, row, key.version))


def search(tx: Transaction, request: SearchModelVersionsRequest) -> tuple[list[ModelVersion], str]:
    """A page of versions, and the token of the next one; at most 1,000, and fewer
    where a message would outgrow its limit. Raises ``FieldInvalid``, ``FilterSyntax``,
    ``PageTokenMismatch``."""
    workspace = workspace_of(request.workspace)
    scope = [models.c.workspace == workspace, models.c.delete_time.is_(None)]
    if not request.show_deleted:
        scope.append(model_versions.c.delete_time.is_(None))
    page = partial(
        search_rows,
        tx,
        MODEL_VERSIONS,
        scope=scope,
        filter=request.filter,
        order_by=request.order_by,
        page_token=request.page_token,
        arguments=(workspace, request.show_deleted),
    )
    rows, token = page(page_size=min(request.page_size, MAX_PAGE_SIZE))
    found = fit(messages(tx, rows))
    if len(found) < len(rows):
        _, token = page(page_size=len(found))
    return found, token


def update(tx: Transaction, request: UpdateModelVersionRequest, *, actor: str = "") -> ModelVersion:
    """Change what the mask names.

    Where nothing would change, no revision is drawn and any etag is accepted, so that the
    repeat of a call whose answer was lost succeeds. Raises ``NotFound``, ``Deleted``,
    ``EtagMismatch``, ``FieldInvalid`` and ``TooLarge``.
    """
    wanted, mask = request.model_version, masks.parse(request.update_mask, CHANGEABLE)
    row = model_row.locked(tx, workspace_of(wanted.workspace), wanted.model)
    before = model_row.find_version(tx, row, wanted.version)
    fields: dict[str, str] = {}
    if "description" in mask and wanted.description != before.description:
        check_value("model_version.description", wanted.description)
        fields["description"] = wanted.description
    owner = {"model_id": row.model_id, "version": wanted.version}
    stored = model_tag.read(tx, model_version_tags, owner)
    tags = mask.tag_changes(wanted.tags, stored)
    if fields or tags:
        check_etag(wanted.etag, before.revision)
        model_tag.change(tx, model_version_tags, owner, tags)
        told = [Change(name, before.description, value) for name, value in fields.items()]
        revision = model_event.record(
            tx,
            row,
            ModelEvent.KIND_VERSION_CHANGED,
            Cause(actor, request.comment),
            version=wanted.version,
            changes=[*told, *model_change.of_tags(tags, stored)],
        )
        model_row.touch_versions(tx, row, {wanted.version}, revision, **fields)
        model_row.touch(tx, row, revision)
    return message(tx, model_row.find_version(tx, row, wanted.version))


def delete(tx: Transaction, request: DeleteModelVersionRequest, *, actor: str = "") -> None:
    """Put a version in the trash; its aliases end. Its number is never given again."""
    version = request.key.version
    row = model_row.locked(tx, workspace_of(request.key.workspace), request.key.model)
    before = model_row.find_version(tx, row, version)
    check_etag(request.etag, before.revision)
    cause = Cause(actor, request.comment)
    model_alias.remove(tx, row, model_alias.of_version(tx, row, version), cause)
    revision = model_event.record(tx, row, ModelEvent.KIND_VERSION_DELETED, cause, version=version)
    model_row.touch_versions(tx, row, {version}, revision, delete_time=tx.now)
    model_row.touch(tx, row, revision, latest_version=model_row.latest_version(tx, row))


def message(tx: Transaction, row: VersionRow) -> ModelVersion:
    return messages(tx, [row])[0]


def messages(tx: Transaction, rows: Sequence[VersionRow]) -> list[ModelVersion]:
    """Rows of ``model_row.VERSION_COLUMNS`` as messages, with their tags and aliases."""
    ids = {row.model_id for row in rows}
    versions = {row.version for row in rows}
    tags = model_tag.read_versions(tx, model_version_tags, ids, versions)
    sources = _sources(tx, rows)
    aliases: dict[tuple[str, int], list[str]] = defaultdict(list)
    pointing = sa.select(model_aliases).where(
        model_aliases.c.model_id.in_(ids), model_aliases.c.version.in_(versions)
    )
    for alias in tx.execute(pointing.order_by(model_aliases.c.alias)):
        aliases[alias.model_id, alias.version].append(alias.alias)
    return [
        ModelVersion(
            model=row.model,
            version=row.version,
            workspace=row.workspace,
            stage=row.stage,
            description=row.description,
            tags=tags.get((row.model_id, row.version)),
            aliases=aliases[row.model_id, row.version],
            source_run_id=row.source_run_id,
            source_path=row.source_path,
            source_uri=row.source_uri,
            tree_digest=row.tree_digest,
            signature=row.signature,
            creator=row.creator,
            create_time=to_proto(row.create_time),
            update_time=to_proto(row.update_time),
            etag=str(row.revision),
            delete_time=to_proto(row.delete_time),
            source_version=sources.get((row.source_model_id, row.source_version)),
        )
        for row in rows
    ]


def _sources(tx: Transaction, rows: Sequence[VersionRow]) -> dict[tuple[str, int], ModelVersionKey]:
    """The keys of the versions that these were copied from, by the names of today."""
    copied = {(row.source_model_id, row.source_version) for row in rows if row.source_version}
    if not copied:
        return {}
    ids = {model_id for model_id, _ in copied}
    named = sa.select(models.c.model_id, models.c.name, models.c.workspace)
    found = {row.model_id: row for row in tx.execute(named.where(models.c.model_id.in_(ids)))}
    return {
        (model_id, version): ModelVersionKey(
            model=found[model_id].name, version=version, workspace=found[model_id].workspace
        )
        for model_id, version in copied
        if model_id in found
    }


def _check(draft: CreateModelVersionRequest) -> None:
    check_value("description", draft.description)
    check_value("source_uri", draft.source_uri)
    for alias in draft.aliases:
        check_alias("aliases", alias)
    if not draft.signature:
        return
    size = len(draft.signature.encode())
    if size > LIMITS.max_batch_bytes:
        raise TooLarge("signature", size, LIMITS.max_batch_bytes)
    try:
        json.loads(draft.signature)
    except (ValueError, RecursionError) as error:
        raise FieldInvalid("signature", "it is not JSON") from error


def _model_for(
    tx: Transaction, workspace: str, draft: CreateModelVersionRequest, cause: Cause
) -> ModelRow:
    try:
        return model_row.locked(tx, workspace, draft.model)
    except NotFound:
        if not draft.create_model:
            raise
        return model.insert(tx, workspace, draft.model, cause)


def _recalled(tx: Transaction, resource: str) -> ModelVersion:
    model_id, _, version = resource.partition("/")
    row = model_row.find_by_id(tx, model_id)
    return message(tx, model_row.find_version(tx, row, int(version)))
