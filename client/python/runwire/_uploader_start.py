"""Start the uploader of a journal: a process of its own, never waited for."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

# The package may have been found through a changed sys.path. Appended, not put in
# front: a user's folder must not shadow modules of the standard library.
_PROGRAM = (
    "import sys; sys.path.append({root!r}); "
    "from runwire._uploader import main; sys.exit(main(sys.argv[1:]))"
)


def start_uploader(directory: Path, *, thread: bool = False) -> Callable[[], bool]:
    """Start it and return at once; what is returned tells whether it still runs.

    Exec'd, never forked: it inherits no lock, thread or connection of the trainer.
    Where no process can be started, or with ``thread``, it is a daemon thread.
    """
    if not thread and sys.executable and not getattr(sys, "frozen", False):
        try:
            return _start_process(directory)
        except OSError as error:
            import logging

            logging.getLogger("runwire").warning("the uploader runs as a thread: %s", error)
    return _start_thread(directory)


def _start_process(directory: Path) -> Callable[[], bool]:
    root = str(Path(__file__).parent.parent)
    command = [sys.executable, "-P", "-c", _PROGRAM.format(root=root), str(directory)]
    process = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if os.environ.get("RUNWIRE_QUIET") else None,
        close_fds=True,
        start_new_session=True,
    )
    _processes.append(process)
    return lambda: process.poll() is None


def _start_thread(directory: Path) -> Callable[[], bool]:
    # gRPC needs it, and it cannot be imported any more once the interpreter ends: a short
    # script has come to that before the thread has come to its imports.
    import concurrent.futures.thread  # noqa: F401

    def upload() -> None:
        from runwire._uploader import main

        main([str(directory)], owns_terminal=False)

    worker = threading.Thread(target=upload, name="runwire-uploader", daemon=True)
    worker.start()
    return worker.is_alive


_processes: list[subprocess.Popen[bytes]] = []


@atexit.register
def _let_go() -> None:
    """Uploaders outlive us on purpose: ``subprocess`` must not warn of it."""
    for process in _processes:
        if process.poll() is None:
            process.returncode = 0
