"""A row of a run as its message."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from runwire.v1.run_pb2 import DatasetInput, ForkPoint, Run

from runwire_server.store.run_read import Data
from runwire_server.store.tables import runs
from runwire_server.store.times import put

_PLACES = runs.columns.keys()


def _columns(*names: str) -> itemgetter[tuple[Any, ...]]:
    """Of a row by place: by name they cost as much as all the rest of a message."""
    return itemgetter(*map(_PLACES.index, names))


_plain = _columns(
    "run_id", "experiment_id", "name", "description", "state", "user", "source",
    "parent_run_id", "forked_run_id", "forked_step", "revision",
)  # fmt: skip
_TIMES = ("create_time", "start_time", "end_time", "heartbeat_time", "delete_time")
_times = _columns(*_TIMES)


def message(row: Sequence[Any], data: Data) -> Run:
    """A row that begins with the columns of ``runs``, with what was read beside it."""
    (run_id, experiment_id, name, description, state, user, source, parent, forked, step,
     revision) = _plain(row)  # fmt: skip
    run = Run(
        run_id=run_id,
        experiment_id=str(experiment_id),
        name=name,
        description=description,
        state=state,
        user=user,
        parent_run_id=parent,
        params=data.params.get(run_id),
        tags=data.tags.get(run_id),
        metrics=data.metrics.get(run_id),
        truncated=run_id in data.truncated,
        etag=str(revision),
        revision=revision,
    )
    for name, micros in zip(_TIMES, _times(row), strict=True):
        if micros is not None:
            put(getattr(run, name), micros)
    if source:
        run.source.MergeFromString(source)
    if forked:
        run.forked_from.CopyFrom(ForkPoint(run_id=forked, step=step))
    for one in data.inputs.get(run_id, {}).values():
        run.inputs.append(DatasetInput.FromString(one))
    return run
