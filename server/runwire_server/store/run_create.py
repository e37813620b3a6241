"""How a run is made."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import cache
from typing import Any

import sqlalchemy as sa
from runwire.v1.run_pb2 import Run

from runwire_server.errors import FieldInvalid, TooLarge
from runwire_server.limits import check_value
from runwire_server.store import experiment, experiment_row, run_change, run_row
from runwire_server.store.check import check_entries, check_name, check_run_id, experiment_key
from runwire_server.store.database import Transaction
from runwire_server.store.experiment_row import DEFAULT_ID
from runwire_server.store.run_data import add_inputs, check_input, insert_params, set_tags
from runwire_server.store.run_message import message
from runwire_server.store.run_read import Data
from runwire_server.store.tables import runs
from runwire_server.store.times import from_proto

MAX_SOURCE_BYTES = 64 * 1024
FIRST_STATES = (Run.STATE_UNSPECIFIED, Run.STATE_SCHEDULED, Run.STATE_RUNNING)


def create(tx: Transaction, draft: Run, experiment_name: str, workspace: str) -> tuple[Run, bool]:
    """The run, and whether it was there before: then it stays as it is, and is answered
    without its params, tags, metrics and inputs.

    It goes to ``draft.experiment_id``, else to the live experiment of that name, made
    where there is none, else to "0". The parent need not exist (yet). Raises
    ``FieldInvalid`` and ``TooLarge``; ``NotFound`` and ``Deleted`` for the experiment.
    """
    _check(draft)
    if not draft.run_id:  # kept where the call is run again: it may have been committed
        draft.run_id = uuid.uuid4().hex
    run_id = draft.run_id
    by_name = bool(experiment_name) and not draft.experiment_id
    if by_name and (there := run_row.lookup(tx, run_id)) is not None:
        return message(there, Data()), True  # and no experiment is made for it
    home = _home(tx, draft.experiment_id, experiment_name, workspace)
    values = _values(tx, run_id, home, draft)
    if not _insert(tx, values):
        return message(run_row.find(tx, run_id), Data()), True
    if not by_name:  # looked at only now: a repeat succeeds whatever became of it
        experiment_row.find_live(tx, str(home), "run.experiment_id")
    insert_params(tx, run_id, draft.params)
    set_tags(tx, run_id, draft.tags)
    add_inputs(tx, run_id, draft.inputs)
    created = message([values.get(column.name) for column in runs.columns], Data())
    created.MergeFrom(Run(params=draft.params, tags=draft.tags, inputs=draft.inputs))
    return created, False


def check_run_name(field: str, name: str) -> None:
    """A run may have no name; one that it has is as other names."""
    if name:
        check_name(field, name)


def _home(tx: Transaction, experiment_id: str, name: str, workspace: str) -> int:
    if name and not experiment_id:
        return experiment.get_or_create(tx, name, workspace)
    return experiment_key("run.experiment_id", experiment_id or str(DEFAULT_ID))


def _insert(tx: Transaction, values: dict[str, object]) -> bool:
    """False where the run is there already."""
    return tx.execute(_inserting(tx.insert), values).first() is not None


@cache  # to put it together takes longer than to run it
def _inserting(insert: Callable[[sa.Table], Any]) -> sa.Executable:
    statement: sa.Executable = insert(runs).on_conflict_do_nothing().returning(runs.c.run_id)
    return statement


def _values(tx: Transaction, run_id: str, experiment_id: int, draft: Run) -> dict[str, object]:
    has_start, forked = draft.HasField("start_time"), draft.HasField("forked_from")
    return {
        "run_id": run_id,
        "experiment_id": experiment_id,
        "name": draft.name,
        "description": draft.description,
        "state": draft.state or Run.STATE_RUNNING,
        "user": draft.user,
        "source_name": draft.source.name,
        "git_commit": draft.source.git_commit,
        "source": draft.source.SerializeToString(deterministic=True),
        "parent_run_id": draft.parent_run_id,
        "forked_run_id": draft.forked_from.run_id,
        "forked_step": draft.forked_from.step if forked else None,
        "create_time": tx.now,
        "start_time": from_proto("run.start_time", draft.start_time) if has_start else tx.now,
        "summaries_stale": False,
        "revision": 1,
        **run_change.draw(tx, run_id),
    }


def _check(draft: Run) -> None:
    check_run_name("run.name", draft.name)
    check_value("run.description", draft.description)
    check_value("run.user", draft.user)
    check_entries("run.params", draft.params)
    check_entries("run.tags", draft.tags)
    for one in draft.inputs:
        check_input("run.inputs", one)
    if draft.state not in FIRST_STATES:
        raise FieldInvalid("run.state", "a new run is RUNNING or SCHEDULED")
    if draft.metrics:
        raise FieldInvalid("run.metrics", "metrics are written by LogBatch")
    _check_references(draft)
    check_value("run.source.name", draft.source.name)
    check_value("run.source.git_commit", draft.source.git_commit)
    if draft.source.ByteSize() > MAX_SOURCE_BYTES:
        raise TooLarge("run.source", draft.source.ByteSize(), MAX_SOURCE_BYTES)


def _check_references(draft: Run) -> None:
    if draft.run_id:
        check_run_id("run.run_id", draft.run_id)
    if draft.parent_run_id:
        check_run_id("run.parent_run_id", draft.parent_run_id)
        if draft.parent_run_id == draft.run_id:
            raise FieldInvalid("run.parent_run_id", "a run is not its own parent")
    if draft.HasField("forked_from"):
        check_run_id("run.forked_from.run_id", draft.forked_from.run_id)
