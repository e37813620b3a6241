"""Runs: made, found, changed and put in the trash.

What a run carries is written by ``run_data`` and read by ``run_read``; ``run_state``
has the verbs of its life. What others call is offered here, under the RPC's verb.
Changes answer nothing: whoever made one reads the run again, when its metrics are
up to date.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from google.protobuf.field_mask_pb2 import FieldMask
from runwire.v1.run_pb2 import Run
from runwire.v1.run_service_pb2 import RunView

from runwire_server.errors import NotFound
from runwire_server.limits import check_value
from runwire_server.store import experiment_row, mask, run_row
from runwire_server.store.check import check_etag
from runwire_server.store.database import Transaction
from runwire_server.store.run_create import check_run_name, create
from runwire_server.store.run_data import add_inputs, log_params, remove_tags, set_tags
from runwire_server.store.run_message import message
from runwire_server.store.run_read import Data, tags_of
from runwire_server.store.run_row import RunRow
from runwire_server.store.run_search import experiment_keys, search, shows_metrics
from runwire_server.store.run_state import (
    finish,
    finish_if_reached,
    heartbeats,
    lose,
    resume,
    stop,
)
from runwire_server.store.tables import metric_summaries

__all__ = [
    "add_inputs",
    "create",
    "delete",
    "experiment_keys",
    "finish",
    "finish_if_reached",
    "get",
    "get_fresh",
    "heartbeats",
    "log_params",
    "lose",
    "remove_tags",
    "restore",
    "resume",
    "search",
    "set_tags",
    "shows_metrics",
    "stop",
    "update",
]

UPDATABLE = ("name", "description", "experiment_id", "tags")


def get(tx: Transaction, run_id: str, view: RunView = RunView.RUN_VIEW_FULL) -> Run:
    """The run, in the trash or not. Raises ``NotFound``, ``FieldInvalid`` (run_id).

    Its metrics are those in metric_summaries: ``Engine.refresh`` brings them up to date.
    """
    return _present(tx, run_row.find(tx, run_id), view)


def get_fresh(tx: Transaction, run_id: str, view: RunView = RunView.RUN_VIEW_FULL) -> Run | None:
    """As ``get``; None where the view has metrics and they are not up to date."""
    row = run_row.find(tx, run_id)
    if row.summaries_stale and view != RunView.RUN_VIEW_BASIC:
        return None
    return _present(tx, row, view)


def update(tx: Transaction, run: Run, update_mask: FieldMask) -> None:
    """Change what the mask names; ``experiment_id`` moves the run with its metrics.

    Where nothing would change, no revision is drawn and any etag is accepted, so that the
    repeat of a call whose answer was lost succeeds. Raises ``NotFound`` and ``Deleted``
    (run or experiment), ``EtagMismatch``, ``FieldInvalid`` and ``TooLarge``.
    """
    wanted = mask.parse(update_mask, UPDATABLE)
    row = run_row.locked_live(tx, run.run_id)
    changes = _changes(tx, run, wanted, row)
    tags = wanted.tag_changes(run.tags, tags_of(tx, run.run_id))
    if not changes and not tags:
        return
    check_etag(run.etag, row.revision)
    set_tags(tx, run.run_id, tags.put)
    remove_tags(tx, run.run_id, tags.removed)
    if "experiment_id" in changes:
        tx.execute(
            sa.update(metric_summaries)
            .where(metric_summaries.c.run_id == run.run_id)
            .values(experiment_id=changes["experiment_id"])
        )
    run_row.change(tx, row, **changes)


def delete(tx: Transaction, run_id: str, etag: str = "") -> None:
    """Into the trash; a repeat changes nothing. Raises ``NotFound``, ``EtagMismatch``."""
    row = run_row.locked(tx, run_id)
    if row.delete_time is None:
        check_etag(etag, row.revision)
        run_row.change(tx, row, delete_time=tx.now)


def restore(tx: Transaction, run_id: str) -> None:
    """Out of the trash; a repeat changes nothing. Raises ``NotFound``, of a purged run too."""
    row = run_row.locked(tx, run_id)
    if row.delete_time == run_row.PURGED:
        raise NotFound("run", run_id)
    if row.delete_time is not None:
        run_row.change(tx, row, delete_time=None)


def _present(tx: Transaction, row: RunRow, view: RunView) -> Run:
    data = Data()
    if view != RunView.RUN_VIEW_BASIC:
        data.add_full_of_one(tx, row.run_id)
    return message(row, data)


def _changes(tx: Transaction, run: Run, wanted: mask.Mask, row: RunRow) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if "name" in wanted and run.name != row.name:
        check_run_name("run.name", run.name)
        changes["name"] = run.name
    if "description" in wanted and run.description != row.description:
        check_value("run.description", run.description)
        changes["description"] = run.description
    if "experiment_id" in wanted:
        home = experiment_row.find_live(tx, run.experiment_id, "run.experiment_id")
        if home.experiment_id != row.experiment_id:
            changes["experiment_id"] = home.experiment_id
    return changes
