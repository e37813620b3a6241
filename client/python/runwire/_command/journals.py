"""Journals on this machine: what waits to be sent, and whether somebody sends it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Waiting:
    """A journal that still has data. ``state``: "logging" (its job runs), "sending" (its
    uploader runs), or "waiting" (nobody is left: ``runwire sync`` sends it)."""

    directory: Path
    tracking_uri: str
    size_bytes: int
    state: str
    refused: dict[str, str]  # run -> why the server took nothing


def base(uri: str) -> Path:
    """Where the journals of a resolved tracking URI lie."""
    from runwire._settings import journals_folder

    return journals_folder(uri)


def find(directory: Path) -> list[Waiting]:
    """The journals in a directory, the oldest first; none where it does not exist."""
    from runwire._uploader import journals

    found = [_look(path) for path in journals(directory)]
    return [one for one in found if one is not None]


def _look(directory: Path) -> Waiting | None:
    from runwire._journal_refused import read_refused

    try:
        meta = json.loads((directory / "meta.json").read_text())
        return Waiting(
            directory,
            meta["tracking_uri"],
            sum(_disk_bytes(path) for path in directory.rglob("*")),
            _state(directory, meta),
            read_refused(directory),
        )
    except FileNotFoundError:
        return None  # it was sent and removed while we looked


def _disk_bytes(path: Path) -> int:
    stat = path.stat()
    return int(getattr(stat, "st_blocks", 0)) * 512 or stat.st_size


def _state(directory: Path, meta: dict[str, Any]) -> str:
    from runwire._journal_files import process_start
    from runwire._journal_status import Status
    from runwire._uploader_trainer import Trainer

    trainer = Trainer(meta)
    try:
        if trainer.alive:
            return "logging"
    finally:
        trainer.close()
    if not (directory / "status").exists():
        return "waiting"
    uploader = Status.open(directory / "status").uploader_pid
    return "sending" if uploader and process_start(uploader) else "waiting"
