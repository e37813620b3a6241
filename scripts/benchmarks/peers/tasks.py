"""The same work for every tracker: ``python -m benchmarks.peers.tasks MODULE FOLDER …``.

Runs in the tracker's own environment and writes ``figures.json`` into the folder.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import statistics
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.peers.tracker import Metrics, Tracker

KEYS = [f"m{number}" for number in range(20)]
CALLS = 50_000
STEPS = 500_000
RUNS = 1_000
CHUNK = 50
"""Steps: 1,000 points, the most that mlflow takes in a batch."""


def main() -> None:
    module, folder, seconds, database = sys.argv[1:]
    Adapter: type[Tracker] = importlib.import_module(f"benchmarks.peers.{module}").Adapter  # noqa: N806
    tracker = Adapter(Path(folder), database)
    figures: dict[str, Any] = {"import, ms": _import_ms(Adapter.package)}
    try:
        rows = _losses(CALLS)
        for task in Adapter.tasks:
            print(f"{module}: {task} …", file=sys.stderr, flush=True)
            figures |= TASKS[task](tracker, rows, float(seconds))
    finally:
        tracker.close()
    (Path(folder) / "figures.json").write_text(json.dumps(figures))
    sys.stdout.flush()
    os._exit(0)  # what a tracker does at exit is no part of the work


def _losses(steps: int) -> list[Metrics]:
    """Noisy float32 losses, as a training loop has them; the same in every run."""
    chance = random.Random(0)
    values = array("f", (1 / (1 + step / 500) + chance.gauss(0, 0.05)
                         for step in range(steps) for _ in KEYS)).tolist()  # fmt: skip
    return [
        dict(zip(KEYS, values[first : first + len(KEYS)], strict=True))
        for first in range(0, len(values), len(KEYS))
    ]


def calls(tracker: Tracker, rows: list[Metrics], seconds: float) -> dict[str, float]:
    """A call a step, each timed; then how long until everything is readable, and is it."""
    clock = time.perf_counter_ns
    times: list[int] = []
    tracker.start()
    begin = time.perf_counter()
    for step, metrics in enumerate(rows[: tracker.calls]):
        before = clock()
        tracker.log(metrics, step)
        times.append(clock() - before)
        if time.perf_counter() - begin > seconds:
            break
    returned = time.perf_counter()
    tracker.finish()
    readable = time.perf_counter()
    lost = _lost(tracker, rows[: len(times)])
    logged = len(times) * len(KEYS)
    times.sort()
    return {
        "call, p50 us": times[len(times) // 2] / 1e3,
        "call, p99 us": times[int(0.99 * len(times))] / 1e3,
        "calls": len(times),
        "last return to readable, s": readable - returned,
        "points/s of calls until readable": (logged - lost) / (readable - begin),
        "points lost": lost,
    }


def ingest(tracker: Tracker, rows: list[Metrics], seconds: float) -> dict[str, float]:
    """As many points as the fastest call brings in the time; size and one series of them."""
    before = tracker.size_bytes()
    tracker.start()
    steps, begin = 0, time.perf_counter()
    while steps < STEPS and time.perf_counter() - begin < seconds:
        first = steps % len(rows)
        tracker.log_rows(rows[first : first + CHUNK], steps)
        steps += CHUNK
    tracker.finish()
    readable = time.perf_counter()
    points = steps * len(KEYS)
    series = tracker.read(KEYS[0])
    taken = time.perf_counter() - readable
    expected = [rows[step % len(rows)][KEYS[0]] for step in range(steps)]
    if list(series) != expected:
        raise ValueError(f"{len(expected)} points were logged, {len(series)} read back differ")
    return {
        "points": points,
        "points/s of the fastest call until readable": points / (readable - begin),
        "kept, bytes a point": (tracker.size_bytes() - before) / points,
        "read of one series, points/s": steps / taken,
    }


def _lost(tracker: Tracker, rows: list[Metrics]) -> int:
    """Points of the run that are not there, or not as they were logged."""
    lost = 0
    for key in KEYS:
        stored, expected = list(tracker.read(key)), [metrics[key] for metrics in rows]
        if stored != expected:
            lost += max(1, len(expected) - len(stored))
    return lost


def creation(tracker: Tracker, _rows: list[Metrics], seconds: float) -> dict[str, float | None]:
    """Runs with a param and a metric, then the search for a tenth of them."""
    values = [(number * 7919 % RUNS) / RUNS for number in range(RUNS)]
    made, begin = 0, time.perf_counter()
    try:
        while made < RUNS and time.perf_counter() - begin < seconds:
            tracker.create(values[made])
            made += 1
    except NotImplementedError:
        return {}
    rate = made / (time.perf_counter() - begin)
    expected = sum(value > 0.9 for value in values[:made])
    taken = _search_ms(lambda: tracker.search(0.9), expected)
    return {"run creation, runs/s": rate, "runs": made, "search by metric and param, ms": taken}


def _search_ms(search: Callable[[], int], expected: int) -> float | None:
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        try:
            found = search()
        except NotImplementedError:
            return None
        times.append(time.perf_counter() - begin)
        if found != expected:
            raise ValueError(f"the search found {found} runs of {expected}")
    return statistics.median(times) * 1e3


def _import_ms(package: str) -> float:
    """In fresh processes; the first, which may compile, is not counted."""
    code = f"import time; t = time.perf_counter(); import {package}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    times = [float(subprocess.check_output(command).split()[-1]) for _ in range(4)]
    return statistics.median(times[1:]) * 1e3


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "calls": calls,
    "ingest": ingest,
    "creation": creation,
}

if __name__ == "__main__":
    main()
