"""Answers to ReadSeries as bytes of the wire."""

from __future__ import annotations

import numpy as np
from runwire.v1.metric_service_pb2 import ReadSeriesResponse

from runwire_server.metrics.reduce import Buckets, Grid
from runwire_server.metrics.stretch import Columns
from runwire_server.metrics.wire import Column, nested, packed

_POINTS, _BUCKETS = (
    ReadSeriesResponse.DESCRIPTOR.fields_by_name[name].number for name in ("points", "buckets")
)


def answer(head: ReadSeriesResponse, rows: Columns | Buckets, grid: Grid) -> bytes:
    """The response with its rows. ``grid``: of the buckets."""
    if isinstance(rows, Buckets):
        number, columns = _BUCKETS, _bucket_columns(rows, grid)
    else:
        number, columns = _POINTS, list(rows)
    data = [part for field, column in enumerate(columns, 1) for part in packed(field, column)]
    return b"".join((head.SerializeToString(), *nested(number, *data)))


def _bucket_columns(rows: Buckets, grid: Grid) -> list[Column]:
    """In the order of their field numbers."""
    some = rows.non_finite < rows.counts
    return [
        grid.edges(rows.numbers),
        grid.edges(rows.numbers + 1),
        rows.counts.astype(np.uint64),
        rows.first,
        rows.last,
        np.where(some, rows.minimum, np.nan),
        np.where(some, rows.maximum, np.nan),
        rows.total,
        rows.non_finite.astype(np.uint64),
    ]
