"""How fast points come back: whole to numpy in the client, and reduced by the server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from runwire import Client
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName

from benchmarks.work import Work

ROUNDS = 9
BATCH_BYTES = 512 * 1024
POINT_BYTES = 24  # step, time and value


def one_series(work: Work) -> dict[str, Any]:
    """R1: a million points of one series to numpy arrays of the client."""
    points = work.size(1_000_000)
    with work.server() as uri, Client(uri) as client:
        run_id, sent = _fill(client, keys=1, rows=points)
        seconds, found = _timed(lambda: client.metrics.read(run_id))
        copy, loopback = (anchor(points * POINT_BYTES) for anchor in (_memory_copy, _loopback_copy))
    if not np.array_equal(found[run_id, "metric_000"].values, sent[:, 0]):
        raise SystemExit("R1: what was read is not what was written")
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
    keys, rows, buckets = 200, work.size(100_000), 2_000
    with work.server() as uri, Client(uri) as client:
        run_id, sent = _fill(client, keys=keys, rows=rows)
        seconds, found = _timed(
            lambda: client.metrics.read(run_id, reduce="BUCKETS", max_points=buckets)
        )
        copy = _memory_copy(keys * rows * 8)
    for key in range(keys):
        one = found[run_id, f"metric_{key:03}"]
        if (one.max.max(), one.min.min()) != (sent[:, key].max(), sent[:, key].min()):
            raise SystemExit("R2: the extremes are not exact")
    return {
        "points": keys * rows,
        "buckets": sum(len(one) for one in found.values()),
        "ms": seconds * 1e3,
        "M points/s": keys * rows / seconds / 1e6,
        "anchor: memory copy of the values, ms": copy * 1e3,
        "times the memory copy": seconds / copy,
    }


def _fill(client: Client, keys: int, rows: int) -> tuple[str, npt.NDArray[np.float64]]:
    """A run, and its values [row, key]: random walks a step a second."""
    run_id = client.runs.create().run_id
    values = np.random.default_rng(7).normal(size=(rows, keys)).cumsum(axis=0)
    names = [SeriesName(id=key, key=f"metric_{key:03}") for key in range(keys)]
    rows_a_batch = BATCH_BYTES // (8 * (keys + 2))
    for sequence, start in enumerate(range(0, rows, rows_a_batch), 1):
        some = values[start : start + rows_a_batch]
        steps = np.arange(start, start + len(some))
        frame = Frame(
            series=range(keys), steps=steps, times_micros=steps * 1_000_000, values=some.ravel()
        )
        batch = MetricBatch(sequence=sequence, series=names, frames=[frame])
        client.metrics.log_batch(run_id, batch, writer_id="w")
    return run_id, values


def _timed(read: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, the median of some rounds after a first one; and what was read."""
    found, times = read(), []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = read()
        times.append(time.perf_counter() - start)
    return sorted(times)[ROUNDS // 2], found


def _memory_copy(size_bytes: int) -> float:
    """Seconds of copying so many bytes to fresh memory."""
    source = np.ones(size_bytes, np.uint8)
    return _timed(source.copy)[0]


def _loopback_copy(size_bytes: int) -> float:
    """Seconds from the first byte sent to the last one read, over a TCP connection."""
    data, ends = bytes(size_bytes), socket.create_server(("127.0.0.1", 0))
    with ends, socket.create_connection(ends.getsockname()) as sender, ends.accept()[0] as reader:

        def carry() -> None:
            sending = threading.Thread(target=sender.sendall, args=(data,))
            sending.start()
            target = memoryview(bytearray(size_bytes))
            while target:
                target = target[reader.recv_into(target) :]
            sending.join()

        return _timed(carry)[0]
