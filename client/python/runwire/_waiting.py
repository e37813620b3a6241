"""Journals on this machine: what waits to be sent, and whether somebody sends it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runwire._settings import journals_folder

# An uploader was started by the job's end at the latest, and is at work after this.
STARTING_S = 5.0


@dataclass(frozen=True)
class Waiting:
    """A journal that still has data. ``state``: "logging" (its job runs), "sending" (its
    uploader runs, or is just starting), "waiting" (nobody is left, or can be seen from here:
    ``runwire sync`` sends it), or "damaged" (see ``problem``)."""

    directory: Path
    tracking_uri: str
    size_bytes: int
    state: str
    refused: dict[str, str]  # run -> why the server took nothing
    server_is_away: bool = False
    problem: str = ""


def find(directory: Path) -> list[Waiting]:
    """The journals in a directory, the oldest first; none where it does not exist."""
    from runwire._uploader import journals

    found = [_look(path) for path in journals(directory)]
    return [one for one in found if one is not None]


def _look(directory: Path) -> Waiting | None:
    from runwire._journal_refused import read_refused
    from runwire._uploader import DAMAGE

    try:
        meta = json.loads((directory / "meta.json").read_text())
        return Waiting(
            directory,
            meta["tracking_uri"],
            sum(_disk_bytes(path) for path in directory.rglob("*")),
            _state(directory, meta),
            read_refused(directory),
            _server_is_away(directory),
        )
    except FileNotFoundError:
        return None  # it was sent and removed while we looked
    except DAMAGE as error:
        problem = f"{directory} cannot be read: {error!r}"
        return Waiting(directory, "", 0, "damaged", {}, problem=problem)


def settle(uri: str, timeout_s: float) -> None:
    """Before a read: wait for what jobs that have ended are just delivering to this URI.

    A script that ended a moment ago, or a worker process of this one, has logged all of it,
    but its uploader may still be at work. Not waited for: jobs that go on logging, servers
    that are away, and longer than ``timeout_s``.
    """
    from runwire._uploader import journals

    try:
        pending = journals(journals_folder(uri))
    except OSError:
        return  # a folder of somebody else: none of our jobs writes there
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        pending = [path for path in pending if _is_arriving(path, uri)]
        if not pending:
            return
        time.sleep(0.02)


def _is_arriving(directory: Path, uri: str) -> bool:
    from runwire._uploader import DAMAGE

    try:
        meta = json.loads((directory / "meta.json").read_text())
        if meta["tracking_uri"] != uri or _state(directory, meta) != "sending":
            return False
        return not _server_is_away(directory)
    except DAMAGE:
        return False  # also: it was sent and removed while we looked


def _server_is_away(directory: Path) -> bool:
    from runwire._journal_status import AWAY, REFUSED, Status

    if not (directory / "status").exists():
        return False
    return Status.open(directory / "status").server_state in (AWAY, REFUSED)


def _disk_bytes(path: Path) -> int:
    stat = path.stat()
    return int(getattr(stat, "st_blocks", 0)) * 512 or stat.st_size


def _state(directory: Path, meta: dict[str, Any]) -> str:
    from runwire._journal_files import process_start
    from runwire._journal_status import Status
    from runwire._uploader_trainer import Trainer

    trainer = Trainer(meta)
    try:
        if not trainer.is_seen:
            return "waiting"
        if trainer.alive:
            return "logging"
    finally:
        trainer.close()
    if not (directory / "status").exists():
        return "waiting"
    status = Status.open(directory / "status")
    if status.generation == 0:
        age_s = time.time() - meta["create_time_micros"] / 1e6
        is_starting = meta.get("uploader") != "off" and age_s < STARTING_S
        return "sending" if is_starting else "waiting"
    uploader = status.uploader_pid
    return "sending" if uploader and process_start(uploader) else "waiting"
