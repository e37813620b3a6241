"""Artifacts through a server: one large file, and many small ones."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import runwire

from benchmarks import anchors, bare_stream
from benchmarks.work import Work, cpu_s, memory

MIB = 1 << 20
ROUNDS = 3

# In a process of its own, as a user has it: prints seconds and the growth of its memory.
TRANSFER = """
import json, sys, time
from pathlib import Path
import runwire
uri, run_id, verb, local, warm = sys.argv[1:]
def own(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
with runwire.Client(uri) as client:
    if verb == "up":
        work = lambda name, path: client.artifacts.put(run_id, Path(path), name)
    else:
        work = lambda name, path: client.artifacts.get(run_id, name, Path(path))
    work("warm", warm)
    before, start, cpu = own("VmRSS"), time.perf_counter(), time.process_time()
    Path("/proc/self/clear_refs").write_text("5")
    work("files", local)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu, "grown": own("VmHWM") - before}))
"""


def large_file(work: Work) -> dict[str, Any]:
    """A1: a file of 1 GiB up to the server and down again, the same bytes in the end."""
    total = work.size(1024 * MIB)
    file = work.folder / "large.bin"
    random_file(file, total)
    found: dict[str, list[float]] = {}
    with work.server_process() as (server, uri):
        for number in range(1 if work.quick else ROUNDS):
            _note(found, _anchors(work.folder, total))
            if number:
                _change(file)  # what is there already is not sent again
            run_id, into = new_run(uri), work.folder / f"got-{number}"
            for verb, local in (("up", file), ("down", into)):
                _settle(total)
                _note(found, _transfer(server, uri, run_id, verb, local))
            _check(digest(into / "files") == digest(file))
            (into / "files").unlink()
    return _large_figures(found, total)


def _large_figures(found: dict[str, list[float]], total: int) -> dict[str, Any]:
    middle = {name: sorted(values)[len(values) // 2] for name, values in found.items()}
    shares = {
        verb: [
            total / seconds / min(found[anchor][number] for anchor in _ANCHORS)
            for number, seconds in enumerate(found[f"{verb}, s"])
        ]
        for verb in ("up", "down")
    }
    return {
        "up, MiB/s": total / MIB / middle["up, s"],
        "down, MiB/s": total / MIB / middle["down, s"],
        "up, share of the slowest anchor": sorted(shares["up"])[len(shares["up"]) // 2],
        "down, share of the slowest anchor": sorted(shares["down"])[len(shares["down"]) // 2],
        "RSS growth of the server, MiB": max(found["up, server"] + found["down, server"]) / MIB,
        "RSS growth of the client, MiB": max(found["up, client"] + found["down, client"]) / MIB,
        **{
            f"{verb}, CPU s/GiB of the {side}": middle[f"{verb}, {side} cpu"] * 1024 * MIB / total
            for verb in ("up", "down")
            for side in ("client", "server")
        },
        **{f"anchor: {name}, MiB/s": middle[name] / MIB for name in _ANCHORS},
        **_bare_figures(middle, total),
    }


def _bare_figures(middle: dict[str, float], total: int) -> dict[str, float]:
    name, gib = "anchor: bare gRPC stream of the same chunks", total / MIB / 1024
    return {
        f"{name} {verb}, {unit}": value
        for verb in ("up", "down")
        for unit, value in (
            ("MiB/s", total / MIB / middle[f"bare {verb}, s"]),
            ("CPU s/GiB of both sides", middle[f"bare {verb}, cpu"] / gib),
        )
    }


def small_files(work: Work) -> dict[str, Any]:
    """A2: a folder of 1,000 files of 10 KiB each way."""
    count = work.size(1000)
    found: dict[str, list[float]] = {}
    with work.server_process() as (server, uri):
        rpc = anchors.empty_rpc(uri, 200)
        for number in range(ROUNDS):
            folder, into = work.folder / f"small-{number}", work.folder / f"got-{number}"
            folder.mkdir()
            for name in range(count):
                (folder / f"{name:04}.bin").write_bytes(os.urandom(10 << 10))
            synced = _synced_writes(work.folder / f"synced-{number}", 100)
            _note(found, {"synced": synced})
            run_id = new_run(uri)
            _note(found, _transfer(server, uri, run_id, "up", folder))
            _note(found, _transfer(server, uri, run_id, "down", into))
            for file in folder.iterdir():
                _check((into / "files" / file.name).read_bytes() == file.read_bytes())
    middle = {name: sorted(values)[len(values) // 2] for name, values in found.items()}
    return {
        "files/s up": count / middle["up, s"],
        "files/s down": count / middle["down, s"],
        "CPU ms a file, up, client and server": 1e3
        * (middle["up, client cpu"] + middle["up, server cpu"])
        / count,
        "CPU ms a file, down, client and server": 1e3
        * (middle["down, client cpu"] + middle["down, server cpu"])
        / count,
        "anchor: files/s written and synced one by one": middle["synced"],
        "anchor: small unary RPC, us": rpc * 1e6,
    }


_ANCHORS = ("SHA-256", "disk write with fsync", "loopback copy")


def _anchors(folder: Path, total: int) -> dict[str, float]:
    _settle(total)
    rates = (
        anchors.sha256(total),
        anchors.disk_append(folder, total),
        anchors.loopback_copy(total),
    )
    return dict(zip(_ANCHORS, rates, strict=True)) | bare_stream.measure(total)


def _settle(total: int) -> None:
    """Begin with an idle disk, and with free memory that this machine really has.

    A host takes from its virtual machines what is free for two seconds, and gives it back at
    a first touch: a file's pages in such memory take three times as long to write, which says
    nothing of the program that writes them.
    """
    os.sync()
    with mmap.mmap(-1, 2 * total, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
        pages.madvise(mmap.MADV_HUGEPAGE)
        pages[::4096] = bytes(len(range(0, 2 * total, 4096)))


def _transfer(
    server: subprocess.Popen[str], uri: str, run_id: str, verb: str, local: Path
) -> dict[str, float]:
    """Seconds, and what it took of both processes."""
    warm = local.parent / f"warm-{verb}"
    if verb == "up":
        warm.write_bytes(os.urandom(4 * MIB))
    before, cpu = memory(server.pid, "VmRSS"), cpu_s(server.pid)
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")
    command = [sys.executable, "-c", TRANSFER, uri, run_id, verb, str(local), str(warm)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {
        f"{verb}, s": told["seconds"],
        f"{verb}, client cpu": told["cpu"],
        f"{verb}, server cpu": cpu_s(server.pid) - cpu,
        f"{verb}, client": told["grown"],
        f"{verb}, server": memory(server.pid, "VmHWM") - before,
    }


def _note(found: dict[str, list[float]], figures: dict[str, float]) -> None:
    for name, value in figures.items():
        found.setdefault(name, []).append(value)


def new_run(uri: str) -> str:
    with runwire.Client(uri) as client:
        return client.runs.create(experiment_name="Default").run_id


def _check(same: bool) -> None:
    if not same:
        raise RuntimeError("what came back is not what was sent")


def random_file(path: Path, total: int) -> None:
    with path.open("wb") as file:
        for _ in range(total // MIB):
            file.write(os.urandom(MIB))


def _change(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(32))


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _synced_writes(path: Path, count: int) -> float:
    """Files/s of 10 KiB, each durable before the next."""
    path.mkdir()
    data, start = os.urandom(10 << 10), time.perf_counter()
    for number in range(count):
        with (path / str(number)).open("wb", buffering=0) as file:
            file.write(data)
            os.fsync(file.fileno())
    return count / (time.perf_counter() - start)
