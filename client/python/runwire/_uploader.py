"""The uploader: a process that sends what a training process logged.

``python -m runwire._uploader DIRECTORY`` serves one journal and ends when all of it is
with the server and the training process is done. ``sync`` does the same, in the caller's
process, for every journal that an offline or killed job left.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from runwire._connect import connect
from runwire._errors import RunwireError
from runwire._journal_files import hold_lock
from runwire._journal_refused import read_refused
from runwire._uploader_link import Link
from runwire._uploader_loop import Patience, Uploader
from runwire._uploader_report import Report

# Long enough for a trainer that just looked whether somebody holds the lock.
_LOCK_TRIES, _LOCK_PAUSE_S = 10, 0.05
SYNC_GIVE_UP_S = 20.0
# What reading a damaged journal, or one that is not ours, can end in.
DAMAGE = (OSError, ValueError, LookupError, TypeError, struct.error)
_ELSEWHERE = (
    "kept: its job runs, or ran, in another container or on another machine; sync there, or "
    "delete the folder when it has ended"
)


class SyncResult(NamedTuple):
    """What became of one journal. ``state``: "sent"; "busy" (its uploader is at work);
    "away" (the server does not answer); "refused" (see ``refused``, reasons by run id);
    "damaged" (it cannot be read, or not all of it: nothing of it is removed)."""

    directory: Path
    state: str
    message: str = ""
    refused: dict[str, str] = {}


def main(arguments: list[str], *, owns_terminal: bool = True) -> int:
    """Serve one journal; the exit code tells whether all of it was delivered."""
    directory = Path(arguments[0])
    lock = _take_lock(directory)
    if lock is None:
        return 0
    report = Report(directory)
    try:
        result = _serve(directory, report, Patience.from_environment(), owns_terminal=owns_terminal)
    finally:
        os.close(lock)
    return 0 if result.state == "sent" else 1


def sync(
    directory: Path | str,
    progress: Callable[[SyncResult], None] | None = None,
    *,
    give_up_s: float = SYNC_GIVE_UP_S,
) -> list[SyncResult]:
    """Send what is in the journals under ``directory`` (or in the one that it is).

    In the order in which they were begun, so that a run exists before others join it.
    ``progress`` is called after each. Journals of living processes are sent as far as they
    are and stay; finished ones are removed. Raises nothing for a server that is away, or a
    journal that cannot be read: its result says so.
    """
    results = []
    for found in journals(Path(directory)):
        result = _sync_one(found, give_up_s)
        results.append(result)
        if progress is not None:
            progress(result)
    return results


def journals(directory: Path) -> list[Path]:
    """The journals in a folder, oldest first, after those whose age cannot be read."""
    paths = [directory, *directory.iterdir()] if directory.is_dir() else []
    begun = [(_begun(path), path) for path in paths]
    return [path for time_micros, path in sorted(begun) if time_micros]


def _begun(directory: Path) -> int:
    """When a journal was begun; 0 for what is none, or was sent and removed while we looked;
    -1 where that cannot be read."""
    try:
        return int(_meta(directory)["create_time_micros"])
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except DAMAGE:
        return -1


def _sync_one(directory: Path, give_up_s: float) -> SyncResult:
    try:
        return _sync_journal(directory, give_up_s)
    except DAMAGE as error:
        if isinstance(error, FileNotFoundError) and not (directory / "meta.json").exists():
            return SyncResult(directory, "sent")  # and removed, by another uploader
        return SyncResult(directory, "damaged", f"{directory} cannot be read: {error!r}")


def _sync_journal(directory: Path, give_up_s: float) -> SyncResult:
    _meta(directory)["writer_id"]  # before a file is made in what may be no journal
    lock = hold_lock(directory / "lock")
    if lock is None:
        return SyncResult(directory, "busy", "its uploader is at work")
    report = Report(directory, quiet=True)
    patience = Patience(until_drained=True, give_up_s=give_up_s)
    try:
        return _serve(directory, report, patience, owns_terminal=False)
    except DAMAGE:
        report.log(traceback.format_exc())
        raise
    finally:
        os.close(lock)


def _serve(
    directory: Path, report: Report, patience: Patience, *, owns_terminal: bool
) -> SyncResult:
    if not (directory / "meta.json").exists():
        return SyncResult(directory, "sent")  # another uploader has just ended its work
    meta = _meta(directory)
    try:
        with closing(connect(meta["tracking_uri"])) as connection:
            link = Link(connection, meta["writer_id"], meta.get("workspace", ""))
            uploader = Uploader(
                directory, meta, link, report, patience, owns_terminal=owns_terminal
            )
            complete = uploader.run()
    except RunwireError as error:
        report.say(f"{error} (the data is kept in {directory})")
        return SyncResult(directory, "away", str(error))
    refused = read_refused(directory) or uploader.refused
    if not complete:
        return SyncResult(directory, "refused" if refused else "away", "", refused)
    if uploader.is_complete:
        remove(directory)
    elif not uploader.sees_trainer:
        return SyncResult(directory, "sent", _ELSEWHERE)
    return SyncResult(directory, "sent")


def remove(directory: Path) -> None:
    """Delete a journal. ``meta.json`` goes first: without it, it is no journal any more."""
    (directory / "meta.json").unlink(missing_ok=True)
    shutil.rmtree(directory, ignore_errors=True)


def _meta(directory: Path) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((directory / "meta.json").read_text())
    return meta


def _take_lock(directory: Path) -> int | None:
    for _ in range(_LOCK_TRIES):
        lock = hold_lock(directory / "lock")
        if lock is not None:
            return lock
        time.sleep(_LOCK_PAUSE_S)
    return None


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
