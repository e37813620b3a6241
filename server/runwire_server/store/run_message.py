"""A row of a run as its message."""

from __future__ import annotations

from runwire.v1.run_pb2 import DatasetInput, ForkPoint, Run, Source

from runwire_server.store.run_read import Data
from runwire_server.store.run_row import RunRow
from runwire_server.store.times import to_proto


def message(row: RunRow, data: Data) -> Run:
    """A row of ``runs`` with what was read beside it."""
    run_id = row.run_id
    run = Run(
        run_id=run_id,
        experiment_id=str(row.experiment_id),
        name=row.name,
        description=row.description,
        state=row.state,
        user=row.user,
        source=Source.FromString(row.source) if row.source else None,
        parent_run_id=row.parent_run_id,
        create_time=to_proto(row.create_time),
        start_time=to_proto(row.start_time),
        end_time=to_proto(row.end_time),
        heartbeat_time=to_proto(row.heartbeat_time),
        delete_time=to_proto(row.delete_time),
        params=data.params.get(run_id),
        tags=data.tags.get(run_id),
        metrics=data.metrics.get(run_id),
        truncated=run_id in data.truncated,
        etag=str(row.revision),
        revision=row.revision,
    )
    if row.forked_run_id:
        run.forked_from.CopyFrom(ForkPoint(run_id=row.forked_run_id, step=row.forked_step))
    for one in data.inputs.get(run_id, {}).values():
        run.inputs.append(DatasetInput.FromString(one))
    return run
