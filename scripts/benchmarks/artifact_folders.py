"""A folder of very many files through a server: what it costs both sides in time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.artifacts import MIB, new_run
from benchmarks.work import Work, cpu_s, memory

FILE_BYTES = 1 << 10
FOLDERS = 100

# In a process of its own: prints seconds, when the first progress was told, and its memory.
TRANSFER = """
import json, sys, time
from pathlib import Path
import runwire
uri, run_id, verb, local = sys.argv[1:]
def own(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
told = []
def tell(done, total):
    if done and not told:
        told.append(time.perf_counter() - start)
with runwire.Client(uri) as client:
    client.artifacts.put(run_id, b"warm", "warm/file")
    client.artifacts.get(run_id, "warm", Path(local).with_name("warm"))
    before, start = own("VmRSS"), time.perf_counter()
    if verb == "up":
        client.artifacts.put(run_id, Path(local), "files", progress=tell)
    else:
        client.artifacts.get(run_id, "files", Path(local), progress=tell)
    seconds = time.perf_counter() - start
    grown, cpu = own("VmHWM") - before, time.process_time()
    print(json.dumps({"seconds": seconds, "told": told[0], "grown": grown, "cpu": cpu}))
"""


def wide_folder(work: Work) -> dict[str, Any]:
    """A2 wide: 100,000 files of 1 KiB each way, in 100 folders."""
    count = work.size(100_000)
    source, into = work.folder / "source", work.folder / "got"
    _make(source, count)
    figures: dict[str, Any] = {}
    with work.server_process() as (server, uri):
        run_id = new_run(uri)
        for verb, local in (("up", source), ("down", into)):
            figures |= _measured(server, uri, run_id, verb, local, count)
    same = sum(_same(path, into / "files" / path.relative_to(source)) for path in _files(source))
    return {**figures, "files that differ": count - same}


def _measured(
    server: subprocess.Popen[str], uri: str, run_id: str, verb: str, local: Path, count: int
) -> dict[str, float]:
    before, cpu = memory(server.pid, "VmRSS"), cpu_s(server.pid)
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")
    command = [sys.executable, "-c", TRANSFER, uri, run_id, verb, str(local)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    cpu = told["cpu"] + cpu_s(server.pid) - cpu
    return {
        f"files/s {verb}": count / told["seconds"],
        f"{verb}, first progress, s": told["told"],
        f"{verb}, CPU ms a file, client and server": 1e3 * cpu / count,
        f"{verb}, RSS growth of the client, MiB": told["grown"] / MIB,
        f"{verb}, RSS growth of the server, MiB": (memory(server.pid, "VmHWM") - before) / MIB,
    }


def _make(source: Path, count: int) -> None:
    for number in range(count):
        folder = source / f"{number % FOLDERS:02}"
        if number < FOLDERS:
            folder.mkdir(parents=True)
        (folder / f"{number:06}.bin").write_bytes(os.urandom(FILE_BYTES))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _same(path: Path, other: Path) -> bool:
    return path.read_bytes() == other.read_bytes()
