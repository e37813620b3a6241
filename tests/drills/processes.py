"""Servers and training jobs as processes of their own, to be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import backends
import runwire
from ports import lasting_port

T = TypeVar("T")

# Logs as many rows as it is told to by lines on standard input, one block a line.
STEADY = """
import sys, runwire
runwire.set_tracking_uri(sys.argv[1])
with runwire.start_run() as run:
    print(run.info.run_id, flush=True)
    step = 0
    for line in sys.stdin:
        for _ in range(int(line)):
            runwire.log_metrics({"twice": 2.0 * step, "other": 1.0}, step=step)
            step += 1
        print(step, flush=True)
    runwire.log_param("steps", step)
    runwire.log_text("the end", "notes/end.txt")
print(runwire.flush(timeout=float(sys.argv[2])))
"""

# Logs to a run that is there, under a name of its own and one that all share.
RANK = """
import sys, runwire
runwire.set_tracking_uri(sys.argv[1])
with runwire.start_run(run_id=sys.argv[2]):
    for step in range(1000):
        runwire.log_metrics({f"rank/{sys.argv[3]}": 2.0 * step, "shared": float(step)}, step=step)
print(runwire.flush(timeout=120))
"""


class ServerProcess:
    """``python -m runwire_server`` on a port that it keeps over restarts."""

    def __init__(self, metadata_url: str, blobs_url: str, *arguments: str):
        self.port = lasting_port()
        self.uri = f"grpc://127.0.0.1:{self.port}"
        self._command = [
            sys.executable, "-m", "runwire_server", "--port", "-1", "--grpc-port", str(self.port),
            "--backend-store-uri", metadata_url, "--artifacts-destination", blobs_url,
            "--log-level", "warning", *arguments,
        ]  # fmt: skip
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith("runwire server ready")

    def kill(self) -> None:
        """SIGKILL: no drain, no goodbye."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def workers(self) -> list[int]:
        assert self._process is not None
        return workers_of(self._process.pid)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.communicate()
            self._process = None


def workers_of(pid: int) -> list[int]:
    """The worker processes of a server (multiprocessing's resource tracker aside)."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        children = _read(task / "children").split()
        found += [int(one) for one in children if "spawn_main" in _read(f"/proc/{one}/cmdline")]
    return found


def _read(path: Path | str) -> str:
    """Nothing, where the process or thread has just ended."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@contextmanager
def server_process(backend: backends.Backend, *arguments: str) -> Iterator[ServerProcess]:
    """A server that is not started yet, on the backend's data; stopped in the end."""
    server = ServerProcess(backend.metadata_url, backend.blobs_url, *arguments)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def trainer(code: str, *arguments: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A training script of its own process; ``arguments`` are its ``sys.argv[1:]``."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RUNWIRE_QUIET": "1"} | environment,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def ended_well(process: subprocess.Popen[str], timeout_s: float = 120) -> list[str]:
    """The lines it printed; fails with its errors where it did not exit with 0."""
    output, errors = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, errors
    return output.splitlines()


def eventually(find: Callable[[], T | None], what: str, timeout_s: float = 120.0) -> T:
    """What ``find`` returns once it returns something."""
    pause = threading.Event()
    for _ in range(int(timeout_s / 0.05)):
        found = find()
        if found:
            return found
        pause.wait(0.05)
    raise AssertionError(f"{what}: not within {timeout_s:.0f} s")


def ended_run(client: runwire.Client, run_id: str) -> str:
    """Wait until a run has ended, and all of it is in; gives its state's name."""
    from runwire.v1.run_pb2 import Run

    open_states = (Run.STATE_SCHEDULED, Run.STATE_RUNNING, Run.STATE_LOST)

    def state() -> str | None:
        try:
            found = client.runs.get(run_id).state
        except LookupError:
            return None
        return None if found in open_states else Run.State.Name(found).removeprefix("STATE_")

    return eventually(state, f"run {run_id} ends")


def steps_of(client: runwire.Client, run_id: str, key: str) -> list[int]:
    """The steps of one series, in order; the value of each must be twice its step."""
    series = client.metrics.read([run_id], [key]).get((run_id, key))
    if series is None:
        return []
    assert [float(value) for value in series.values] == [2.0 * step for step in series.steps]
    return [int(step) for step in series.steps]


def journals() -> list[Path]:
    """The journals that wait under RUNWIRE_DIR."""
    return [meta.parent for meta in Path(os.environ["RUNWIRE_DIR"]).glob("**/meta.json")]
