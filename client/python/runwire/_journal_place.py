"""Where a process runs: whether the process id in a journal means anything here.

Light enough for the training process: it imports what ``_journal`` has imported already.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from runwire._journal_files import boot_id


def place() -> dict[str, str]:
    """For ``meta.json``, beside ``pid`` and ``boot_id``; empty is what is not known."""
    return {
        "host": os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", ""),
        "machine_id": _machine_id(),
        "pid_namespace": _pid_namespace(),
    }


def can_be_seen(meta: dict[str, Any]) -> bool:
    """Whether it can be told from here if the process that wrote a journal still lives.

    Not so in a container, seen from its host or from another one, and on another machine
    whose disk is ours, too. A journal of before ``place`` was recorded counts as one of here.
    """
    here = place()
    if meta["boot_id"] and meta["boot_id"] == boot_id():
        return _agrees(meta, here, "pid_namespace")
    # Images are copied with their machine id, and host names are given twice: both count.
    return _agrees(meta, here, "host") and _agrees(meta, here, "machine_id")


def _agrees(meta: dict[str, Any], here: dict[str, str], key: str) -> bool:
    return bool(meta.get(key, here[key]) == here[key])


def _machine_id() -> str:
    try:
        return Path("/etc/machine-id").read_text().strip()
    except (OSError, ValueError):
        return ""


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it is no path
    except OSError:
        return ""
