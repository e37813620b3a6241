"""What every benchmark needs: a folder, a size, a server, quantiles."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Work:
    """``folder`` is empty and goes away afterwards; ``quick`` asks for less."""

    folder: Path
    quick: bool

    def size(self, full: int) -> int:
        return full // 10 if self.quick else full

    @contextmanager
    def server(self, *arguments: str) -> Iterator[str]:
        """A server process, but for arguments with default settings: SQLite, synchronous=FULL.
        Yields grpc://…"""
        with self.server_process(*arguments) as (_, uri):
            yield uri

    @contextmanager
    def server_process(self, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """The same, for work that stops or kills it."""
        command = [sys.executable, "-m", "runwire_server", "--port", "-1", "--grpc-port", "0"]
        command += ["--log-level", "warning", *arguments]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=self.folder
        ) as process:
            try:
                ready = process.stdout.readline().split() if process.stdout else []
                yield process, ready[-1]
            finally:
                process.terminate()


def quantile(ordered: Sequence[float], q: float) -> float:
    """Of numbers in ascending order."""
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def cpu_s(pid: int) -> float:
    """CPU time that a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int, field: str) -> int:
    """Bytes of a process (Linux): ``VmRSS`` now, ``VmHWM`` at most so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
