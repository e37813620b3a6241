"""How much room metrics take."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from runwire.v1.metric_service_pb2 import MetricStorage

from runwire_server.metrics.series import live_run
from runwire_server.store.database import Database
from runwire_server.store.tables import metric_blocks, metric_frames, runs


def describe(db: Database, run_id: str) -> MetricStorage:
    """Of a run; of all where ``run_id`` is empty. Raises ``NotFound``, ``Deleted``,
    ``FieldInvalid``."""
    frames, blocks = _frames(), _blocks()
    with db.read() as tx:
        if run_id:
            live_run(tx, run_id)
            frames = frames.where(metric_frames.c.run_id == run_id)
            blocks = blocks.where(metric_blocks.c.run_id == run_id)
        found = {**tx.execute(frames).one()._mapping, **tx.execute(blocks).one()._mapping}
    return MetricStorage(**{name: int(value or 0) for name, value in found.items()})


def _frames() -> Any:
    table = metric_frames.c
    unfolded = table.arrival > runs.c.folded_arrival
    return sa.select(
        sa.func.count().label("frames"),
        sa.func.sum(sa.func.length(table.data)).label("frame_bytes"),
        sa.func.sum(sa.case((unfolded, 1), else_=0)).label("unfolded_frames"),
        sa.func.sum(sa.case((unfolded, table.points), else_=0)).label("unfolded_points"),
    ).join_from(metric_frames, runs, runs.c.run_id == table.run_id)


def _blocks() -> Any:
    table = metric_blocks.c
    return sa.select(
        sa.func.count().label("blocks"),
        sa.func.sum(table.points).label("block_points"),
        sa.func.sum(table.size_bytes).label("block_bytes"),
    )
