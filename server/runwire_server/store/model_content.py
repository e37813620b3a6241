"""Where a version's bytes come from: sealed from a run, sent, or only noted."""

from __future__ import annotations

import sqlalchemy as sa
from runwire.v1.registry_service_pb2 import CreateModelVersionRequest

from runwire_server.errors import Deleted, FieldInvalid, NotFound
from runwire_server.store import artifact
from runwire_server.store.check import check_run_id
from runwire_server.store.database import Transaction
from runwire_server.store.model_row import ModelRow
from runwire_server.store.tables import experiments, runs


def seal(tx: Transaction, model: ModelRow, version: int, draft: CreateModelVersionRequest) -> str:
    """Give the new version its tree; returns the tree's digest ("" for a noted URI).

    Raises ``FieldInvalid`` where there is not exactly one source, ``NotFound`` for a run
    or path that is not there or empty, ``BlobsMissing`` for sent artifacts without bytes.
    """
    sources = [bool(draft.source_run_id), bool(draft.artifacts), bool(draft.source_uri)]
    if sum(sources) != 1:
        raise FieldInvalid(
            "source_run_id", "give exactly one of source_run_id, artifacts and source_uri"
        )
    if draft.source_path and not draft.source_run_id:
        raise FieldInvalid("source_path", "it is a path of source_run_id, which is not set")
    owner = artifact.version_owner(model.workspace, model.model_id, version)
    if draft.source_run_id:
        _check_run(tx, model.workspace, draft.source_run_id)
        source = artifact.run_owner(draft.source_run_id)
        return artifact.copy_tree(tx, source, draft.source_path, owner).digest
    if draft.artifacts:
        return artifact.commit(tx, owner, draft.artifacts).digest
    return ""


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
