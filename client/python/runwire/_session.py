"""What the fluent API knows of this process: where it logs to, and through what.

The tracking URI and the active experiment live in the environment (RUNWIRE_TRACKING_URI,
RUNWIRE_EXPERIMENT_NAME or _ID), so that processes which are spawned go to the same place.
Nothing here imports grpc until something is read from the server.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from runwire._errors import DataLossError, RunwireError, UnavailableError
from runwire._settings import journals_folder, settings
from runwire._uri import VARIABLE, resolve_uri, shown

if TYPE_CHECKING:
    from runwire._client import Client
    from runwire._journal import Journal

# A read of one's own run waits so long for the server to have it, then says so and reads
# what is there.
READ_FLUSH_S = 30.0
# … and so long for what processes that have ended are just delivering.
SETTLE_S = 5.0
_TOLD_AFTER_S = 3.0

_lock = threading.RLock()
_journals: dict[str, Journal] = {}
_clients: dict[str, Client] = {}


def set_tracking_uri(uri: str | os.PathLike[str] | None) -> None:
    """Log to a server, a database or a folder from now on; runs that are active stay.

    None or "" goes back to ``./runwire-data``. Processes started later do the same.

    >>> runwire.set_tracking_uri("http://localhost:5000")
    >>> runwire.set_tracking_uri("sqlite:///tracking.db")
    """
    if not uri:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = resolve_uri(uri)


def get_tracking_uri() -> str:
    """The tracking URI in full: local paths are absolute."""
    return resolve_uri()


def is_tracking_uri_set() -> bool:
    """Whether ``set_tracking_uri`` or RUNWIRE_TRACKING_URI said where to log to."""
    return bool(settings().tracking_uri)


def journal(uri: str) -> Journal:
    """This process's journal for a tracking URI, made when first needed.

    Raises ``UnavailableError`` where its folder cannot be written.
    """
    with _lock:
        found = _journals.get(uri)
        if found is not None and _is_deleted(found):
            _abandon(found)
        if found is None or found.inherited or found.closed:
            from runwire._journal import Journal

            found = _journals[uri] = _opened(Journal, journals_folder(uri), uri)
        return found


def _opened(kind: type[Journal], folder: Path, uri: str) -> Journal:
    try:
        return kind.open(folder, uri)
    except OSError as error:
        raise UnavailableError(
            f"runs cannot be logged: the folder {folder} cannot be written "
            f"({error.strerror or error}); RUNWIRE_DIR names another one",
            reason="STORAGE_UNAVAILABLE",
            metadata={"path": str(folder)},
        ) from error


def _is_deleted(one: Journal) -> bool:
    """Whether somebody deleted its folder (``rm -rf runwire-data`` beside a notebook)."""
    return not (one.inherited or one.closed or (one.directory / "meta.json").exists())


def _abandon(one: Journal) -> None:
    """What is logged from here on goes to a new journal; open runs attach to it."""
    import logging

    logging.getLogger("runwire").warning(
        "the folder %s was deleted: what was logged there and not sent is lost", one.directory
    )
    one.disown()
    with _lock:
        reader = _clients.pop(one.tracking_uri, None)
    if reader is not None:  # a local one has the deleted database open
        reader.close()


def client() -> Client:
    """The reader of the present tracking URI."""
    uri = resolve_uri()
    with _lock:
        found = _clients.get(uri)
        if found is None:
            from runwire._client import Client

            found = _clients[uri] = Client(uri)
        return found


def flush(timeout: float | None = None) -> bool:
    """Wait until the server has everything that this process logged before this call.

    False: not within ``timeout`` seconds (None waits without end), or logging is offline.
    Raises ``RunwireError`` where the server refused data for good, ``DataLossError`` where
    somebody deleted the journal.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    arrived, failures = _flush_all(deadline)
    if failures:
        raise failures[0]
    return arrived


def _flush_all(
    deadline: float | None, *, for_a_read: bool = False
) -> tuple[bool, list[RunwireError]]:
    """Each journal, whatever another's fate: whether all arrived, and what was refused."""
    arrived, failures = True, []
    for one in _own_journals():
        try:
            arrived = _flush(one, deadline, for_a_read=for_a_read) and arrived
        except RunwireError as error:
            failures.append(error)
    return arrived, failures


def _own_journals() -> list[Journal]:
    if "runwire._journal" not in sys.modules:
        return []
    from runwire._journal import open_journals

    return open_journals()


def _flush(one: Journal, deadline: float | None, *, for_a_read: bool = False) -> bool:
    if _is_deleted(one):
        _abandon(one)
        raise DataLossError(
            f"the folder {one.directory} was deleted before the server had all of it",
            reason="DATA_DAMAGED",
            metadata={"path": str(one.directory)},
        )
    left = None if deadline is None else max(0.0, deadline - time.monotonic())
    if left is not None and left <= _TOLD_AFTER_S:
        return one.flush(left)
    if one.flush(_TOLD_AFTER_S):
        return True
    from runwire._journal_status import AWAY

    if one.settings.uploader == "off" or (for_a_read and one.status.server_state == AWAY):
        return False
    if not os.environ.get("RUNWIRE_QUIET"):
        where = shown(one.tracking_uri)
        sys.stderr.write(f"runwire: waiting until {where} has everything that was logged\n")
    return one.flush(None if left is None else left - _TOLD_AFTER_S)


def flush_own() -> None:
    """Before something is read that this process, or one that it started, may have logged."""
    # A run that was refused is perhaps not asked for.
    arrived, _ = _flush_all(time.monotonic() + READ_FLUSH_S, for_a_read=True)
    from runwire._waiting import settle

    settle(resolve_uri(), SETTLE_S)
    if not arrived:
        import logging

        logging.getLogger("runwire").warning(
            "what this process logged has not all arrived at %s: what is read may lack the "
            "latest of it. Nothing is lost; runwire sync sends it",
            shown(resolve_uri()),
        )


def forget_parent() -> None:
    """In a child of a fork: the lock may have been held, and journals are the parent's."""
    global _lock
    _lock = threading.RLock()


def close() -> None:
    """At the end of the process: journals are given to their uploaders, nothing is awaited."""
    with _lock:
        journals, clients = list(_journals.values()), list(_clients.values())
        _journals.clear()
        _clients.clear()
    with ExitStack() as stack:  # journals first, and each, whatever another's fate
        for each in clients:
            stack.callback(each.close)
        for one in journals:
            stack.callback(one.close)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_parent)
