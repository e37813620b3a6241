"""How fast points come back: whole to numpy in the client, and reduced by the server."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks import anchors
from benchmarks.work import Work
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName

if TYPE_CHECKING:
    from runwire import Client

ROUNDS = 9
BATCH_BYTES = 500_000
POINT_BYTES = 24  # step, time and value


def one_series(work: Work) -> dict[str, Any]:
    """R1: a million points of one series to numpy arrays of the client."""
    import runwire

    points = work.size(1_000_000)
    with work.server() as uri, runwire.Client(uri) as client:
        run_id, sent = _fill(client, keys=1, rows=points)
        seconds = _median(lambda: client.metrics.read(run_id)[run_id, "metric_000"])
        found = client.metrics.read(run_id)[run_id, "metric_000"]
    if not np.array_equal(found.values, sent[0]):
        raise SystemExit("R1: what was read is not what was written")
    copy, loopback = anchors_of(points * POINT_BYTES)
    return {
        "points": points,
        "ms to numpy": seconds * 1e3,
        "M points/s": points / seconds / 1e6,
        "anchor: loopback copy of the bytes, ms": loopback * 1e3,
        "anchor: memory copy of the bytes, ms": copy * 1e3,
        "times the loopback copy": seconds / loopback,
    }


def reduced(work: Work) -> dict[str, Any]:
    """R2: 200 series of 100,000 points each, reduced to 2,000 buckets each."""
    import runwire

    keys, rows, buckets = 200, work.size(100_000), 2_000
    with work.server() as uri, runwire.Client(uri) as client:
        run_id, sent = _fill(client, keys=keys, rows=rows)
        read: Any = lambda: client.metrics.read(run_id, reduce="BUCKETS", max_points=buckets)
        seconds = _median(read)
        found = read()
    for key in range(keys):
        one = found[run_id, f"metric_{key:03}"]
        if (one.max.max(), one.min.min()) != (sent[key].max(), sent[key].min()):
            raise SystemExit("R2: the extremes are not exact")
    copy, _ = anchors_of(keys * rows * 8)
    return {
        "points": keys * rows,
        "buckets": sum(len(one) for one in found.values()),
        "ms": seconds * 1e3,
        "M points/s": keys * rows / seconds / 1e6,
        "anchor: memory copy of the values, ms": copy * 1e3,
        "times the memory copy": seconds / copy,
    }
