"""Where a version's bytes come from: a run, another version, the caller, or a noted URI."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from runwire.v1.registry_service_pb2 import CreateModelVersionRequest

from runwire_server.errors import Deleted, FieldInvalid, NotFound
from runwire_server.store import artifact, model_row
from runwire_server.store.check import check_run_id
from runwire_server.store.database import Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.model_row import ModelRow, VersionRow
from runwire_server.store.tables import experiments, runs


class Content(NamedTuple):
    """What a new version is made of: columns of its row."""

    tree_digest: str = ""
    source_uri: str = ""
    source_model_id: str = ""
    source_version: int = 0


def seal(
    tx: Transaction, model: ModelRow, version: int, draft: CreateModelVersionRequest
) -> Content:
    """Give the new version its tree, where there is more than a URI to note.

    Raises ``FieldInvalid`` where there is not exactly one source, ``NotFound`` for a run,
    version or path that is not there or empty, ``Deleted`` for a run or version in the
    trash, ``BlobsMissing`` for sent artifacts without bytes.
    """
    _check_one_source(draft)
    owner = artifact.version_owner(model.workspace, model.model_id, version)
    if draft.source_run_id:
        _check_run(tx, model.workspace, draft.source_run_id)
        source = artifact.run_owner(draft.source_run_id)
        return Content(artifact.copy_tree(tx, source, draft.source_path, owner).digest)
    if draft.artifacts:
        return Content(artifact.commit(tx, owner, draft.artifacts).digest)
    if draft.HasField("source_version"):
        return _copy(tx, _source_version(tx, model, draft), owner)
    return Content(source_uri=draft.source_uri)


def _check_one_source(draft: CreateModelVersionRequest) -> None:
    sources = (
        bool(draft.source_run_id),
        draft.HasField("source_version"),
        bool(draft.artifacts),
        bool(draft.source_uri),
    )
    if sum(sources) != 1:
        raise FieldInvalid(
            "source_run_id",
            "give exactly one of source_run_id, source_version, artifacts and source_uri",
        )
    if draft.source_path and not draft.source_run_id:
        raise FieldInvalid("source_path", "it is a path of source_run_id, which is not set")


def _source_version(
    tx: Transaction, model: ModelRow, draft: CreateModelVersionRequest
) -> VersionRow:
    key = draft.source_version
    if key.workspace and workspace_of(key.workspace) != model.workspace:
        raise FieldInvalid("source_version", "it belongs to another workspace")
    source = model_row.find(tx, model.workspace, key.model)
    return model_row.find_version(tx, source, key.version)


def _copy(tx: Transaction, source: VersionRow, owner: str) -> Content:
    if not source.source_uri:
        tree = artifact.version_owner(source.workspace, source.model_id, source.version)
        artifact.copy_tree(tx, tree, "", owner)
    return Content(source.tree_digest, source.source_uri, source.model_id, source.version)


def _check_run(tx: Transaction, workspace: str, run_id: str) -> None:
    check_run_id("source_run_id", run_id)
    statement = (
        sa.select(runs.c.delete_time)
        .join(experiments, experiments.c.experiment_id == runs.c.experiment_id)
        .where(runs.c.run_id == run_id, experiments.c.workspace == workspace)
    )
    row = tx.execute(statement).one_or_none()
    if row is None:
        raise NotFound("run", run_id)
    if row.delete_time is not None:
        raise Deleted("run", run_id)
