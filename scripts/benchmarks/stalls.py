"""How long the longest call of a training job is while the rest of Runwire is away."""

from __future__ import annotations

import gc
import os
import resource
import signal
import time
from array import array
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.logging_calls import pack_into_memory
from benchmarks.work import Work, quantile

KEYS = 20
MS_NS = 1_000_000


def stall(work: Work) -> dict[str, Any]:
    """L2: in a process of its own, each call timed, beside a loop as long that
    writes into plain memory. What preempts that loop preempts the other just as well: only
    a longer stall, CPU time of the call or a wait ("gave up its core") is our own doing."""
    calls = work.size(1_000_000)
    with (
        work.server_process() as (server, uri),
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as trainer,
    ):
        task = trainer.submit(_trainer, uri, server.pid, work.folder / "journals", calls)
        try:
            return task.result()
        finally:
            server.send_signal(signal.SIGCONT)


def _trainer(uri: str, server_pid: int, journals: Path, calls: int) -> dict[str, Any]:
    os.environ |= {"RUNWIRE_DIR": str(journals), "RUNWIRE_QUIET": "1"}
    import runwire
    from runwire._journal import open_journals

    runwire.set_tracking_uri(uri)
    metrics = {f"metric_{i}": i * 0.1 for i in range(KEYS)}
    figures: dict[str, Any] = {"calls of each": calls}
    with runwire.start_run() as run:
        runwire.flush()
        first, second = (
            lambda step, first=first: runwire.log_metrics(metrics, step=first + step)
            for first in (0, calls)
        )
        os.kill(server_pid, signal.SIGSTOP)
        figures |= _stalls("server stopped", first, calls)
        os.kill(server_pid, signal.SIGCONT)
        runwire.flush(timeout=300)
        (journal,) = open_journals()
        os.kill(journal.status.uploader_pid, signal.SIGKILL)
        figures |= _stalls("uploader killed", second, calls)
        runwire.flush(timeout=300)
    # Three times as many, as each takes a third of the time: equal chances of preemption.
    figures |= _stalls("anchor: plain memory", pack_into_memory(KEYS), 3 * calls)
    with runwire.Client(uri) as client:
        stored = sum(series.points for series in client.metrics.list(run.info.run_id))
    return figures | {"points lost or doubled": abs(stored - 2 * calls * KEYS)}


def _stalls(name: str, call: Callable[[int], None], calls: int) -> dict[str, float]:
    """Of the calls: quantiles and the worst, with the CPU time that the worst one took."""
    wall, cpu = array("q", bytes(8 * calls)), array("q", bytes(8 * calls))
    clock, cpu_clock = time.perf_counter_ns, time.thread_time_ns
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_THREAD)
    for step in range(calls):
        cpu_start = cpu_clock()
        start = clock()
        call(step)
        wall[step] = clock() - start
        cpu[step] = cpu_clock() - cpu_start
    after = resource.getrusage(resource.RUSAGE_THREAD)
    worst = max(range(calls), key=wall.__getitem__)
    ordered = sorted(wall)
    return {
        f"{name}: p50, us": quantile(ordered, 0.5) / 1e3,
        f"{name}: p99.99, us": quantile(ordered, 0.9999) / 1e3,
        f"{name}: worst call, ms": wall[worst] / MS_NS,
        f"{name}: CPU of the worst call, ms": cpu[worst] / MS_NS,
        f"{name}: most CPU of a call, ms": max(cpu) / MS_NS,
        f"{name}: calls over 1 ms": sum(taken > MS_NS for taken in wall),
        f"{name}: was preempted": after.ru_nivcsw - before.ru_nivcsw,
        f"{name}: gave up its core": after.ru_nvcsw - before.ru_nvcsw,
    }
