"""What the tasks ask of every tracker, through the fastest way that it documents."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

Metrics = dict[str, float]


class Tracker(ABC):
    """One run at a time. A subclass is made with a folder, and a database where one is used."""

    package: str
    """What a training script imports."""
    tasks: Sequence[str] = ("calls", "ingest", "creation")
    calls = 50_000
    """At most so many in the task of that name."""

    def __init__(self, folder: Path, database: str):
        self.folder = folder
        self.database = database

    @abstractmethod
    def start(self) -> None:
        """Begin a new run."""

    @abstractmethod
    def log(self, metrics: Metrics, step: int) -> None:
        """What a training loop calls once a step."""

    def log_rows(self, rows: Sequence[Metrics], first_step: int) -> None:
        """Many steps by the call that brings the most points a second."""
        for step, metrics in enumerate(rows, first_step):
            self.log(metrics, step)

    @abstractmethod
    def finish(self) -> None:
        """End the run; returns when all of it can be read, by another process too."""

    @abstractmethod
    def read(self, key: str) -> Sequence[float]:
        """The whole series of the run that was finished last, by step."""

    def create(self, value: float) -> None:
        """A finished run with param ``p0`` = ``x`` and metric ``m0``."""
        raise NotImplementedError

    def search(self, least: float) -> int:
        """How many runs have ``m0`` above it and ``p0`` = ``x``, at most 1,000."""
        raise NotImplementedError

    def size_bytes(self) -> int:
        """What the disk holds of it, or the database."""
        if self.database:
            return _postgres_size_bytes(self.database)
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return sum(file.stat().st_blocks * 512 for file in files)

    def close(self) -> None:  # noqa: B027
        """Stop what was started."""


def _postgres_size_bytes(database: str) -> int:
    import psycopg

    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def start_server(folder: Path, *command: str | Path) -> subprocess.Popen[str]:
    """In a process group of its own, that ``stop_server`` ends; it writes to server.log."""
    with (folder / "server.log").open("w") as log:
        return subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, text=True, start_new_session=True
        )


def stop_server(server: subprocess.Popen[str]) -> None:
    """With the workers that it has started; its group is its own."""
    os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
