"""S1: how long until a server answers, and what it holds while idle."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
from runwire.v1.server_service_pb2 import GetServerInfoRequest
from runwire.v1.server_service_pb2_grpc import ServerServiceStub

from benchmarks.work import Work, memory


def start(work: Work) -> dict[str, Any]:
    """Medians of fresh processes; the anchor is Python's own start."""
    rounds = 3 if work.quick else 7
    starts, sizes = [], []
    for _ in range(rounds):
        seconds, rss = _one_start(work.folder)
        starts.append(seconds)
        sizes.append(rss)
    return {
        "start to first answer, s": sorted(starts)[rounds // 2],
        "idle RSS, MiB": sorted(sizes)[rounds // 2],
        "runwire --help, ms": _command("-m", "runwire", "--help", rounds=rounds),
        "anchor: python -c pass, ms": _command("-c", "pass", rounds=rounds),
    }


def _one_start(folder: Path) -> tuple[float, float]:
    begin = time.perf_counter()
    command = [sys.executable, "-m", "runwire_server", "--port", "0", "--grpc-port", "0"]
    command += ["--log-level", "warning"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        ready = process.stdout.readline().split() if process.stdout else []
        with grpc.insecure_channel(ready[3].removeprefix("grpc://")) as channel:
            ServerServiceStub(channel).GetServerInfo(GetServerInfoRequest())
        seconds = time.perf_counter() - begin
        resident = memory(process.pid, "VmRSS")
        process.terminate()
    return seconds, resident / (1 << 20)


def _command(*arguments: str, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - begin) * 1e3)
    return sorted(times)[rounds // 2]
