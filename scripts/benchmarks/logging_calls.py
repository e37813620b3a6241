"""What a call costs the training job."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from typing import Any

from benchmarks.work import Work, quantile

CODE = """
import sys, time
start = time.perf_counter()
import runwire
imported = time.perf_counter()
runwire.set_tracking_uri(sys.argv[1])
runwire.start_run()
runwire.log_metric("loss", 1.0)
logged = time.perf_counter()
assert "grpc" not in sys.modules and "google.protobuf" not in sys.modules
print((imported - start) * 1e3, (logged - imported) * 1e3)
"""


def log_calls(work: Work) -> dict[str, Any]:
    """L1: each call timed by itself, the uploader at work beside it."""
    import runwire

    runwire.set_tracking_uri(str(work.folder / "data"))
    metrics = {f"metric_{i}": i * 0.1 for i in range(20)}
    count = work.size(200_000)
    with runwire.start_run():
        many = _times(lambda step: runwire.log_metrics(metrics, step=step), count)
        one = _times(lambda step: runwire.log_metric("loss", 0.1, step=step), count)
    runwire.flush(timeout=120)
    anchor = _times(pack_into_memory(len(metrics)), count)
    return {
        "20 values, p50 ns": quantile(many, 0.5),
        "20 values, p99 ns": quantile(many, 0.99),
        "20 values, worst ms": many[-1] / 1e6,
        "one value, p50 ns": quantile(one, 0.5),
        "one value, p99 ns": quantile(one, 0.99),
        "anchor: struct.pack_into of 20, p50 ns": quantile(anchor, 0.5),
        "ratio to the anchor": quantile(many, 0.5) / quantile(anchor, 0.5),
    }


def _times(call: Any, count: int) -> list[int]:
    """Nanoseconds of each call, in ascending order, less the cost of taking the time."""
    clock = time.perf_counter_ns
    times = []
    for step in range(count):
        start = clock()
        call(step)
        times.append(clock() - start)
    overhead = sorted(clock() - clock() for _ in range(1000))[500]
    return sorted(taken + overhead for taken in times)


def pack_into_memory(values: int) -> Any:
    """What a call cannot be faster than: its row, packed into plain memory."""
    packer, memory = struct.Struct(f"<qq{values}d"), bytearray(4096)
    row = [0.1] * values
    return lambda step: packer.pack_into(memory, 0, step, step, *row)


def import_and_start(work: Work) -> dict[str, Any]:
    """L4: fresh processes, medians; the anchor is Python's own start."""
    rounds = 5 if work.quick else 15
    imports, starts = [], []
    for _ in range(rounds):
        output = subprocess.run(
            [sys.executable, "-c", CODE, str(work.folder / "data")],
            capture_output=True, text=True, check=True,
            env=os.environ | {"RUNWIRE_UPLOADER": "off"},
        ).stdout.split()  # fmt: skip
        imports.append(float(output[0]))
        starts.append(float(output[1]))
    return {
        "import runwire, ms": sorted(imports)[rounds // 2],
        "set URI, start_run, first log_metric, ms": sorted(starts)[rounds // 2],
        "anchor: python -c pass, ms": _python_start(rounds),
    }


def _python_start(rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times)[rounds // 2]
