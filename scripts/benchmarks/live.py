"""How soon points are seen that somebody else logs: through TailSeries, over a socket."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from typing import Any

from runwire import Client

from benchmarks import anchors
from benchmarks.work import Work, quantile

POINTS = 300
# A job that logs the time at which it does, some times a second.
JOB = """
import random, sys, time, runwire
runwire.set_tracking_uri(sys.argv[1])
with runwire.start_run(run_id=sys.argv[2]):
    for step in range(int(sys.argv[3])):
        runwire.log_metric("sent", time.time(), step=step)
        time.sleep(random.uniform(0.02, 0.18))
"""


def tail_latency(work: Work) -> dict[str, Any]:
    """R3: a batch to its commit and to a tail; a fluent call to a tail."""
    count = work.size(POINTS)
    with work.server() as uri, Client(uri) as writer, Client(uri) as reader:
        batches = sorted(_of_batches(writer, reader, count))
        calls = sorted(_of_calls(uri, reader, count))
        rpc = anchors.empty_rpc(uri)
    commits = 200
    commit = 4096 / anchors.sqlite_append(work.folder, 4096, 4096 * commits)
    return {
        "points": count,
        "LogBatch sent to visible, p50 ms": quantile(batches, 0.5) * 1e3,
        "LogBatch sent to visible, p99 ms": quantile(batches, 0.99) * 1e3,
        "log call to visible, p50 ms": quantile(calls, 0.5) * 1e3,
        "log call to visible, p99 ms": quantile(calls, 0.99) * 1e3,
        "anchor: empty unary RPC, ms": rpc * 1e3,
        "anchor: bare commit of 4 KiB, SQLite, FULL, ms": commit * 1e3,
        "times an RPC and a commit": quantile(batches, 0.5) / (rpc + commit),
    }


def _of_batches(writer: Client, reader: Client, count: int) -> list[float]:
    """Seconds from the call to the tail, the commit included."""
    run_id = writer.runs.create().run_id
    found = []
    with reader.metrics.tail(run_id, "sent") as tail:
        next(tail)
        for step in range(count):
            time.sleep(random.uniform(0.01, 0.05))
            writer.metrics.log(run_id, {"sent": time.time()}, step=step)
            event = next(event for event in tail if event.frames)
            found += [time.time() - value for _, _, _, value in event.points()]
    return found


def _of_calls(uri: str, reader: Client, count: int) -> list[float]:
    """Seconds from a fluent call in another process to the tail."""
    run_id = reader.runs.create().run_id
    command = [sys.executable, "-c", JOB, uri, run_id, str(count)]
    found: list[float] = []
    with reader.metrics.tail(run_id, "sent") as tail, subprocess.Popen(command):
        for event in tail:
            now = time.time()
            found += [now - value for _, _, _, value in event.points()]
            if len(found) >= count:
                break
    return found
