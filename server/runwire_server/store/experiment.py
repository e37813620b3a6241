"""Experiments: made, found, changed and put in the trash.

Experiment "0", named "Default", is made by the migration and cannot be deleted.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from runwire.v1.experiment_pb2 import Experiment
from runwire.v1.experiment_service_pb2 import CreateExperimentRequest, SearchExperimentsRequest

from runwire_server.errors import AlreadyExists, Deleted, FieldInvalid, NotFound, TooLarge
from runwire_server.limits import check_value
from runwire_server.store import experiment_row, mask
from runwire_server.store import request as requests
from runwire_server.store.check import check_entries, check_etag, check_name, check_workspace
from runwire_server.store.database import Transaction
from runwire_server.store.experiment_row import DEFAULT_ID, ExperimentRow
from runwire_server.store.fit import fit
from runwire_server.store.search import EXPERIMENTS
from runwire_server.store.search import search as search_rows
from runwire_server.store.tables import experiments

DEFAULT_WORKSPACE = "default"
# Of one experiment with all its tags: far below the 4 MiB of a message.
MAX_BYTES = 1 << 20
CHANGEABLE = ("name", "description", "tags")


def workspace_of(name: str) -> str:
    """The workspace a request means: "" is "default". Raises ``FieldInvalid``, ``TooLarge``."""
    if not name:
        return DEFAULT_WORKSPACE
    check_workspace("workspace", name)
    return name


def create(tx: Transaction, request: CreateExperimentRequest) -> tuple[Experiment, bool]:
    """The experiment, and whether it was there before.

    It was where the same request (by its request_id) made it, or where ``get_existing``
    is set and a live experiment has the name. Raises ``AlreadyExists`` for a name in use,
    ``RequestIdReused``, ``FieldInvalid`` and ``TooLarge``.
    """
    workspace = workspace_of(request.workspace)
    check_name("name", request.name)
    check_value("description", request.description)
    check_entries("tags", request.tags)
    known = requests.recall(tx, request)
    if known is not None:
        return get(tx, experiment_id=known), True
    row, existed = experiment_row.ensure(tx, workspace, request.name, request.description)
    if existed and not request.get_existing:
        raise AlreadyExists("experiment", request.name)
    if not existed:
        experiment_row.put_tags(tx, row.experiment_id, request.tags)
    requests.remember(tx, request, str(row.experiment_id))
    return _message(tx, row), existed


def get_or_create(tx: Transaction, name: str, workspace: str) -> int:
    """The id (as stored) of the live experiment of that name, made where there is none."""
    check_name("experiment_name", name)
    row, _ = experiment_row.ensure(tx, workspace_of(workspace), name)
    return int(row.experiment_id)


def get(
    tx: Transaction, *, experiment_id: str = "", name: str = "", workspace: str = ""
) -> Experiment:
    """By id, in the trash or not; or by name, among the live ones of the workspace.

    Raises ``NotFound``, and ``FieldInvalid`` where neither is given or one is malformed.
    """
    if experiment_id:
        row = experiment_row.find(tx, experiment_id)
        return experiment_row.messages(tx, [row])[0]
    if not name:
        raise FieldInvalid("experiment_id", "give experiment_id or name")
    check_name("name", name)
    found = experiment_row.lookup(tx, workspace_of(workspace), name)
    if found is None:
        raise NotFound("experiment", name)
    return experiment_row.messages(tx, [found])[0]


def search(tx: Transaction, request: SearchExperimentsRequest) -> tuple[list[Experiment], str]:
    """A page of the workspace's experiments, and the token of the next one.

    A page holds fewer than ``page_size`` where its message would outgrow its limit. Raises
    ``FieldInvalid``, ``FilterSyntax``, ``PageTokenMismatch``.
    """
    workspace = workspace_of(request.workspace)
    scope = [experiments.c.workspace == workspace]
    if not request.show_deleted:
        scope.append(experiments.c.delete_time.is_(None))
    page = partial(
        search_rows,
        tx,
        EXPERIMENTS,
        scope=scope,
        filter=request.filter,
        order_by=request.order_by,
        page_token=request.page_token,
        arguments=(workspace, request.show_deleted),
    )
    rows, token = page(page_size=request.page_size)
    found = fit(experiment_row.messages(tx, rows))
    if len(found) < len(rows):
        _, token = page(page_size=len(found))
    return found, token


def update(tx: Transaction, experiment: Experiment, update_mask: FieldMask) -> Experiment:
    """Change what the mask names.

    Where nothing would change, no revision is drawn and any etag is accepted, so that the
    repeat of a call whose answer was lost succeeds. Raises ``NotFound``, ``Deleted``,
    ``EtagMismatch``, ``AlreadyExists`` (name), ``FieldInvalid`` and ``TooLarge``.
    """
    wanted = mask.parse(update_mask, CHANGEABLE)
    row = experiment_row.locked(tx, experiment.experiment_id)
    if row.delete_time is not None:
        raise Deleted("experiment", experiment.experiment_id)
    key = row.experiment_id
    changes = _changes(experiment, wanted, row)
    tags = wanted.tag_changes(experiment.tags, experiment_row.tags_of(tx, [key])[key])
    if changes or tags:
        check_etag(experiment.etag, row.revision)
        if "name" in changes:
            _check_free(tx, row.workspace, experiment.name)
        experiment_row.put_tags(tx, key, tags.put)
        experiment_row.remove_tags(tx, key, tags.removed)
        experiment_row.change(tx, row, **changes)
    return _message(tx, experiment_row.find(tx, experiment.experiment_id))


def delete(tx: Transaction, experiment_id: str, etag: str = "") -> Experiment:
    """Into the trash; a repeat changes nothing. Its runs are not found by searches and cannot
    be written to while it is there. Raises ``NotFound``, ``EtagMismatch``, ``FieldInvalid``."""
    row = experiment_row.locked(tx, experiment_id)
    if row.experiment_id == DEFAULT_ID:
        raise FieldInvalid("experiment_id", "the Default experiment cannot be deleted")
    if row.delete_time is None:
        check_etag(etag, row.revision)
        experiment_row.change(tx, row, delete_time=tx.now)
    return get(tx, experiment_id=experiment_id)


def restore(tx: Transaction, experiment_id: str) -> Experiment:
    """Out of the trash; a repeat changes nothing. Raises ``AlreadyExists`` where the name was
    taken meanwhile, ``NotFound``, ``FieldInvalid``."""
    row = experiment_row.locked(tx, experiment_id)
    if row.delete_time is not None:
        _check_free(tx, row.workspace, row.name)
        experiment_row.change(tx, row, delete_time=None)
    return get(tx, experiment_id=experiment_id)


def _message(tx: Transaction, row: ExperimentRow) -> Experiment:
    """What a change made of it. Raises ``TooLarge`` where it could not be read again."""
    message = experiment_row.messages(tx, [row])[0]
    if message.ByteSize() > MAX_BYTES:
        raise TooLarge("tags", message.ByteSize(), MAX_BYTES)
    return message


def _changes(experiment: Experiment, wanted: mask.Mask, row: ExperimentRow) -> dict[str, Any]:
    changes = {}
    if "name" in wanted and experiment.name != row.name:
        check_name("experiment.name", experiment.name)
        changes["name"] = experiment.name
    if "description" in wanted and experiment.description != row.description:
        check_value("experiment.description", experiment.description)
        changes["description"] = experiment.description
    return changes


def _check_free(tx: Transaction, workspace: str, name: str) -> None:
    if experiment_row.lookup(tx, workspace, name) is not None:
        raise AlreadyExists("experiment", name)
